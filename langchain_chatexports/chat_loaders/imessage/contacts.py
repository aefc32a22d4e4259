"""Read names for phone numbers and e-mail addresses from address books and vCards."""

import codecs
import quopri
import re
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from langchain_chatexports._terminal import escaped
from langchain_chatexports.chat_loaders.disjoint_sets import DisjointSets
from langchain_chatexports.chat_loaders.imessage.database import (
    Database,
    is_sqlite_file,
    open_database,
    path_exists,
    read_head,
    stat_path,
)
from langchain_chatexports.chat_loaders.imessage.sources import (
    backup_paths,
    backup_root,
    is_inside,
)
from langchain_chatexports.chat_loaders.people import address_key, national_number
from langchain_chatexports.exceptions import ChatExportError, ExportFormatError

# Far more than any household that shares a phone number.
_MAX_NAMES = 200
_MAC_BOOK = "AddressBook-v22.abcddb"
# HomeDomain-Library/AddressBook/AddressBook.sqlitedb
_BACKUP_BOOK = "31bb7ba8914766d4ba40d6dfb6113c8b614be442"
_NEARBY_BOOKS = (
    "../Application Support/AddressBook",
    "../AddressBook/AddressBook.sqlitedb",
    "AddressBook",
    _MAC_BOOK,
)
# About 100,000 cards without pictures.
_MAX_VCARDS_BYTES = 64 * 1024 * 1024
_FOLD = re.compile(r"\r?\n[ \t]")
_ESCAPE = re.compile(r"\\(.)")
_QUOTED_PRINTABLE = re.compile(
    r"(?:^|;)(?:ENCODING=)?QUOTED-PRINTABLE(?:;|$)", re.IGNORECASE
)
_CHARSET = re.compile(r"(?:^|;)CHARSET=\"?([\w-]+)", re.IGNORECASE)


class Card(NamedTuple):
    """A card in an address book."""

    name: str
    addresses: tuple[str, ...]


class Contacts:
    """Finds people by address, ignoring case.

    Phone numbers match on all digits, or on the last ten if only one person has them.
    """

    def __init__(self, cards: Iterable[Card]) -> None:
        cards = [card for card in cards if card.name.strip()]
        indexes: defaultdict[str, list[int]] = defaultdict(list)
        for index, card in enumerate(cards):
            for address in card.addresses:
                if (key := address_key(address)) is not None:
                    indexes[key].append(index)
        find_person = _join_cards(cards, indexes.values()).find
        self._names: dict[Any, str] = {}
        self._addresses: defaultdict[Any, set[str]] = defaultdict(set)
        for index, card in enumerate(cards):
            person = find_person(index)
            names = (self._names.get(person, ""), card.name.strip())
            self._names[person] = max(names, key=_name_sort_key)
            self._addresses[person].update(card.addresses)
        self._people_by_key = {
            key: set(map(find_person, group)) for key, group in indexes.items()
        }
        self._people_by_number: defaultdict[str, set[Any]] = defaultdict(set)
        for key, people in self._people_by_key.items():
            self._people_by_number[national_number(key)] |= people

    def find_person(self, address: str) -> Any:
        """Return a key for the person an address uniquely belongs to, or `None`."""
        people = self._find_people(address)
        return next(iter(people)) if len(people) == 1 else None

    def find_addresses(self, address: str) -> frozenset[str]:
        """Return all addresses of the person an address uniquely belongs to."""
        return frozenset(self._addresses.get(self.find_person(address), ()))

    def find_name(self, address: str) -> str | None:
        """Return the most complete name for an address."""
        names = (self._names[person] for person in self._find_people(address))
        return max(names, key=_name_sort_key, default=None)

    def _find_people(self, address: str) -> set[Any]:
        key = address_key(address) or ""
        if key in self._people_by_key:
            return self._people_by_key[key]
        number = national_number(key)
        people = self._people_by_number.get(number, set()) if number else set()
        return people if len(people) == 1 else set()


