"""Find the Messages database in what the user names."""

from __future__ import annotations

from pathlib import Path
from stat import S_ISDIR
from typing import TYPE_CHECKING

from langchain_chatexports.chat_loaders.imessage.database import (
    access_refused,
    is_sqlite_file,
    path_status,
)
from langchain_chatexports.chat_loaders.imessage.plists import read_plist
from langchain_chatexports.chat_loaders.imessage.private_copies import read_head
from langchain_chatexports.exceptions import (
    EncryptedExportError,
    ExportFormatError,
    ExportNotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "BACKUP_DATABASE",
    "backup_root",
    "default_path",
    "exists",
    "find_database",
    "in_backup",
    "is_backup",
]

# A backup names each file by the SHA-1 of its domain and path: this one is
# HomeDomain-Library/SMS/sms.db.
BACKUP_DATABASE = "3d0d7e5fb2ce288813306e4d4636395e047a3d28"
_MAX_MANIFEST_BYTES = 64 * 1024 * 1024
_BACKUP_SIGNS = (
    "Manifest.db",
    "Manifest.plist",
    "Manifest.mbdb",
    "Info.plist",
    "Status.plist",
)
_NAMES = (
    "chat.db",
    "sms.db",
    "Library/Messages/chat.db",
    "Library/SMS/sms.db",
)


def default_path() -> Path:
    """Return the place where a Mac keeps its Messages."""
    return Path.home() / "Library" / "Messages" / "chat.db"


def find_database(path: Path) -> Path:
    """Find the database in a file, a folder or a backup.

    Args:
        path: `chat.db`, `sms.db`, a folder that holds one, or the root of a backup.

    Returns:
        The database file.

    Raises:
        ExportNotFoundError: If there is none.
        ExportAccessError: If the system refuses to look.
        EncryptedExportError: If it is in an encrypted backup.
    """
    database = path
    if S_ISDIR(path_status(path).st_mode):
        database = _database_in(path)
    root = backup_root(database)
    if root and _is_encrypted(root) and not is_sqlite_file(database):
        msg = (
            f"{root} is an encrypted backup. In Finder (or the Apple Devices app), "
            "switch off 'Encrypt local backup', back up again, and load that; or load "
            "the sms.db that a tool decrypted."
        )
        raise EncryptedExportError(msg, path=root)
    return database


def in_backup(root: Path, name: str) -> Iterator[Path]:
    """Yield the places that a file of a backup can have, current layout first."""
    for base in (root, root / "Snapshot"):
        yield base / name[:2] / name
        yield base / name


def backup_root(database: Path) -> Path | None:
    """Return the backup that a database is in, if it is in one."""
    for folder in database.absolute().parents[:3]:
        if is_backup(folder):
            return folder
    return None


def is_backup(folder: Path) -> bool:
    """Return whether a folder is the root of a backup."""
    return any(exists(folder / sign) for sign in _BACKUP_SIGNS)


def _database_in(folder: Path) -> Path:
    named = (folder / name for name in _NAMES)
    for candidate in (*named, *in_backup(folder, BACKUP_DATABASE)):
        # A folder can have such a name, too.
        if exists(candidate) and not candidate.is_dir():
            return candidate
    if is_backup(folder):
        msg = (
            f"{folder} is a backup without messages ({BACKUP_DATABASE} is missing). "
            "Messages in iCloud are not part of a backup: load chat.db from a Mac."
        )
    else:
        msg = (
            f"{folder} holds no Messages database. Give the path of chat.db or sms.db, "
            "a folder that holds one, or the root of a Finder backup."
        )
    raise ExportNotFoundError(msg, path=folder)


def _is_encrypted(root: Path) -> bool:
    try:
        entries = read_plist(read_head(root / "Manifest.plist", _MAX_MANIFEST_BYTES))
    except (OSError, ExportFormatError):
        return False
    return isinstance(entries, dict) and bool(entries.get("IsEncrypted"))


def exists(path: Path) -> bool:
    """Return whether there is something at a path.

    Raises:
        ExportAccessError: If the system refuses to tell.
    """
    try:
        path.stat()
    except PermissionError as error:
        raise access_refused(path) from error
    except OSError:
        return False
    return True
