"""Finding a database in a file, a folder or a backup."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import IMessageChatLoader
from langchain_chatexports.chat_loaders.imessage.contacts import read_nearby_books
from langchain_chatexports.chat_loaders.people import to_people
from langchain_chatexports.exceptions import (
    EncryptedExportError,
    ExportAccessError,
    ExportNotFoundError,
)
from tests.unit_tests.builders.chat_db import ChatDb
from tests.unit_tests.builders.sessions import all_texts

SMS = "3d0d7e5fb2ce288813306e4d4636395e047a3d28"
needs_links = pytest.mark.skipif(sys.platform == "win32", reason="Links need rights.")


def write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with ChatDb(path) as db:
        db.chat("+15550000001").message("a")


def texts(path: Path | None) -> list[Any]:
    return all_texts(IMessageChatLoader(path))


@pytest.mark.parametrize(
    "database",
    [
        "chat.db",
        "sms.db",
        "Library/Messages/chat.db",
        "Library/SMS/sms.db",
        f"3d/{SMS}",
        SMS,
        f"Snapshot/3d/{SMS}",
        f"Snapshot/{SMS}",
    ],
)
def test_database_is_found_in_a_folder(tmp_path: Path, database: str) -> None:
    write(tmp_path / database)
    assert texts(tmp_path) == ["a"]


def test_default_is_the_database_of_this_mac(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    write(tmp_path / "Library" / "Messages" / "chat.db")
    assert texts(None) == ["a"]


def test_folder_with_a_database_name_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "chat.db").mkdir()
    with pytest.raises(ExportNotFoundError, match="contains no Messages database"):
        IMessageChatLoader(tmp_path).load()
    write(tmp_path / "sms.db")
    assert texts(tmp_path) == ["a"]


@pytest.mark.parametrize(
    "name", ["Manifest.db", "Manifest.plist", "Info.plist", "Status.plist"]
)
def test_backup_without_messages_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(ExportNotFoundError, match="is a backup without messages"):
        IMessageChatLoader(tmp_path).load()


@pytest.mark.parametrize("entry", ["root", "file"])
def test_encrypted_backup_is_an_error(tmp_path: Path, entry: str) -> None:
    (tmp_path / "Manifest.plist").touch()
    file = tmp_path / "3d" / SMS
    file.parent.mkdir()
    file.write_bytes(os.urandom(8192))
    loader = IMessageChatLoader(tmp_path if entry == "root" else file)
    with pytest.raises(EncryptedExportError, match="Encrypt local backup"):
        loader.load()


@pytest.mark.parametrize("name", ["chat.db", "."])
def test_forbidden_path_is_an_access_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """macOS can even hide whether a file exists."""
    path = tmp_path / "chat.db"
    write(path)
    stat = Path.stat

    def fail(self: Path, **options: Any) -> os.stat_result:
        if self == path:
            raise PermissionError(1, "Operation not permitted", str(self))
        return stat(self, **options)

    monkeypatch.setattr(Path, "stat", fail)
    with pytest.raises(ExportAccessError, match="Full Disk Access"):
        IMessageChatLoader(tmp_path / name).load()


@needs_links
@pytest.mark.parametrize("link", ["chat.db", "Library/Messages", f"3d/{SMS}"])
def test_link_to_a_database_outside_is_ignored(tmp_path: Path, link: str) -> None:
    write(tmp_path / "outside" / "chat.db")
    folder = tmp_path / "folder"
    (folder / link).parent.mkdir(parents=True)
    is_folder = link.endswith("Messages")
    target = tmp_path / "outside" / ("" if is_folder else "chat.db")
    (folder / link).symlink_to(target)
    with pytest.raises(ExportNotFoundError, match="contains no Messages database"):
        IMessageChatLoader(folder).load()
    if not is_folder:  # A link given by the user is followed.
        assert texts(folder / link) == ["a"]


@needs_links
@pytest.mark.filterwarnings("ignore:.*its names are not used")
@pytest.mark.parametrize("link", ["AddressBook", "AddressBook/Sources/1"])
def test_link_to_contacts_outside_is_ignored(tmp_path: Path, link: str) -> None:
    folder = tmp_path / "export" / "folder"
    write(folder / "chat.db")
    book = tmp_path / "outside" / "AddressBook-v22.abcddb"
    book.parent.mkdir()
    book.write_text("BEGIN:VCARD\nFN:Ann\nTEL:+15550000001\nEND:VCARD\n")
    (folder / link).parent.mkdir(parents=True, exist_ok=True)
    (folder / link).symlink_to(book.parent)
    assert read_nearby_books(folder / "chat.db") == []
    assert to_people(book.parent).find(["+15550000001"])
