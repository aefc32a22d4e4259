"""Find the address book of the Mac or phone that a Messages database comes from."""

import warnings
from pathlib import Path

from langchain_chatexports._regular_files import is_inside
from langchain_chatexports._terminal import escaped
from langchain_chatexports.chat_loaders.address_books import (
    MAC_BOOK,
    Card,
    read_address_book,
)
from langchain_chatexports.chat_loaders.database import path_exists
from langchain_chatexports.chat_loaders.imessage.sources import (
    backup_paths,
    backup_root,
)
from langchain_chatexports.exceptions import ChatExportError

# HomeDomain-Library/AddressBook/AddressBook.sqlitedb
_BACKUP_BOOK = "31bb7ba8914766d4ba40d6dfb6113c8b614be442"
_NEARBY_BOOKS = (
    "../Application Support/AddressBook",
    "../AddressBook/AddressBook.sqlitedb",
    "AddressBook",
    MAC_BOOK,
)


def read_nearby_books(database: Path) -> list[Card]:
    """Read the address books near a database, with a warning if one is unreadable."""
    folder = database.absolute().parent
    candidates = [(folder / name, folder.parent) for name in _NEARBY_BOOKS]
    if root := backup_root(database):
        candidates += [(path, root) for path in backup_paths(root, _BACKUP_BOOK)]
    # Links may point to another person's contacts.
    books = [path for path, parent in candidates if is_inside(path, parent)]
    return [card for path in books for card in _read_book(path)]


def _read_book(path: Path) -> list[Card]:
    try:
        return read_address_book(path) if path_exists(path) else []
    except ChatExportError:
        message = (
            f"{escaped(str(path))} cannot be read, so its names are not used. Export a "
            "vCard file from Contacts and pass it as `people`, or pass `people={}` to "
            "ignore contacts."
        )
        warnings.warn(message, stacklevel=2)
        return []
