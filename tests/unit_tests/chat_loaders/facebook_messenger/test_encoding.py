import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports.chat_loaders.facebook_messenger.encoding import repair_for
from tests.unit_tests.builders.messenger import meta_json, mojibake

# Emoji of before 2016 are replaced on purpose, and lone surrogates are no text.
typed_text = st.text(st.characters(exclude_categories=["Cs", "Co"]))

# A file that somebody edited by hand: real letters beside what Meta wrote.
MIXED = ["ă", mojibake("😂")]
CLEAN = ["zażółć", "Łódź"]


def repair_in(strings: list[str]) -> Callable[[str], str]:
    """Return the repair for a file that holds these strings."""
    return repair_for(json.dumps(strings).encode())


@given(typed_text)
def test_what_meta_wrote_comes_back_as_typed(text: str) -> None:
    assert repair_for(meta_json({"content": text}))(mojibake(text)) == text


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Co", "Cc"]))))
def test_a_file_with_right_text_beyond_latin_1_is_not_changed(texts: list[str]) -> None:
    document = {"texts": [*texts, "ł"]}
    for raw in (json.dumps(document), json.dumps(document, ensure_ascii=False)):
        repair = repair_for(raw.encode("utf-8", "replace"))
        assert [repair(text) for text in texts] == texts


@given(st.text())
def test_any_string_can_be_written_as_utf_8_afterwards(text: str) -> None:
    repair_in([text])(text).encode()


@pytest.mark.parametrize("text", ["é", "Köszönöm", "Việt", "привет", "😂❤️", "ế"])
def test_untouched_files_are_repaired_whole(text: str) -> None:
    assert repair_for()(mojibake(text)) == text


def test_text_that_does_not_survive_the_round_trip_is_right_already() -> None:
    assert repair_for()("déjà vu") == "déjà vu"


def test_a_string_cut_inside_a_character_keeps_its_good_part() -> None:
    cut = mojibake("kávé 😂")[:-1]
    assert repair_for()(cut) == "kávé \xf0\x9f\x98"


@pytest.mark.parametrize("text", ["CAFÉ»", "É\xa0!", "été\xa0»"])
def test_right_text_that_looks_broken_stays_in_a_clean_file(text: str) -> None:
    assert repair_in([*CLEAN, text])(text) == text


def test_broken_text_in_a_mixed_file_is_repaired() -> None:
    assert repair_in(MIXED)(mojibake("😂 né")) == "😂 né"


def test_broken_and_right_text_in_one_string_is_told_apart() -> None:
    text = "bună " + mojibake("😂") + " noapte, măi"
    assert repair_in([*MIXED, text])(text) == "bună 😂 noapte, măi"


@pytest.mark.parametrize("text", ["é", "Здрава", "мама", "λόγος"])
def test_a_mixed_file_is_repaired_where_nobody_types_such_letters(text: str) -> None:
    assert repair_in(MIXED)(mojibake(text)) == text


@pytest.mark.parametrize("text", ["CAFÉ»", "CAFÉ» ă"])
def test_right_text_that_looks_broken_stays_in_a_mixed_file(text: str) -> None:
    assert repair_in(MIXED)(text) == text


def test_a_typed_escape_does_not_make_a_file_look_edited() -> None:
    document: dict[str, Any] = {"content": mojibake("é"), "other": "\\u0142"}
    assert repair_for(json.dumps(document).encode())(mojibake("é")) == "é"


def test_surrogate_pairs_in_six_bytes_become_one_character() -> None:
    broken = "😂".encode("utf-16-be").hex()
    high, low = (chr(int(broken[i : i + 4], 16)) for i in (0, 4))
    text = (high + low).encode("utf-8", "surrogatepass").decode("latin-1")
    assert repair_for()(text) == "😂"


@pytest.mark.parametrize("private", ["\U000fe330", "\U000fec15", "\U000fe05f"])
def test_emoji_of_before_unicode_are_removed(private: str) -> None:
    assert repair_for()(mojibake(f"hi{private}")) == "hi"
    assert repair_in(CLEAN)(f"hi{private}!") == "hi!"
