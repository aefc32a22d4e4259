"""People with their names and handles, from tables and address books."""

import csv
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self, TypeAlias

from langchain_chatexports._regular_files import open_regular_file, translate_os_errors
from langchain_chatexports._translation import Sentence
from langchain_chatexports.chat_loaders.address_books import (
    Card,
    is_address_book,
    read_address_book,
)
from langchain_chatexports.chat_loaders.disjoint_sets import DisjointSets
from langchain_chatexports.chat_loaders.names import NameIndex, address_key, name_key
from langchain_chatexports.exceptions import ExportFormatError

_MAX_BYTES = 16 * 1024 * 1024
_COMMENT = "#"
_DELIMITERS = ";\t,"
# Far more than any household that shares a phone number.
_MAX_NAMES = 200


class People:
    """Finds people by their names and handles.

    Case does not matter, nor does the format of phone numbers, which match on all
    digits, or on the last ten if only one person has them. Rows of a table come before
    cards of an address book.
    """

    def __init__(
        self, rows: Iterable[Card] = (), cards: Iterable[Card] | None = None
    ) -> None:
        """Initialize with the rows of tables and the cards of address books, if any."""
        self.rows = tuple(rows)
        self.cards = tuple(_merge_cards(cards or ()))
        self.has_address_book = cards is not None
        self._rows, self._cards = _index(self.rows), _index(self.cards)

    def __bool__(self) -> bool:
        """Return whether there is anyone to find."""
        return bool(self.rows or self.cards)

    def find(self, names: Iterable[str]) -> Card | None:
        """Return the only person with one of these names or handles."""
        names = tuple(names)
        row, card = _find(self._rows, names), _find(self._cards, names)
        if row is None and card is not None:
            # A table may have another name for the one in the address book.
            row = _find(self._rows, [card.name])
        return row or card

    def with_address_book(self, cards: Iterable[Card]) -> Self:
        """Return these people with the cards of an address book."""
        return type(self)(self.rows, cards)


PeopleSource: TypeAlias = (
    People | Mapping[str, str | Collection[str]] | str | Path | Collection[str | Path]
)
"""Paths of tables, vCards and address books, or a mapping of names to show to other
names and handles of the same person."""


def to_people(source: PeopleSource | None) -> People:
    """Read people from a mapping or from files; an empty mapping has no people."""
    if source is None or isinstance(source, People):
        return People() if source is None else source
    if isinstance(source, Mapping):
        rows = [
            (name, *([others] if isinstance(others, str) else others))
            for name, others in source.items()
        ]
        # Without any names, a loader does not look for an address book either.
        return People(_convert_rows(rows), None if rows else ())
    paths = [source] if isinstance(source, (str, Path)) else source
    tables: list[Card] = []
    cards: list[Card] | None = None
    for path in (Path(path).expanduser() for path in paths):
        if is_address_book(path):
            cards = [*(cards or ()), *read_address_book(path)]
        else:
            tables += _convert_rows(_read_rows(path), path)
    return People(_convert_rows(card.handles for card in tables), cards)


def _convert_rows(
    rows: Iterable[Sequence[str]], path: Path | None = None
) -> list[Card]:
    """Convert rows of names to cards; raise an error if two share a name or handle."""
    stripped = [tuple(filter(None, map(str.strip, row))) for row in rows]
    cards = [Card(row[0], row, is_row=True) for row in stripped if row]
    numbers: dict[str, int] = {}
    for number, card in enumerate(cards, 1):
        for key in map(name_key, card.handles):
            other = numbers.setdefault(key, number)
            if other != number:
                msg = (
                    f"Entries {other} and {number} of "
                    f"{path or 'the table of people'} have a name or handle in common. "
                    "Remove it from one of them, or merge the entries."
                )
                raise ExportFormatError(msg, path=path)
    return cards


