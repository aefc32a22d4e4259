"""The private file with the key and stand-ins of a redaction."""

import os
from pathlib import Path

import pytest

from langchain_chatexports.exceptions import ExportFormatError, ExportNotFoundError
from langchain_chatexports.redaction import RedactionKey, read_key_file, restore

MAP = {"Zidenefazi": "José", "[phone-0123456789]": "+1 555 123 4567"}


def test_key_file_round_trips(tmp_path: Path) -> None:
    key = RedactionKey("secret", {"Zidenefazi": "José \ud83d"})
    key.write(tmp_path / "my.key")
    assert read_key_file(tmp_path / "my.key") == key
    if os.name != "nt":
        assert (tmp_path / "my.key").stat().st_mode & 0o777 == 0o600


def test_repr_hides_key_and_names() -> None:
    assert repr(RedactionKey("secret", {"Zidenefazi": "José"})) == "RedactionKey()"


@pytest.mark.parametrize(
    "text",
    [
        *("", "secret", "[]", "{}", '{"key": "secret", "stand_ins": [1]}'),
        pytest.param("[" * 100_000, id="nested"),
        '{"chatexports_redaction_key": 1, "key": "k", "stand_ins": {"A": 5}}',
    ],
)
def test_error_for_invalid_key_file_has_no_content(tmp_path: Path, text: str) -> None:
    (tmp_path / "my.key").write_text(text)
    with pytest.raises(ExportFormatError, match="not a key file") as caught:
        read_key_file(tmp_path / "my.key")
    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is None


def test_missing_key_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ExportNotFoundError, match=r"my\.key"):
        read_key_file(tmp_path / "my.key")


def test_names_are_restored_in_the_stand_ins_case() -> None:
    assert restore("Zidenefazi, zidenefazi, ZIDENEFAZI!", MAP) == "José, josé, JOSÉ!"


def test_placeholders_are_restored() -> None:
    assert restore("call [phone-0123456789].", MAP) == "call +1 555 123 4567."


def test_session_ids_are_restored_with_part_numbers() -> None:
    ids = {"chat-0123456789": "iMessage;-;+15550101"}
    assert restore("chat-0123456789#2", ids) == "iMessage;-;+15550101#2"
    assert restore("chat-0123456789a", ids) == "chat-0123456789a"


def test_unknown_stand_ins_are_kept() -> None:
    text = "[phone-aaaaaaaaaa] [note-0123456789] Zidenefazix"
    assert restore(text, MAP) == text
