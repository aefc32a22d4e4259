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


@pytest.mark.parametrize("text", ["😂 né", "é", "Здрава", "мама", "λόγος"])
def test_broken_text_in_a_mixed_file_is_repaired(text: str) -> None:
    assert repair_in(MIXED)(mojibake(text)) == text


NIGHT = "bună " + mojibake("😂") + " noapte, măi"


@pytest.mark.parametrize(
    ("beside", "text", "shown"),
    [
        pytest.param([], "déjà vu", "déjà vu", id="right already"),
        pytest.param(
            [],
            mojibake("kávé 😂")[:-1],
            "kávé \xf0\x9f\x98",
            id="cut inside a character",
        ),
        *((CLEAN, text, text) for text in ("CAFÉ»", "É\xa0!", "été\xa0»")),
        *((MIXED, text, text) for text in ("CAFÉ»", "CAFÉ» ă")),
        pytest.param(
            MIXED, NIGHT, "bună 😂 noapte, măi", id="broken and right in one text"
        ),
        *(
            ([], mojibake(f"hi{private}"), "hi")
            for private in ("\U000fe330", "\U000fec15", "\U000fe05f")
        ),
        pytest.param(CLEAN, "hi\U000fe330!", "hi!", id="an emoji of before Unicode"),
    ],
)
def test_right_text_stays(beside: list[str], text: str, shown: str) -> None:
    assert repair_in([*beside, text])(text) == shown


def test_a_typed_escape_does_not_make_a_file_look_edited() -> None:
    document: dict[str, Any] = {"content": mojibake("é"), "other": "\\u0142"}
    assert repair_for(json.dumps(document).encode())(mojibake("é")) == "é"


def test_surrogate_pairs_in_six_bytes_become_one_character() -> None:
    broken = "😂".encode("utf-16-be").hex()
    high, low = (chr(int(broken[i : i + 4], 16)) for i in (0, 4))
    text = (high + low).encode("utf-8", "surrogatepass").decode("latin-1")
    assert repair_for()(text) == "😂"