def _join_cards(cards: list[Card], index_groups: Iterable[list[int]]) -> DisjointSets:
    """Join cards of the same person from different accounts.

    Such cards share an address, and one name contains the words of the other. A shared
    address alone is not enough, since households may share a phone number.
    """
    cards_by_person = DisjointSets()
    for indexes in index_groups:
        full_names: list[tuple[frozenset[str], int]] = []
        all_names = [
            (frozenset(cards[index].name.casefold().split()), index)
            for index in indexes
        ]
        for words, index in sorted(all_names, key=lambda item: -len(item[0])):
            supersets = [other for name, other in full_names if words <= name]
            for other in supersets:
                cards_by_person.join(other, index)
            if not supersets and len(full_names) < _MAX_NAMES:
                full_names.append((words, index))
    return cards_by_person


def find_contacts(
    contacts: Mapping[str, str] | str | Path | None, database: Path
) -> Contacts:
    """Load the given contacts, or the address books found near the database."""
    if isinstance(contacts, Mapping):
        addresses: defaultdict[str, list[str]] = defaultdict(list)
        for address, name in contacts.items():
            addresses[name].append(address)
        return Contacts(Card(name, tuple(group)) for name, group in addresses.items())
    if contacts is not None:
        return Contacts(_read_cards(Path(contacts).expanduser()))
    folder = database.absolute().parent
    candidates = [(folder / name, folder.parent) for name in _NEARBY_BOOKS]
    if root := backup_root(database):
        candidates += [(path, root) for path in backup_paths(root, _BACKUP_BOOK)]
    # Links may point to another person's contacts.
    books = [path for path, parent in candidates if is_inside(path, parent)]
    return Contacts(card for path in books for card in _read_nearby_book(path))


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


def _read_nearby_book(path: Path) -> list[Card]:
    """Read an address book near the database, or warn if it is unreadable."""
    try:
        return _read_cards(path) if path_exists(path) else []
    except ChatExportError:
        # The error's own message is about the Messages database.
        message = (
            f"{escaped(str(path))} cannot be read, so its names are not used. "
            "Export a vCard file from Contacts and pass it as `contacts`, or pass "
            "`contacts={}` to ignore contacts."
        )
        warnings.warn(message, stacklevel=2)
        return []


def _read_cards(path: Path) -> list[Card]:
    """Read the cards in a file, or in a folder with address books."""
    stat_path(path)
    if not path.is_dir():
        return _read_file(path)
    books = [path / _MAC_BOOK, *sorted(path.glob(f"Sources/*/{_MAC_BOOK}"))]
    books = [book for book in books if path_exists(book) and is_inside(book, path)]
    if not books:
        raise _no_contacts_error(path)
    return [card for book in books for card in _read_file(book)]


def _read_file(path: Path) -> list[Card]:
    if is_sqlite_file(path):
        with open_database(path) as database:
            return list(_read_database(database))
    data = read_head(path, _MAX_VCARDS_BYTES + 1)
    is_utf_16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = data.decode("utf-16" if is_utf_16 else "utf-8-sig", "replace")
    if "BEGIN:VCARD" not in text.upper() or len(data) > _MAX_VCARDS_BYTES:
        raise _no_contacts_error(path)
    return list(read_vcards(text))


def _read_database(database: Database) -> Iterator[Card]:
    """Yield the cards in the address book of a Mac or phone."""
    mac, phone = "ZABCDRECORD", "ABPersonFullTextSearch_content"
    if not database.get_columns(mac) and not database.get_columns(phone):
        raise _no_contacts_error(database.path)
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
            value = _decode("".join(parts), charset[1] if charset else "utf-8")
        yield name.rpartition(".")[2].strip().upper(), value.strip()


def _decode(value: str, charset: str) -> str:
    data = quopri.decodestring(value.encode("utf-8", "replace"))
    try:
        return data.decode(charset, "replace")
    except (LookupError, UnicodeError):  # Some codecs ignore "replace".
        return data.decode("utf-8", "replace")


def _split_fields(value: str) -> list[str]:
    return [_unescape(field) for field in re.split(r"(?<!\\);", value)]


def _unescape(value: str) -> str:
    return _ESCAPE.sub(lambda m: " " if m[1] in "nN" else m[1], value).strip()


def _name_sort_key(name: str) -> tuple[int, int, str]:
    return len(name.split()), len(name), name


def _no_contacts_error(path: Path) -> ExportFormatError:
    msg = (
        f"{path} contains no readable contacts. Pass a vCard file (.vcf), a Mac's "
        "AddressBook folder, an AddressBook.sqlitedb, or a dictionary that maps "
        "addresses to names."
    )
    return ExportFormatError(msg, path=path)
