"""What is read off a text."""

from __future__ import annotations

import pytest

from langchain_chatexports.evaluation.function_words import choose_function_words
from langchain_chatexports.evaluation.text_features import (
    HABITS,
    bubbles,
    first_emoji,
    habits,
    has_spaced_words,
    trigrams,
    words,
)


def shown(bubble: str) -> set[str]:
    return {
        name for name, is_there in zip(HABITS, habits(bubble), strict=True) if is_there
    }


def test_line_breaks_of_any_number_part_bubbles() -> None:
    assert bubbles("one\n\ntwo\nthree\n\n\n ") == ["one", "two", "three"]


def test_an_empty_reply_is_one_bubble_of_length_0() -> None:
    assert bubbles(" \n") == [""]


def test_texts_are_compared_in_nfc() -> None:
    assert bubbles("cafe\u0301") == ["caf\u00e9"]


def test_an_apostrophe_inside_belongs_to_a_word() -> None:
    assert words("I don't, y\u2019all 'know'") == ["i", "don't", "y\u2019all", "know"]


def test_letters_without_spaces_stand_for_words() -> None:
    assert words("ok \u6211\u4eec 2x \u0e44\u0e17, y'all\u660e") == [
        "ok", "\u6211", "\u4eec", "2x", "\u0e44", "\u0e17", "y'all", "\u660e",
    ]  # fmt: skip


def test_digits_are_alike_and_edges_count_in_trigrams() -> None:
    assert trigrams("a1") == [" a0", "a0 "]


@pytest.mark.parametrize(
    ("bubble", "expected"),
    [
        ("Yes.", {"ends with a period", "begins with a capital"}),
        (
            "no!!",
            {"ends with an exclamation mark", "marks in a row", "no capital at all"},
        ),
        ("ok?", {"ends with a question mark", "no capital at all"}),
        ("hm\u2026", {"dots in a row", "no capital at all"}),
        ("well, NO", {"comma", "a word in capitals"}),
        ("sooo", {"a letter three times running", "no capital at all"}),
        ("it's", {"apostrophe", "no capital at all"}),
        ("a. b", {"a sentence ends inside", "no capital at all"}),
        ("I", {"begins with a capital"}),
        ("", {"no capital at all"}),
    ],
)
def test_habits_are_seen(bubble: str, expected: set[str]) -> None:
    assert shown(bubble) == expected


@pytest.mark.parametrize(
    ("bubble", "expected"),
    [
        ("nice \U0001f44d\U0001f3fd then \U0001f600", "\U0001f44d"),
        ("love \u2764\ufe0f", "\u2764"),
        (
            "fam \U0001f468\u200d\U0001f469\u200d\U0001f467",
            "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        ),
        ("flag \U0001f1eb\U0001f1f7", "\U0001f1eb\U0001f1f7"),
        ("ha :))) \U0001f600", ":)"),
        ("\U0001f600 :)", "\U0001f600"),
        ("xDDD", "xD"),
        ("<3", "<3"),
        ("^_^", "^"),
        ("http://x.org", "none"),
        ("at 8:30 (or so)", "none"),
        ("\u00a9 2020", "none"),
        ("", "none"),
    ],
)
def test_the_first_emoji_or_emoticon_is_found(bubble: str, expected: str) -> None:
    assert first_emoji(bubble) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hello you", True),
        ("\u4f60\u597d\u5417", False),
        ("\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35", False),
        ("\u3053\u3093\u306b\u3061\u306f", False),
        ("\uc548\ub155", True),
        ("123", True),
    ],
)
def test_languages_without_spaces_are_told_by_their_letters(
    text: str, expected: bool
) -> None:
    assert has_spaced_words([text]) is expected


def test_english_talk_takes_the_english_list() -> None:
    language, chosen = choose_function_words([{"the": 5, "cat": 4, "tbh": 1}])
    assert language == "en"
    assert "gonna" in chosen


def test_another_language_learns_the_words_that_everybody_uses() -> None:
    ana = {f"wort{n}": 1 for n in range(200)} | {"und": 50, "ich": 40}
    ben = {f"ding{n}": 1 for n in range(200)} | {"und": 60, "ich": 30}
    language, chosen = choose_function_words([ana, ben])
    assert language == "und"
    assert len(chosen) == 100
    assert {"und", "ich"} <= chosen
