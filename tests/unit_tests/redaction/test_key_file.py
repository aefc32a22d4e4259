"""The key file holds key and stand-ins, for its owner only, and shows neither."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from langchain_chatexports.exceptions import ExportFormatError, ExportNotFoundError
from langchain_chatexports.redaction import RedactionKey, key_for, read_key_file

if TYPE_CHECKING:
    from pathlib import Path


def test_a_key_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    key = RedactionKey("secret", {"Zidenefazi": "José \ud83d"})
    key.write(tmp_path / "my.key")
    assert read_key_file(tmp_path / "my.key") == key
    if os.name != "nt":
        assert (tmp_path / "my.key").stat().st_mode & 0o777 == 0o600


def test_neither_key_nor_names_are_in_the_repr() -> None:
    assert repr(RedactionKey("secret", {"Zidenefazi": "José"})) == "RedactionKey()"


def test_a_new_key_is_random_and_writes_nothing(tmp_path: Path) -> None:
    first, second = key_for(tmp_path / "my.key"), key_for(tmp_path / "my.key")
    assert first.key != second.key
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_is_there_is_kept(tmp_path: Path) -> None:
    RedactionKey("secret").write(tmp_path / "my.key")
    assert key_for(tmp_path / "my.key").key == "secret"


@pytest.mark.parametrize(
    "text",
    ["", "secret", "[]", "{}", '{"chatexports_redaction_key": 2, "key": "secret"}'],
)
def test_what_is_no_key_file_is_an_error_without_its_content(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / "my.key").write_text(text)
    with pytest.raises(ExportFormatError, match="no key file") as caught:
        read_key_file(tmp_path / "my.key")
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_missing_key_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ExportNotFoundError, match=r"my\.key"):
        read_key_file(tmp_path / "my.key")


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"chatexports_redaction_key": 1, "key": "k", "stand_ins": {"A": 5}}',
    ],
    ids=["nested", "numbers"],
)
def test_a_hostile_key_file_is_an_error_of_ours(tmp_path: Path, text: str) -> None:
    (tmp_path / "my.key").write_text(text)
    with pytest.raises(ExportFormatError, match="is no key file"):
        read_key_file(tmp_path / "my.key")
