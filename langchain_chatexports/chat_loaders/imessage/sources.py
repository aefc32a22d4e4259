"""Find the Messages database in a path given by the user."""

from collections.abc import Iterator
from pathlib import Path

from langchain_chatexports.chat_loaders.imessage.database import (
    exists,
    is_sqlite_file,
    path_status,
    read_head,
)
from langchain_chatexports.exceptions import EncryptedExportError, ExportNotFoundError

# Files in a backup are named by the SHA-1 of domain and path, here
# HomeDomain-Library/SMS/sms.db.
BACKUP_DATABASE = "3d0d7e5fb2ce288813306e4d4636395e047a3d28"
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
    """Return the path of the Messages database on a Mac."""
    return Path.home() / "Library" / "Messages" / "chat.db"


def find_database(path: Path) -> Path:
    """Return the database at a path, which may also be a folder or a backup."""
    path_status(path)
    database = _find_in(path) if path.is_dir() else path
    if database is None:
        msg = (
            f"{path} holds no Messages database. Give the path of chat.db or sms.db, "
            "a folder that holds one, or the root of a Finder backup."
        )
        if is_backup(path):
            msg = (
                f"{path} is a backup without messages ({BACKUP_DATABASE} is missing). "
                "Messages in iCloud are not part of a backup: load chat.db from a Mac."
            )
        raise ExportNotFoundError(msg, path=path)
    root = backup_root(database)
    if root and read_head(database, 1) and not is_sqlite_file(database):
        msg = (
            f"{database} is not readable, because {root} is an encrypted backup. In "
            "Finder (or the Apple Devices app), switch off 'Encrypt local backup', "
            "back up again, and load that; or load the sms.db that a tool decrypted."
        )
        raise EncryptedExportError(msg, path=root)
    return database


def is_messages_folder(path: Path) -> bool:
    """Return whether a folder holds a Messages database, or is a backup.

    Raises:
        ExportAccessError: If the system refuses to look.
    """
    return _find_in(path) is not None or is_backup(path)


def is_database_name(path: Path) -> bool:
    """Return whether a file has a name that a Messages database may have."""
    return path.suffix.lower() == ".db" or path.name == BACKUP_DATABASE


def in_backup(root: Path, name: str) -> Iterator[Path]:
    """Yield the possible paths of a file in a backup, the current layout first."""
    for base in (root, root / "Snapshot"):
        yield base / name[:2] / name
        yield base / name


def backup_root(database: Path) -> Path | None:
    """Return the backup that contains a database, if there is one."""
    return next(filter(is_backup, database.absolute().parents[:3]), None)


def is_backup(folder: Path) -> bool:
    """Return whether a folder is the root of a backup."""
    return any(exists(folder / sign) for sign in _BACKUP_SIGNS)


def is_inside(path: Path, folder: Path) -> bool:
    """Return whether a path with its links resolved is inside a folder."""
    return path.resolve().is_relative_to(folder.resolve())


def _find_in(folder: Path) -> Path | None:
    named = (folder / name for name in _NAMES)
    candidates = (*named, *in_backup(folder, BACKUP_DATABASE))
    # Folders may have these names as well.
    found = (path for path in candidates if exists(path) and not path.is_dir())
    return next((path for path in found if is_inside(path, folder)), None)
