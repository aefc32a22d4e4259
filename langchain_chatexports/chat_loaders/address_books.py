"""Read people from vCards and from the address books of macOS and iOS."""

import codecs
import quopri
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langchain_chatexports._regular_files import is_inside
from langchain_chatexports.chat_loaders.database import (
    Database,
    is_sqlite_file,
    open_database,
    path_exists,
    read_head,
    stat_path,
)
from langchain_chatexports.exceptions import ExportFormatError

MAC_BOOK = "AddressBook-v22.abcddb"
"""The name of a Mac's address book, in its folder and in that of each account."""

_SUFFIXES = (".vcf", ".abcddb", ".sqlitedb")
_FIRST_LINE = "BEGIN:VCARD"
_HEAD_BYTES = 64
# About 100,000 cards without pictures.
_MAX_VCARDS_BYTES = 64 * 1024 * 1024
_FOLD = re.compile(r"\r?\n[ \t]")
_ESCAPE = re.compile(r"\\(.)")
_QUOTED_PRINTABLE = re.compile(
    r"(?:^|;)(?:ENCODING=)?QUOTED-PRINTABLE(?:;|$)", re.IGNORECASE
)
_CHARSET = re.compile(r"(?:^|;)CHARSET=\"?([\w-]+)", re.IGNORECASE)


@dataclass(frozen=True, eq=False)  # Two people can have equal cards.
class Card:
    """A person in an address book or a table of people."""

    name: str
    """The name to show."""

    handles: tuple[str, ...]
    """What the person is found by: in an address book the phone numbers and e-mail
    addresses, in a table all names and handles."""

    is_row: bool = False
    """Whether this is a row of a table, which renames people who have a name."""


def is_address_book(path: Path) -> bool:
    """Return whether a path is a folder, a vCard file or a database."""
    stat_path(path)
    if path.is_dir() or path.suffix.lower() in _SUFFIXES or is_sqlite_file(path):
        return True
    return _decode(read_head(path, _HEAD_BYTES)).lstrip().startswith(_FIRST_LINE)


def read_address_book(path: Path) -> list[Card]:
    """Read the cards in a file, or in a folder of vCards or of a Mac's address book.

    Raises:
        ChatExportError: If there are no cards, or access is denied.
    """
    if not path.is_dir():
        return _read_file(path)
    books = [path / MAC_BOOK, *sorted(path.glob(f"Sources/*/{MAC_BOOK}"))]
    books += sorted(file for file in path.iterdir() if file.suffix.lower() == ".vcf")
    books = [book for book in books if path_exists(book) and is_inside(book, path)]
    if not books:
        raise _no_cards_error(path)
    return [card for book in books for card in _read_file(book)]


def read_vcards(text: str) -> Iterator[Card]:
    """Yield the cards that have a name, from vCards of any version."""
    name_fields: dict[str, str] = {}
    addresses: list[str] = []
    for key, value in _parse_properties(text):
        if key == "BEGIN":
            name_fields, addresses = {}, []
        elif key == "N":
            family, given, *_ = (*_split_fields(value), "")
            name_fields["N"] = f"{given} {family}".strip()
        elif key in ("FN", "ORG"):
            name_fields[key] = (
                _split_fields(value)[0] if key == "ORG" else _unescape(value)
            )
        elif key in ("TEL", "EMAIL"):
            addresses.append(_unescape(value))
        elif key == "END":
            names = map(name_fields.get, ("FN", "N", "ORG"))
            if name := next(filter(None, names), None):
                yield Card(name, tuple(addresses))


def _read_file(path: Path) -> list[Card]:
    if is_sqlite_file(path):
        try:
            with open_database(path) as database:
                return list(_read_database(database))
        except ExportFormatError as error:  # Its message is about Messages.
            raise _no_cards_error(path) from error
    data = read_head(path, _MAX_VCARDS_BYTES + 1)
    text = _decode(data)
    if _FIRST_LINE not in text.upper() or len(data) > _MAX_VCARDS_BYTES:
        raise _no_cards_error(path)
    return list(read_vcards(text))


def _decode(data: bytes) -> str:
    is_utf_16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if is_utf_16 else "utf-8-sig", "replace")


def _read_database(database: Database) -> Iterator[Card]:
    """Yield the cards in the address book of a Mac or phone."""
    mac, phone = "ZABCDRECORD", "ABPersonFullTextSearch_content"
    if not database.get_columns(mac) and not database.get_columns(phone):
        raise _no_cards_error(database.path)
    addresses: defaultdict[Any, list[str]] = defaultdict(list)
    for table, *columns in (
        ("ZABCDPHONENUMBER", "ZOWNER", "ZFULLNUMBER"),
        ("ZABCDEMAILADDRESS", "ZOWNER", "ZADDRESS"),
        ("ZABCDEMAILADDRESS", "ZOWNER", "ZADDRESSNORMALIZED"),
    ):
        for owner, address in _select(database, table, *columns):
            addresses[owner].append(str(address or ""))
    names = ("ZFIRSTNAME", "ZLASTNAME", "ZNICKNAME", "ZORGANIZATION")
    for key, first, last, *other_names in _select(database, mac, "Z_PK", *names):
        full_name = f"{first or ''} {last or ''}".strip()
        name = next(filter(None, (full_name, *other_names)), None)
        if name and addresses[key]:
            yield Card(str(name), tuple(addresses[key]))
    columns = ["c0First", "c1Last", "c16Phone", "c17Email"]
    for first, last, phones, emails in _select(database, phone, *columns):
        values = f"{phones or ''} {emails or ''}".split()
        yield Card(f"{first or ''} {last or ''}", tuple(values))


def _select(database: Database, table: str, *columns: str) -> Iterator[tuple[Any, ...]]:
    existing = database.get_columns(table)
    if not existing:
        return iter(())
    values = (name if name.lower() in existing else "NULL" for name in columns)
    return database.query(f"SELECT {', '.join(values)} FROM {table}")


def _parse_properties(text: str) -> Iterator[tuple[str, str]]:
    """Yield pairs of property name (without its group) and value from vCards."""
    lines = iter(_FOLD.sub("", text).splitlines())
    for line in lines:
        head, _, value = line.partition(":")
        name, _, parameters = head.partition(";")
        if _QUOTED_PRINTABLE.search(parameters):
            # Version 2.1 breaks these lines without indenting the next one.
            parts = [value]
            while parts[-1].endswith("="):
                parts[-1] = parts[-1][:-1]
                parts.append(next(lines, ""))
            charset = _CHARSET.search(parameters)
            value = _decode_quoted("".join(parts), charset[1] if charset else "utf-8")
        yield name.rpartition(".")[2].strip().upper(), value.strip()


def _decode_quoted(value: str, charset: str) -> str:
    data = quopri.decodestring(value.encode("utf-8", "replace"))
    try:
        return data.decode(charset, "replace")
    except (LookupError, UnicodeError):  # Some codecs ignore "replace".
        return data.decode("utf-8", "replace")


def _split_fields(value: str) -> list[str]:
    return [_unescape(field) for field in re.split(r"(?<!\\);", value)]


def _unescape(value: str) -> str:
    return _ESCAPE.sub(lambda m: " " if m[1] in "nN" else m[1], value).strip()


def _no_cards_error(path: Path) -> ExportFormatError:
    msg = (
        f"{path} contains no readable contacts. Pass a vCard file (.vcf), a Mac's "
        "AddressBook folder or an AddressBook.sqlitedb."
    )
    return ExportFormatError(msg, path=path)
