"""Limits of replies."""

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
        ("A sentence is 3.5 as long as this", "A sentence is 3.5 as long as this"),
        ("\u4f60\u597d\u3002" * 9, "\u4f60\u597d\u3002" * 6),
        ("I am here. I am here. I am here.", "I am here. I am here."),
        ("no no no no. no no.", "no no no no. no no."),
        ("a clause below the limit, and", "a clause below the limit, and"),
        ("a clause that is above the limit, and", "a clause that is above the limit"),
        ("Yes.\n> More tea?\nAlways.", "Yes."),
        ("Yes.\nBen: More tea?", "Yes."),
        ("Yes.\nBen, too", "Yes.\nBen, too"),
    ],
)
def test_reply_is_truncated(text: str, kept: str) -> None:
    assert LIMITS.truncate(text) == kept


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Yes.\nBe", "Yes."),
        ("Yes.\n", "Yes."),
        ("Yes.\nBed", "Yes.\nBed"),
        ("Be", "Be"),
    ],
)
def test_partial_stop_is_removed(text: str, shown: str) -> None:
    assert LIMITS.strip_partial_stop(text) == shown


def test_repetitions_and_stops_are_cut_without_limits() -> None:
    free = ReplyLimits(label="Ben")
    assert free.truncate("One.\nTwo. " * 9).startswith("One.\nTwo. One.\nTwo.")
    assert free.truncate("A long one. " + "So long. Very long.") != ""
    assert free.truncate("a\nb\nc, d: e") == "a\nb\nc, d: e"
    assert free.truncate("Yes.\nBen: and?") == "Yes."


def test_limits_cover_nearly_all_replies() -> None:
    replies = [*["One.\n\nTwo."] * 400, "word " * 400]
    assert ReplyLimits.from_replies(replies, label="Ben") == ReplyLimits(
        16, 40, 2, "Ben"
    )
    long = ["A reply of twelve words that is as long as they get."] * 10
    assert ReplyLimits.from_replies(long) == ReplyLimits(38, characters=52, bubbles=1)
    assert ReplyLimits.from_replies(["Yes."] * 9) == ReplyLimits()
