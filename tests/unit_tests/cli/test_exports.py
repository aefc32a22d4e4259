"""An export is recognised by what is in it, not by its name."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from langchain_chatexports import (
    ExportFormatError,
    ExportNotFoundError,
    FolderFacebookMessengerChatLoader,
    IMessageChatLoader,
    SingleFileFacebookMessengerChatLoader,
)
from langchain_chatexports.cli.exports import is_examples_file, open_export
from langchain_chatexports.samples import write_imessage, write_messenger

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any


def test_a_renamed_database_is_imessage(tmp_path: Path) -> None:
    path = write_imessage(tmp_path / "chat.db").rename(tmp_path / "old stuff.bin")
    export = open_export(path)
    assert isinstance(export.loader, IMessageChatLoader)
    assert len(export.loader.load()) == 10


def test_a_folder_with_a_database_is_imessage(tmp_path: Path) -> None:
    write_imessage(tmp_path / "chat.db")
    export = open_export(tmp_path)
    assert isinstance(export.loader, IMessageChatLoader)
    assert len(export.loader.load()) == 10


def test_a_renamed_zip_is_messenger(tmp_path: Path) -> None:
    write_messenger(tmp_path / "in" / "stranger")
    shutil.make_archive(str(tmp_path / "export"), "zip", tmp_path / "in")
    path = (tmp_path / "export.zip").rename(tmp_path / "what is this")
    export = open_export(path)
    assert isinstance(export.loader, FolderFacebookMessengerChatLoader)
    assert len(export.loader.load()) == 9


def test_a_folder_of_threads_is_messenger(tmp_path: Path) -> None:
    export = open_export(write_messenger(tmp_path / "stranger"))
    assert isinstance(export.loader, FolderFacebookMessengerChatLoader)


def test_one_thread_file_is_messenger(tmp_path: Path) -> None:
    folder = write_messenger(tmp_path / "stranger")
    file = next(folder.rglob("messages_Hermione_Granger.json"))
    export = open_export(file.rename(tmp_path / "thread"))
    assert isinstance(export.loader, SingleFileFacebookMessengerChatLoader)


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExportNotFoundError, match="nope"):
        open_export(tmp_path / "nope")


@pytest.mark.parametrize(
    "name", ["chat.db", "copy.db", "3d0d7e5fb2ce288813306e4d4636395e047a3d28"]
)
def test_a_file_called_as_a_database_has_the_error_of_that_loader(
    tmp_path: Path, name: Any
) -> None:
    path = tmp_path / name
    path.touch()
    with pytest.raises(ExportFormatError, match=r"is empty \(0 bytes\)"):
        open_export(path).loader.load()


def test_a_backup_without_messages_is_told_as_one(tmp_path: Path) -> None:
    (tmp_path / "Manifest.plist").touch()
    with pytest.raises(ExportNotFoundError, match="is a backup without messages"):
        open_export(tmp_path).loader.load()


def test_a_folder_of_nothing_is_told_what_is_known(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ExportFormatError, match="an iMessage database"):
        open_export(tmp_path)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n"])
def test_another_file_is_told_what_is_known(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(ExportFormatError, match=r"notes\.txt is no export"):
        open_export(path)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"messages": [{"role": "user", "content": "hi"}]}\n', True),
        (b'{"messages": [{"sender_name": "A", "timestamp_ms": 1}]}', False),
        (b'{"messages": []}\n', False),
        (b"{\n", False),
        (b"SQLite format 3\x00", False),
    ],
)
def test_examples_are_told_from_exports(
    tmp_path: Path, content: bytes, expected: bool
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert is_examples_file(path) is expected


def test_two_zips_of_one_request_are_prepared_as_one_export(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    from tests.unit_tests.chat_loaders.test_recognition import half

    one = half("Ann", 1, "Bo", "Cy").to_zip(tmp_path / "one.zip")
    two = half("Ann", 2, "Bo", "Di").to_zip(tmp_path / "two.zip")
    done = chatexports("prepare", one, two, "-o", "set.jsonl", "--whole", "--json")

    told = json.loads(done.out)
    assert told["examples"] == 3
    assert told["exports"][0]["details"]["parts"] == 2
