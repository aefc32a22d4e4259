"""Names of phone numbers and e-mail addresses, from address books and vCards."""

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
    exists,
    is_sqlite_file,
    open_database,
    path_status,
    read_head,
)
from langchain_chatexports.chat_loaders.imessage.sources import (
    backup_root,
    in_backup,
    is_inside,
)
from langchain_chatexports.chat_loaders.people import address_key, comparable_number
from langchain_chatexports.exceptions import ChatExportError, ExportFormatError

# Far more names than one number has, such as that of a household.
_MAX_NAMES = 200
_MAC_BOOK = "AddressBook-v22.abcddb"
# HomeDomain-Library/AddressBook/AddressBook.sqlitedb
_BACKUP_BOOK = "31bb7ba8914766d4ba40d6dfb6113c8b614be442"
_BESIDE = (
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
    """A person's card."""

    name: str
    addresses: tuple[str, ...]


class Contacts:
    """Finds the person of an address.

    Case does not matter. Phone numbers are compared by all of their digits first, then
    by the last ten if only one person has them.
    """

    def __init__(self, cards: Iterable[Card] = ()) -> None:
        cards = [card for card in cards if card.name.strip()]
        numbers: defaultdict[str, list[int]] = defaultdict(list)
        for number, card in enumerate(cards):
            for address in card.addresses:
                if (key := address_key(address)) is not None:
                    numbers[key].append(number)
        person_of = _same_people(cards, numbers.values()).find
        self._names: dict[Any, str] = {}
        self._addresses: defaultdict[Any, set[str]] = defaultdict(set)
        for number, card in enumerate(cards):
            person = person_of(number)
            names = (self._names.get(person, ""), card.name.strip())
            self._names[person] = max(names, key=_completeness)
            self._addresses[person].update(card.addresses)
        self._exact = {key: set(map(person_of, of)) for key, of in numbers.items()}
        self._national: defaultdict[str, set[Any]] = defaultdict(set)
        for key, persons in self._exact.items():
            self._national[comparable_number(key)] |= persons

    def person_of(self, address: str) -> Any:
        """Return the key of the person of an address; `None` unless there is one."""
        persons = self._persons(address)
        return next(iter(persons)) if len(persons) == 1 else None

    def addresses_beside(self, address: str) -> frozenset[str]:
        """Return all addresses of the person of an address."""
        return frozenset(self._addresses.get(self.person_of(address), ()))

    def name_of(self, address: str) -> str | None:
        """Return the most complete name of an address."""
        names = (self._names[person] for person in self._persons(address))
        return max(names, key=_completeness, default=None)

    def _persons(self, address: str) -> set[Any]:
        key = address_key(address) or ""
        if key in self._exact:
            return self._exact[key]
        number = comparable_number(key)
        persons = self._national.get(number, set()) if number else set()
        return persons if len(persons) == 1 else set()


def _same_people(cards: list[Card], shared: Iterable[list[int]]) -> DisjointSets:
    """Join the cards of a person who is in two accounts.

    They share an address, and one name is part of the other. A shared address alone is
    not enough, since people in a household may share a number.
    """
    same = DisjointSets()
    for numbers in shared:
        longest: list[tuple[frozenset[str], int]] = []
        named = [
            (frozenset(cards[one].name.casefold().split()), one) for one in numbers
        ]
        for words, number in sorted(named, key=lambda each: -len(each[0])):
            longer = [one for others, one in longest if words <= others]
            for one in longer:
                same.join(one, number)
            if not longer and len(longest) < _MAX_NAMES:
                longest.append((words, number))
    return same


def find_contacts(
    contacts: Mapping[str, str] | str | Path | None, database: Path
) -> Contacts:
    """Read the user's contacts, or else those next to the database."""
    if isinstance(contacts, Mapping):
        addresses: defaultdict[str, list[str]] = defaultdict(list)
        for address, name in contacts.items():
            addresses[name].append(address)
        return Contacts(Card(name, tuple(of)) for name, of in addresses.items())
    if contacts is not None:
        return Contacts(_read_cards(Path(contacts).expanduser()))
    folder = database.absolute().parent
    books = [(folder / place, folder.parent) for place in _BESIDE]
    if root := backup_root(database):
        books += [(book, root) for book in in_backup(root, _BACKUP_BOOK)]
    # Links may lead to another person's contacts.
    inside = [book for book, around in books if is_inside(book, around)]
    return Contacts(card for book in inside for card in _cards_beside(book))


def read_vcards(text: str) -> Iterator[Card]:
    """Yield the named cards in a vCard file of any version."""
    found: dict[str, str] = {}
    addresses: list[str] = []
    for key, value in _properties(text):
        if key == "BEGIN":
            found, addresses = {}, []
        elif key == "N":
            family, given, *_ = (*_fields(value), "")
            found["N"] = f"{given} {family}".strip()
        elif key in ("FN", "ORG"):
            found[key] = _fields(value)[0] if key == "ORG" else _unescaped(value)
        elif key in ("TEL", "EMAIL"):
            addresses.append(_unescaped(value))
        elif key == "END":
            name = found.get("FN") or found.get("N") or found.get("ORG")
            if name:
                yield Card(name, tuple(addresses))


def _cards_beside(path: Path) -> list[Card]:
    """Read an address book that was found automatically; warn if that fails."""
    try:
        return _read_cards(path) if exists(path) else []
    except ChatExportError:
        # The error's own text is about Messages.
        message = (
            f"Senders are shown without the names in {escaped(str(path))}, which "
            "cannot be read. Export a vCard file from Contacts and pass it as "
            "`contacts`, or `contacts={}` for no names."
        )
        warnings.warn(message, stacklevel=2)
        return []


def _read_cards(path: Path) -> list[Card]:
    """Read all cards of a file or of a folder of address books."""
    path_status(path)
    if not path.is_dir():
        return _cards_of_file(path)
    books = [path / _MAC_BOOK, *sorted(path.glob(f"Sources/*/{_MAC_BOOK}"))]
    found = [book for book in books if exists(book) and is_inside(book, path)]
    if not found:
        raise _no_contacts(path)
    return [card for book in found for card in _cards_of_file(book)]


def _cards_of_file(path: Path) -> list[Card]:
    if is_sqlite_file(path):
        with open_database(path) as database:
            return list(_cards_of_database(database))
    raw = read_head(path, _MAX_VCARDS_BYTES + 1)
    is_utf_16 = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = raw.decode("utf-16" if is_utf_16 else "utf-8-sig", "replace")
    if "BEGIN:VCARD" not in text.upper() or len(raw) > _MAX_VCARDS_BYTES:
        raise _no_contacts(path)
    return list(read_vcards(text))


def _cards_of_database(database: Database) -> Iterator[Card]:
    """Read the cards of a Mac or of a phone."""
    mac, phone = "ZABCDRECORD", "ABPersonFullTextSearch_content"
    if not database.columns(mac) and not database.columns(phone):
        raise _no_contacts(database.path)
    addresses: defaultdict[Any, list[str]] = defaultdict(list)
    for table, *columns in (
        ("ZABCDPHONENUMBER", "ZOWNER", "ZFULLNUMBER"),
        ("ZABCDEMAILADDRESS", "ZOWNER", "ZADDRESS"),
        ("ZABCDEMAILADDRESS", "ZOWNER", "ZADDRESSNORMALIZED"),
    ):
        for owner, address in _select(database, table, *columns):
            addresses[owner].append(str(address or ""))
    names = ("ZFIRSTNAME", "ZLASTNAME", "ZNICKNAME", "ZORGANIZATION")
    for key, first, last, *others in _select(database, mac, "Z_PK", *names):
        full = f"{first or ''} {last or ''}".strip()
        name = next(filter(None, (full, *others)), None)
        if name and addresses[key]:
            yield Card(str(name), tuple(addresses[key]))
    columns = ["c0First", "c1Last", "c16Phone", "c17Email"]
    for first, last, phones, emails in _select(database, phone, *columns):
        known = f"{phones or ''} {emails or ''}".split()
        yield Card(f"{first or ''} {last or ''}", tuple(known))


def _select(database: Database, table: str, *columns: str) -> Iterator[tuple[Any, ...]]:
    existing = database.columns(table)
    if not existing:
        return iter(())
    listed = (name if name.lower() in existing else "NULL" for name in columns)
    return database.query(f"SELECT {', '.join(listed)} FROM {table}")


def _properties(text: str) -> Iterator[tuple[str, str]]:
    """Yield names (without group) and values of the lines of vCards."""
    lines = iter(_FOLD.sub("", text).splitlines())
    for line in lines:
        head, _, value = line.partition(":")
        name, _, parameters = head.partition(";")
        if _QUOTED_PRINTABLE.search(parameters):
            # Version 2.1 breaks such a line without the fold's white space.
            broken = [value]
            while broken[-1].endswith("="):
                broken[-1] = broken[-1][:-1]
                broken.append(next(lines, ""))
            charset = _CHARSET.search(parameters)
            value = _decoded("".join(broken), charset[1] if charset else "utf-8")
        yield name.rpartition(".")[2].strip().upper(), value.strip()


def _decoded(value: str, charset: str) -> str:
    raw = quopri.decodestring(value.encode("utf-8", "replace"))
    try:
        return raw.decode(charset, "replace")
    except (LookupError, UnicodeError):  # Some encodings ignore "replace".
        return raw.decode("utf-8", "replace")


def _fields(value: str) -> list[str]:
    return [_unescaped(field) for field in re.split(r"(?<!\\);", value)]


def _unescaped(value: str) -> str:
    return _ESCAPE.sub(lambda m: " " if m[1] in "nN" else m[1], value).strip()


def _completeness(name: str) -> tuple[int, int, str]:
    return len(name.split()), len(name), name


def _no_contacts(path: Path) -> ExportFormatError:
    msg = (
        f"{path} holds no contacts that can be read. Give a vCard file (.vcf), the "
        "folder AddressBook of a Mac, or an AddressBook.sqlitedb; or a dictionary from "
        "addresses to names."
    )
    return ExportFormatError(msg, path=path)
