"""Faults and lengths of replies."""

import pytest

from langchain_chatexports.evaluation.talk_measures import (
    TalkReply,
    comparable_messages,
    is_continuing,
    is_in_other_language,
    is_looping,
    is_quoting,
    is_repeating,
    measure_talk,
    split_messages,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Papa ist vor der T\u00fcr. " * 19, True),
        ("see you soon, see you soon and see you soon", True),
        ("I will come. Yes.\nI WILL COME! ok\ni will come", True),
        ("\u6211\u5f88\u60f3\u4f60\u56de\u6765" * 3, True),
        ("", False),
        ("ha ha ha ha ha ha ha ha ha ha", False),
        ("\u54c8" * 10, False),
        ("see you soon, see you soon", False),
        ("no no no, yes yes yes, no no no", False),
        ("bye bye " * 2, False),
    ],
)
def test_phrase_that_occurs_three_times_is_a_loop(text: str, *, expected: bool) -> None:
    assert is_looping(text) is expected


@pytest.mark.parametrize(
    ("text", "is_other"),
    [
        ("Ich bin noch nicht da, aber das ist ja auch egal", False),
        ("I don't know what you are up to, but it is fine", True),
        ("ok", False),
        ("", False),
        ("\u044f \u043d\u0435 \u0437\u043d\u0430\u044e", True),
    ],
)
def test_other_language_is_detected(text: str, is_other: bool) -> None:
    assert is_in_other_language(text, "German") is is_other


def test_repeated_messages_are_detected() -> None:
    known = comparable_messages(["The key lies under the pot.\n\nOk then", "yes"])
    before = ("Is it going to rain?",)
    assert is_repeating(TalkReply("Ha!\nthe key lies under the pot"), known)
    assert is_repeating(TalkReply("Is it going to rain?!", before=before))
    assert not is_repeating(TalkReply("Ok then", before=("Ok then", "yes")), known)
    assert not is_repeating(TalkReply("The key lies under the mat."), known)


def test_six_words_of_the_prompt_are_a_quote() -> None:
    prompt = "You are Mia. You are chatting with Ben and Cleo."
    assert is_quoting("ok. you are chatting with Ben and so on", prompt)
    assert not is_quoting("you are chatting with me", prompt)
    assert not is_quoting("anything that is long enough here", "")


@pytest.mark.parametrize(
    "text",
    [
        "sure\nBen: you?",
        "sure\n> you?\nfine",
        "user: hi",
        "ok<|im_end|>",
        "yes [INST] no",
    ],
)
def test_line_of_another_speaker_is_detected(text: str) -> None:
    assert is_continuing(text, ("Ben",))


@pytest.mark.parametrize("text", ["", "Ben is here: now", "note: bring cake", "a > b"])
def test_colon_alone_is_not_a_speaker(text: str) -> None:
    assert not is_continuing(text, ("Ben",))


def test_reply_is_split_into_messages() -> None:
    assert split_messages(" a \n\n b\n") == ["a", "b"]
    assert split_messages(" ") == [""]


def test_figures_are_shares_and_means() -> None:
    found = measure_talk(
        [
            TalkReply("Yes!"),
            TalkReply("yes"),
            TalkReply("one two\nthree.", is_cut=True),
            TalkReply(" "),
        ],
        language="English",
    )
    assert found.replies == 4
    assert (found.cut, found.empty, found.looping) == (0.25, 0.25, 0)
    assert found.distinct == 0.75
    assert found.bubbles == 1.25
    assert found.marks == 0.4
    assert found.characters == pytest.approx((4 + 3 + 7 + 6 + 0) / 5)
    assert found.other_language == 0


def test_unknown_language_is_not_measured() -> None:
    assert measure_talk([TalkReply("hi")]).other_language is None


def test_repr_has_no_text() -> None:
    assert "secret" not in repr(TalkReply("secret", prompt="secret"))
