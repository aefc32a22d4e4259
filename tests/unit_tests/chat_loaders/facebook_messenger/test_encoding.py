import codecs
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports import FolderFacebookMessengerChatLoader
from langchain_chatexports.chat_loaders.facebook_messenger.encoding import make_repair
from tests.unit_tests.builders.messenger import Export, meta_json, mojibake

# Private-use emoji are removed on purpose, and lone surrogates are not text.
typed_text = st.text(st.characters(exclude_categories=["Cs", "Co"]))

# The strings of an edited file: correct letters, and Meta's mojibake.
MIXED = ["ă", mojibake("😂")]
CLEAN = ["zażółć", "Łódź"]


def repair_in(strings: list[str]) -> Callable[[str], str]:
    """Return the repair for a file that contains these strings."""
    return make_repair(json.dumps(strings).encode())


@given(typed_text)
def test_mojibake_round_trip(text: str) -> None:
    assert make_repair(meta_json({"content": text}))(mojibake(text)) == text


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Co", "Cc"]))))
def test_correct_file_is_unchanged(texts: list[str]) -> None:
    document = {"texts": [*texts, "ł"]}
    for raw in (json.dumps(document), json.dumps(document, ensure_ascii=False)):
        repair = make_repair(raw.encode("utf-8", "replace"))
        assert [repair(text) for text in texts] == texts


@given(st.text())
def test_any_repaired_string_is_valid_utf_8(text: str) -> None:
    repair_in([text])(text).encode()


@pytest.mark.parametrize("text", ["é", "Köszönöm", "Việt", "привет", "😂❤️", "ế"])
def test_untouched_file_is_repaired(text: str) -> None:
    assert make_repair()(mojibake(text)) == text


@pytest.mark.parametrize("text", ["😂 né", "é", "Здрава", "мама", "λόγος"])
def test_broken_text_in_a_mixed_file_is_repaired(text: str) -> None:
    assert repair_in(MIXED)(mojibake(text)) == text


NIGHT = "bună " + mojibake("😂") + " noapte, măi"


@pytest.mark.parametrize(
    ("others", "text", "expected"),
    [
        ([], "déjà vu", "déjà vu"),
        ([], mojibake("kávé 😂")[:-1], "kávé \xf0\x9f\x98"),
        *((CLEAN, text, text) for text in ("CAFÉ»", "É\xa0!", "été\xa0»")),
        *((MIXED, text, text) for text in ("CAFÉ»", "CAFÉ» ă")),
        (MIXED, NIGHT, "bună 😂 noapte, măi"),
        *(
            ([], mojibake(f"hi{private}"), "hi")
            for private in ("\U000fe330", "\U000fec15", "\U000fe05f")
        ),
        (CLEAN, "hi\U000fe330!", "hi!"),
    ],
)
def test_correct_text_is_unchanged(others: list[str], text: str, expected: str) -> None:
    assert repair_in([*others, text])(text) == expected


def test_typed_escape_does_not_mean_edited() -> None:
    document: dict[str, Any] = {"content": mojibake("é"), "other": "\\u0142"}
    assert make_repair(json.dumps(document).encode())(mojibake("é")) == "é"


def test_byte_order_mark_does_not_mean_edited(tmp_path: Path) -> None:
    export = Export()
    export.thread("zoe_1", ["Zoë Kim", "Grace"]).says("Zoë Kim", "déjà vu", at=10**12)
    folder = export.to_folder(tmp_path / "export")
    (file,) = folder.rglob("message_1.json")
    file.write_bytes(codecs.BOM_UTF8 + file.read_bytes())
    (session,) = FolderFacebookMessengerChatLoader(folder).load()
    (message,) = session["messages"]
    assert (message.additional_kwargs["sender"], message.content) == (
        "Zoë Kim",
        "déjà vu",
    )


def test_surrogate_pair_in_six_bytes_is_repaired() -> None:
    broken = "😂".encode("utf-16-be").hex()
    high, low = (chr(int(broken[i : i + 4], 16)) for i in (0, 4))
    text = (high + low).encode("utf-8", "surrogatepass").decode("latin-1")
    assert make_repair()(text) == "😂"
