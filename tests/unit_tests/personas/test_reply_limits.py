"""Where a reply ends."""

import pytest

from langchain_chatexports.personas.reply_limits import ReplyLimits

LIMITS = ReplyLimits(tokens=99, characters=20, bubbles=2, label="Ben")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("", ""),
        ("one\n\ntwo", "one\n\ntwo"),
        ("\n one\n\ntwo\nthree", "\n one\n\ntwo"),
        ("A sentence. Another one. A third one.", "A sentence. Another one."),
        (
            "A sentence is 3.5 as long as this one",
            "A sentence is 3.5 as long as this one",
        ),
        ("\u4f60\u597d\u3002" * 9, "\u4f60\u597d\u3002" * 6),
        ("I am here. I am here. I am here.", "I am here. I am here."),
        ("no no no no. no no.", "no no no no. no no."),
        (
            "a clause is soon long enough, but another one follows",
            "a clause is soon long enough, but another one follows",
        ),
        (
            "a clause is by now more than long enough, but it goes on",
            "a clause is by now more than long enough",
        ),
        ("Yes.\n> More tea?\nAlways.", "Yes."),
        ("Yes.\nBen: More tea?", "Yes."),
        ("Yes.\nBen, too", "Yes.\nBen, too"),
    ],
)
def test_a_reply_ends_where_the_persons_would_have_ended(text: str, kept: str) -> None:
    assert LIMITS.beginning(text) == kept


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Yes.\nBe", "Yes."),
        ("Yes.\n", "Yes."),
        ("Yes.\nBed", "Yes.\nBed"),
        ("Be", "Be"),
    ],
)
def test_what_may_be_somebody_elses_line_is_not_shown_yet(
    text: str, shown: str
) -> None:
    assert LIMITS.settled(text) == shown


def test_without_limits_only_a_repetition_or_somebody_elses_line_ends_a_reply() -> None:
    free = ReplyLimits(label="Ben")
    assert free.beginning("One.\nTwo. " * 9).startswith("One.\nTwo. One.\nTwo.")
    assert free.beginning("A long one. " + "So long. Very long.") != ""
    assert free.beginning("a\nb\nc, d: e") == "a\nb\nc, d: e"
    assert free.beginning("Yes.\nBen: and?") == "Yes."


def test_limits_are_those_of_nearly_all_of_the_persons_replies() -> None:
    replies = [*["One.\n\nTwo."] * 400, "word " * 400]
    assert ReplyLimits.of(replies, label="Ben") == ReplyLimits(16, 40, 2, "Ben")
    assert ReplyLimits.of(
        ["A reply of twelve words that is as long as they get."] * 10
    ) == (ReplyLimits(tokens=38, characters=52, bubbles=1))
    assert ReplyLimits.of(["Yes."] * 9) == ReplyLimits()
