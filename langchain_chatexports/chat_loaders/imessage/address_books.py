"""Address books of macOS and iOS, and vCard files."""

from __future__ import annotations

import codecs
import quopri
import re
import warnings
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_chatexports._terminal import escaped
from langchain_chatexports.chat_loaders.imessage.contacts import (
    Card,
    Contacts,
    cards_of_mapping,
)
from langchain_chatexports.chat_loaders.imessage.database import (
    is_sqlite_file,
    open_database,
    path_status,
)
from langchain_chatexports.chat_loaders.imessage.private_copies import read_head
from langchain_chatexports.chat_loaders.imessage.schema import check_plain_tables
from langchain_chatexports.chat_loaders.imessage.sources import (
    backup_root,
    exists,
    in_backup,
)
from langchain_chatexports.exceptions import ChatExportError, ExportFormatError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

__all__ = ["CONTACTS_WANTED", "find_contacts", "read_cards", "read_vcards"]

CONTACTS_WANTED = (
    "a vCard file (.vcf), the folder AddressBook of a Mac, or an AddressBook.sqlitedb"
)
"""What a path of contacts can lead to, for errors."""

_MAC_BOOK = "AddressBook-v22.abcddb"
# HomeDomain-Library/AddressBook/AddressBook.sqlitedb
_BACKUP_BOOK = "31bb7ba8914766d4ba40d6dfb6113c8b614be442"
_BESIDE = (
    "../Application Support/AddressBook",
    "../AddressBook/AddressBook.sqlitedb",
    "AddressBook",
    _MAC_BOOK,
)
_TABLES = (
    "zabcdrecord",
    "zabcdphonenumber",
    "zabcdemailaddress",
    "abpersonfulltextsearch_content",
)
# About 100,000 cards without pictures.
_MAX_VCARDS_BYTES = 64 * 1024 * 1024
_FOLD = re.compile(r"\r?\n[ \t]")
_ESCAPE = re.compile(r"\\(.)")
_QUOTED_PRINTABLE = re.compile(
    r"(?:^|;)(?:ENCODING=)?QUOTED-PRINTABLE(?:;|$)", re.IGNORECASE
)
_CHARSET = re.compile(r"(?:^|;)CHARSET=\"?([\w-]+)", re.IGNORECASE)


def find_contacts(
    contacts: Mapping[str, str] | str | Path | None, database: Path
) -> Contacts:
    """Read the contacts that the user gives, or those that belong to the database.

    Args:
        contacts: A mapping from address to name; or the path of a vCard file, of an
            address book, or of a folder of address books; or `None` for what lies
            where macOS and iOS keep it.
        database: The Messages database.

    Returns:
        The contacts, which may be none.

    Raises:
        ChatExportError: If contacts that the user gives cannot be read.
    """
    if isinstance(contacts, Mapping):
        return Contacts(cards_of_mapping(contacts))
    if contacts is not None:
        return Contacts(read_cards(Path(contacts).expanduser()))
    return Contacts(card for path in _books_of(database) for card in _cards_at(path))


def read_cards(path: Path) -> list[Card]:
    """Read all cards of a file or of a folder of address books.

    Raises:
        ExportNotFoundError: If there is nothing at the path.
        ExportAccessError: If the system refuses to read it.
        ExportFormatError: If it holds no contacts.
    """
    path_status(path, wanted=CONTACTS_WANTED)
    if path.is_dir():
        books = [path / _MAC_BOOK, *sorted(path.glob(f"Sources/*/{_MAC_BOOK}"))]
        found = [book for book in books if exists(book)]
        if not found:
            raise _no_contacts(path)
        return [card for book in found for card in _cards_of_file(book)]
    return _cards_of_file(path)


def _cards_of_file(path: Path) -> list[Card]:
    if is_sqlite_file(path):
        with open_database(path) as connection:
            return list(_cards_of_database(path, connection))
    raw = read_head(path, _MAX_VCARDS_BYTES + 1)
    if len(raw) > _MAX_VCARDS_BYTES:
        raise _no_contacts(path)
    is_utf_16 = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = raw.decode("utf-16" if is_utf_16 else "utf-8-sig", "replace")
    if "BEGIN:VCARD" not in text.upper():
        raise _no_contacts(path)
    return list(read_vcards(text))


def read_vcards(text: str) -> Iterator[Card]:
    """Read vCards of any version.

    Args:
        text: The content of a file.

    Yields:
        A card for each that has a name.
    """
    name, formatted, organization = "", "", ""
    addresses: list[str] = []
    for key, value in _properties(text):
        if key == "BEGIN":
            name, formatted, organization, addresses = "", "", "", []
        elif key == "N":
            family, given, *_ = (*_fields(value), "", "")
            name = f"{given} {family}".strip()
        elif key == "FN":
            formatted = _unescaped(value)
        elif key == "ORG":
            organization = _fields(value)[0]
        elif key in ("TEL", "EMAIL"):
            addresses.append(_unescaped(value))
        elif key == "END" and (formatted or name or organization):
            yield Card(formatted or name or organization, tuple(addresses))


