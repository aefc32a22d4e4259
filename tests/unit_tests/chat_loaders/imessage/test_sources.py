"""Where a database is found: a file, a folder, a backup."""

import os
import plistlib
import sys
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import IMessageChatLoader
from langchain_chatexports.chat_loaders.imessage.contacts import find_contacts
from langchain_chatexports.exceptions import (
    EncryptedExportError,
    ExportAccessError,
    ExportNotFoundError,
)
from tests.unit_tests.builders.chat_db import ChatDb
from tests.unit_tests.builders.sessions import all_texts

SMS = "3d0d7e5fb2ce288813306e4d4636395e047a3d28"


def write(path: Path, text: str = "a") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with ChatDb(path) as db:
        db.chat("+15550000001").message(text)


def write_manifest(root: Path, *, encrypted: bool) -> None:
    root.mkdir(parents=True, exist_ok=True)
    manifest = {"IsEncrypted": encrypted, "Version": "10.0"}
    (root / "Manifest.plist").write_bytes(
        plistlib.dumps(manifest, fmt=plistlib.FMT_BINARY)
    )


def texts(path: Path | str) -> list[Any]:
    return all_texts(IMessageChatLoader(path))


@pytest.mark.parametrize(
    "place",
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
def test_database_is_found_in_a_folder(tmp_path: Path, place: str) -> None:
    write(tmp_path / place)
    assert texts(tmp_path) == ["a"]


def test_default_is_the_macs_own_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    write(tmp_path / "Library" / "Messages" / "chat.db")
    assert len(IMessageChatLoader().load()) == 1


def test_folder_by_the_name_of_the_database_is_not_taken_for_it(tmp_path: Path) -> None:
    (tmp_path / "chat.db").mkdir()
    with pytest.raises(ExportNotFoundError, match="holds no Messages database"):
        IMessageChatLoader(tmp_path).load()
    write(tmp_path / "sms.db")
    assert texts(tmp_path) == ["a"]


@pytest.mark.parametrize(
    "sign", ["Manifest.db", "Manifest.plist", "Info.plist", "Status.plist"]
)
def test_backup_is_told_by_its_structure(tmp_path: Path, sign: Any) -> None:
    (tmp_path / sign).touch()
    with pytest.raises(ExportNotFoundError, match="is a backup without messages"):
        IMessageChatLoader(tmp_path).load()


@pytest.mark.parametrize("entry", ["root", "file"])
def test_encrypted_backup_says_how_to_get_a_readable_one(
    tmp_path: Path, entry: str
) -> None:
    write_manifest(tmp_path, encrypted=True)
    file = tmp_path / "3d" / SMS
    file.parent.mkdir()
    file.write_bytes(os.urandom(8192))
    loader = IMessageChatLoader(tmp_path if entry == "root" else file)
    with pytest.raises(EncryptedExportError, match="Encrypt local backup"):
        loader.load()


def test_refusal_to_look_into_a_folder_is_an_access_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As macOS refuses it, and for whoever runs the tests as root, too."""
    write(tmp_path / "chat.db")
    stat = Path.stat

    def refuse(self: Path, **options: Any) -> os.stat_result:
        if self.parent == tmp_path:
            raise PermissionError(1, "Operation not permitted", str(self))
        return stat(self, **options)

    loader = IMessageChatLoader(tmp_path)
    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(ExportAccessError, match="Full Disk Access"):
        loader.load()


@pytest.mark.skipif(sys.platform == "win32", reason="Links need rights there.")
@pytest.mark.parametrize("link", ["chat.db", "Library/Messages", f"3d/{SMS}"])
def test_a_link_in_a_folder_leads_to_no_database_outside(
    tmp_path: Path, link: str
) -> None:
    write(tmp_path / "outside" / "chat.db")
    folder = tmp_path / "folder"
    (folder / link).parent.mkdir(parents=True)
    is_folder = link.endswith("Messages")
    target = tmp_path / "outside" / ("" if is_folder else "chat.db")
    (folder / link).symlink_to(target)
    with pytest.raises(ExportNotFoundError, match="holds no Messages database"):
        IMessageChatLoader(folder).load()
    if not is_folder:  # A link that the user names is followed.
        assert texts(folder / link) == ["a"]


@pytest.mark.skipif(sys.platform == "win32", reason="Links need rights there.")
@pytest.mark.filterwarnings("ignore:Senders are shown")
@pytest.mark.parametrize("link", ["AddressBook", "AddressBook/Sources/1"])
def test_a_link_beside_a_database_leads_to_no_contacts_outside(
    tmp_path: Path, link: str
) -> None:
    folder = tmp_path / "export" / "folder"
    write(folder / "chat.db")
    book = tmp_path / "outside" / "AddressBook-v22.abcddb"
    book.parent.mkdir()
    book.write_text("BEGIN:VCARD\nFN:Ann\nTEL:+15550000001\nEND:VCARD\n")
    (folder / link).parent.mkdir(parents=True, exist_ok=True)
    (folder / link).symlink_to(book.parent)
    assert find_contacts(None, folder / "chat.db").name_of("+15550000001") is None
    named = find_contacts(book.parent, folder / "chat.db")
    assert named.name_of("+15550000001") == "Ann"
