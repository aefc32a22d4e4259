"""The key file holds key and stand-ins, for its owner only, and shows neither."""

import os
from pathlib import Path

import pytest

from langchain_chatexports.exceptions import ExportFormatError, ExportNotFoundError
from langchain_chatexports.redaction import RedactionKey, read_key_file, restore

MAP = {"Zidenefazi": "José", "[phone-0123456789]": "+1 555 123 4567"}


def test_a_key_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    key = RedactionKey("secret", {"Zidenefazi": "José \ud83d"})
    key.write(tmp_path / "my.key")
    assert read_key_file(tmp_path / "my.key") == key
    if os.name != "nt":
        assert (tmp_path / "my.key").stat().st_mode & 0o777 == 0o600


def test_neither_key_nor_names_are_in_the_repr() -> None:
    assert repr(RedactionKey("secret", {"Zidenefazi": "José"})) == "RedactionKey()"


@pytest.mark.parametrize(
    "text",
    [
        *("", "secret", "[]", "{}", '{"key": "secret", "stand_ins": [1]}'),
        pytest.param("[" * 100_000, id="nested"),
        '{"chatexports_redaction_key": 1, "key": "k", "stand_ins": {"A": 5}}',
    ],
)
def test_what_is_no_key_file_is_an_error_without_its_content(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / "my.key").write_text(text)
    with pytest.raises(ExportFormatError, match="not a key file") as caught:
        read_key_file(tmp_path / "my.key")
    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_missing_key_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ExportNotFoundError, match=r"my\.key"):
        read_key_file(tmp_path / "my.key")


def test_names_come_back_in_the_case_of_the_stand_in() -> None:
    assert restore("Zidenefazi, zidenefazi, ZIDENEFAZI!", MAP) == "José, josé, JOSÉ!"


def test_placeholders_come_back() -> None:
    assert restore("call [phone-0123456789].", MAP) == "call +1 555 123 4567."


def test_ids_of_conversations_come_back_with_the_number_of_their_part() -> None:
    ids = {"chat-0123456789": "iMessage;-;+15550101"}
    assert restore("chat-0123456789#2", ids) == "iMessage;-;+15550101#2"
    assert restore("chat-0123456789a", ids) == "chat-0123456789a"


def test_what_is_not_in_the_map_stays() -> None:
    text = "[phone-aaaaaaaaaa] [note-0123456789] Zidenefazix"
    assert restore(text, MAP) == text
