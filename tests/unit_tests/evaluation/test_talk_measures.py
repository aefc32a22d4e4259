"""What is wrong with replies, and how long they are."""

import pytest

from langchain_chatexports.evaluation.talk_measures import (
    TalkReply,
    bubbles,
    is_continuing,
    is_in_other_language,
    is_looping,
    is_quoting,
    is_repeating,
    measure_talk,
    messages_in,
)


@pytest.mark.parametrize(
    "text",
    [
        "Papa ist vor der T\u00fcr. " * 19,
        "see you soon, see you soon and see you soon",
        "I will come. Yes.\nI WILL COME! ok\ni will come",
        "\u6211\u5f88\u60f3\u4f60\u56de\u6765" * 3,
    ],
)
def test_a_phrase_that_occurs_three_times_is_a_loop(text: str) -> None:
    assert is_looping(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ha ha ha ha ha ha ha ha ha ha",
        "\u54c8\u54c8\u54c8\u54c8\u54c8\u54c8\u54c8\u54c8\u54c8\u54c8",
        "see you soon, see you soon",
        "no no no, yes yes yes, no no no",
        "bye bye " * 2,
    ],
)
def test_laughter_and_a_phrase_said_twice_are_no_loop(text: str) -> None:
    assert not is_looping(text)


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
def test_a_reply_in_another_language_shows_it(text: str, is_other: bool) -> None:
    assert is_in_other_language(text, "German") is is_other


def test_a_message_that_was_said_before_is_repeated() -> None:
    known = messages_in(["The key lies under the pot.\n\nOk then", "yes"])
    said = ("Is it going to rain?",)
    assert is_repeating(TalkReply("Ha!\nthe key lies under the pot"), known)
    assert is_repeating(TalkReply("Is it going to rain?!", before=said))
    assert not is_repeating(TalkReply("Ok then", before=("Ok then", "yes")), known)
    assert not is_repeating(TalkReply("The key lies under the mat."), known)


def test_six_words_of_the_prompt_are_a_quotation() -> None:
    prompt = "You are Mia. You are chatting with Ben and Cleo."
    assert is_quoting("ok. you are chatting with Ben and so on", prompt)
    assert not is_quoting("you are chatting with me", prompt)
    assert not is_quoting("anything that is long enough here", "")


@pytest.mark.parametrize(
    "text",
    [
        "sure\nBen: and you?",
        "sure\n> and you?\nfine",
        "user: hi",
        "ok<|im_end|>",
        "yes [INST] no",
    ],
)
def test_a_line_for_somebody_else_is_a_sign(text: str) -> None:
    assert is_continuing(text, ("Ben",))


@pytest.mark.parametrize("text", ["", "Ben is here: now", "note: bring cake", "a > b"])
def test_a_colon_alone_is_none(text: str) -> None:
    assert not is_continuing(text, ("Ben",))


def test_bubbles_are_lines_and_an_empty_reply_is_one() -> None:
    assert bubbles(" a \n\n b\n") == ["a", "b"]
    assert bubbles(" ") == [""]


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


def test_without_a_language_it_is_not_known() -> None:
    assert measure_talk([TalkReply("hi")]).other_language is None


def test_no_text_is_in_a_repr() -> None:
    assert "secret" not in repr(TalkReply("secret", prompt="secret"))
