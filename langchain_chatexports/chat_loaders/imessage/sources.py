"""Find the Messages database at a path given by the user."""

from collections.abc import Iterator
from pathlib import Path

from langchain_chatexports._regular_files import is_inside
from langchain_chatexports._translation import Sentence
from langchain_chatexports.chat_loaders.database import (
    is_sqlite_file,
    path_exists,
    read_head,
    stat_path,
)
from langchain_chatexports.exceptions import EncryptedExportError, ExportNotFoundError

# Files in a backup are named after the SHA-1 of domain and path, here of
# HomeDomain-Library/SMS/sms.db.
BACKUP_DATABASE = "3d0d7e5fb2ce288813306e4d4636395e047a3d28"
_BACKUP_FILES = (
    "Manifest.db",
    "Manifest.plist",
    "Manifest.mbdb",
    "Info.plist",
    "Status.plist",
)
_DATABASE_PATHS = (
    "chat.db",
    "sms.db",
    "Library/Messages/chat.db",
    "Library/SMS/sms.db",
)


def default_path() -> Path:
    """Return the path to the Messages database on a Mac."""
    return Path.home() / "Library" / "Messages" / "chat.db"


def find_database(path: Path) -> Path:
    """Return the database at a path, or in the folder or backup at that path."""
    stat_path(path)
    database = _find_in_folder(path) if path.is_dir() else path
    if database is None:
        msg = (
            f"{path} contains no Messages database. Pass the path to chat.db, "
            "sms.db, a folder that contains one, or the root of a Finder backup."
        )
        if is_backup(path):
            msg = (
                f"{path} is a backup without messages ({BACKUP_DATABASE} is missing). "
                "Messages in iCloud are not part of a backup: load chat.db from a Mac."
            )
        raise ExportNotFoundError(msg, path=path)
    root = backup_root(database)
    if root and read_head(database, 1) and not is_sqlite_file(database):
        msg = Sentence(
            "{path} cannot be read, because {backup} is an encrypted backup. In "
            "Finder (or the Apple Devices app), switch off 'Encrypt local backup', "
            "back up again, and load the new backup. Or load a decrypted sms.db.",
            path=database,
            backup=root,
        )
        raise EncryptedExportError(msg, path=root)
    return database


def is_messages_folder(path: Path) -> bool:
    """Return whether a folder is a backup or contains a Messages database.

    Raises:
        ExportAccessError: If the system denies access.
    """
    return _find_in_folder(path) is not None or is_backup(path)


def is_database_name(path: Path) -> bool:
    """Return whether a file name could be a Messages database's."""
    return path.suffix.lower() == ".db" or path.name == BACKUP_DATABASE


def backup_paths(root: Path, name: str) -> Iterator[Path]:
    """Yield the possible paths of a file in a backup, current layout first."""
    for base in (root, root / "Snapshot"):
        yield base / name[:2] / name
        yield base / name


def backup_root(database: Path) -> Path | None:
    """Return the backup that contains a database, or `None`."""
    return next(filter(is_backup, database.absolute().parents[:3]), None)


def is_backup(folder: Path) -> bool:
    """Return whether a folder is the root of a backup."""
    return any(path_exists(folder / name) for name in _BACKUP_FILES)


def _find_in_folder(folder: Path) -> Path | None:
    paths = (folder / name for name in _DATABASE_PATHS)
    candidates = (*paths, *backup_paths(folder, BACKUP_DATABASE))
    # Folders may also have these names.
    files = (path for path in candidates if path_exists(path) and not path.is_dir())
    return next((path for path in files if is_inside(path, folder)), None)