def _books_of(database: Path) -> Iterator[Path]:
    folder = database.absolute().parent
    candidates = [folder / place for place in _BESIDE]
    root = backup_root(database)
    if root is not None:
        candidates += in_backup(root, _BACKUP_BOOK)
    yield from candidates


def _cards_at(path: Path) -> list[Card]:
    """Read an address book that the user did not name; warn if that fails."""
    try:
        return read_cards(path) if exists(path) else []
    except ChatExportError:
        # Not the error's own words: its remedies are those for Messages.
        message = (
            f"Senders are shown without the names in {escaped(str(path))}, which "
            "cannot be read. "
            "Export a vCard file from Contacts and give it as `contacts`, "
            "or `contacts={}` for no names."
        )
        warnings.warn(message, stacklevel=2)
        return []


def _cards_of_database(path: Path, connection: sqlite3.Connection) -> Iterator[Card]:
    check_plain_tables(connection, path, _TABLES)
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    tables = {name for (name,) in names}
    if "ZABCDRECORD" in tables:
        yield from _cards_of_mac(connection, tables)
    elif "ABPersonFullTextSearch_content" in tables:
        yield from _cards_of_phone(connection)
    else:
        raise _no_contacts(path)


def _cards_of_mac(connection: sqlite3.Connection, tables: set[str]) -> Iterator[Card]:
    addresses: defaultdict[Any, list[str]] = defaultdict(list)
    for table, columns in (
        ("ZABCDPHONENUMBER", ("ZOWNER", "ZFULLNUMBER")),
        ("ZABCDEMAILADDRESS", ("ZOWNER", "ZADDRESS")),
        ("ZABCDEMAILADDRESS", ("ZOWNER", "ZADDRESSNORMALIZED")),
    ):
        if table in tables:
            for owner, address in _select(connection, table, columns):
                addresses[owner].append(str(address or ""))
    named = ("Z_PK", "ZFIRSTNAME", "ZLASTNAME", "ZNICKNAME", "ZORGANIZATION")
    records = _select(connection, "ZABCDRECORD", named)
    for key, first, last, nickname, company in records:
        name = f"{first or ''} {last or ''}".strip() or nickname or company
        if name and addresses[key]:
            yield Card(str(name), tuple(addresses[key]))


def _cards_of_phone(connection: sqlite3.Connection) -> Iterator[Card]:
    table = "ABPersonFullTextSearch_content"
    columns = ("c0First", "c1Last", "c16Phone", "c17Email")
    for first, last, phones, emails in _select(connection, table, columns):
        name = f"{first or ''} {last or ''}".strip()
        addresses = f"{phones or ''} {emails or ''}".split()
        if name and addresses:
            yield Card(name, tuple(addresses))


def _select(
    connection: sqlite3.Connection, table: str, columns: tuple[str, ...]
) -> sqlite3.Cursor:
    there = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
    listed = (column if column in there else "NULL" for column in columns)
    return connection.execute(f"SELECT {', '.join(listed)} FROM {table}")


def _properties(text: str) -> Iterator[tuple[str, str]]:
    """Yield names (without group) and values of the lines of vCards."""
    unfolded = _FOLD.sub("", text)
    lines = iter(unfolded.splitlines())
    for line in lines:
        head, _, value = line.partition(":")
        name, _, parameters = head.partition(";")
        if _QUOTED_PRINTABLE.search(parameters):
            # Version 2.1 breaks such a line without the fold's white space.
            broken = [value]
            while broken[-1].endswith("="):
                broken[-1] = broken[-1][:-1]
                broken.append(next(lines, ""))
            value = "".join(broken)
            charset = _CHARSET.search(parameters)
            value = _decoded(value, charset[1] if charset else "utf-8")
        yield name.rpartition(".")[2].strip().upper(), value.strip()


def _decoded(value: str, charset: str) -> str:
    raw = quopri.decodestring(value.encode("utf-8", "replace"))
    try:
        return raw.decode(charset, "replace")
    except (LookupError, UnicodeError):  # Some encodings replace nothing.
        return raw.decode("utf-8", "replace")


def _fields(value: str) -> list[str]:
    return [_unescaped(field) for field in re.split(r"(?<!\\);", value)]


def _unescaped(value: str) -> str:
    return _ESCAPE.sub(lambda m: " " if m[1] in "nN" else m[1], value).strip()


def _no_contacts(path: Path) -> ExportFormatError:
    msg = (
        f"{path} holds no contacts that can be read. Give the path of "
        f"{CONTACTS_WANTED}; or a dictionary from address to name."
    )
    return ExportFormatError(msg, path=path)