def _read_rows(path: Path) -> list[list[str]]:
    remedy = Sentence("Change its permissions, or copy it elsewhere.")
    with translate_os_errors(path, remedy), open_regular_file(path) as file:
        data = file.read(_MAX_BYTES + 1)
    text = None
    with suppress(UnicodeDecodeError):
        text = data.decode("utf-8-sig")
    if text is None or "\0" in text or len(data) > _MAX_BYTES:
        msg = (
            f"{path} is not a table of people in UTF-8. Save it as text (in a "
            "spreadsheet as CSV UTF-8) with one line per person."
        )
        raise ExportFormatError(msg, path=path)
    lines = [line for line in text.splitlines() if not line.startswith(_COMMENT)]
    # The delimiter that spreadsheets use depends on the country.
    delimiters = (d for d in _DELIMITERS if any(d in line for line in lines))
    delimiter = next(delimiters, ";")
    rows = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        filled = [row for row in rows if any(map(str.strip, row))]
    except csv.Error as error:
        msg = f"{path} cannot be parsed ({error}). Close or remove the quotation marks."
        raise ExportFormatError(msg, path=path) from None
    if not filled:
        msg = (
            f"{path} is empty. Write one line per person: the display name, then other "
            "names and handles, separated by semicolons."
        )
        raise ExportFormatError(msg, path=path)
    return filled


def _index(cards: Iterable[Card]) -> NameIndex[Card]:
    return NameIndex({card: card.handles for card in cards})


def _find(index: NameIndex[Card], names: Iterable[str]) -> Card | None:
    found = {card for name in names for card in index.find_same(name)}
    return found.pop() if len(found) == 1 else None


def _merge_cards(cards: Iterable[Card]) -> list[Card]:
    """Merge the cards of each person.

    An address that several people share, such as a household's phone number, gets a
    card of its own, with the most complete of their names.
    """
    cards = [card for card in cards if card.name.strip()]
    # The spellings of each address by card.
    addresses: defaultdict[str, dict[int, str]] = defaultdict(dict)
    for index, card in enumerate(cards):
        for handle in card.handles:
            if key := address_key(handle):
                addresses[key].setdefault(index, handle)
    find_person = _join_cards(cards, addresses.values()).find
    names: defaultdict[Hashable, set[str]] = defaultdict(set)
    for index, card in enumerate(cards):
        names[find_person(index)].add(card.name.strip())
    handles: defaultdict[frozenset[Hashable], list[str]] = defaultdict(list)
    shared: list[Card] = []
    for spellings in addresses.values():
        people = frozenset(map(find_person, spellings))
        if len(people) == 1:
            handles[people] += dict.fromkeys(spellings.values())
        else:
            all_names = set[str]().union(*(names[person] for person in people))
            address = next(iter(spellings.values()))
            shared.append(Card(_most_complete(all_names), (address,)))
    own = [
        Card(_most_complete(names[person]), tuple(handles[people]))
        for people in handles
        for person in people
    ]
    return [*own, *shared]


def _most_complete(names: Iterable[str]) -> str:
    return max(names, key=lambda name: (len(name.split()), len(name), name))


def _join_cards(
    cards: Sequence[Card], index_groups: Iterable[Iterable[int]]
) -> DisjointSets:
    """Join cards of the same person from different accounts.

    Such cards share an address, and one name contains the words of the other. A shared
    address alone is not enough, since households may share a phone number.
    """
    cards_by_person = DisjointSets()
    for indexes in index_groups:
        full_names: list[tuple[frozenset[str], int]] = []
        all_names = [
            (frozenset(name_key(cards[index].name).split()), index) for index in indexes
        ]
        for words, index in sorted(all_names, key=lambda item: -len(item[0])):
            supersets = [other for name, other in full_names if words <= name]
            for other in supersets:
                cards_by_person.join(other, index)
            if not supersets and len(full_names) < _MAX_NAMES:
                full_names.append((words, index))
    return cards_by_person
