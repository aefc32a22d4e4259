"""The names behind phone numbers and e-mail addresses."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from langchain_chatexports.chat_loaders.disjoint_sets import DisjointSets
from langchain_chatexports.chat_loaders.people import address_key

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping

__all__ = ["Card", "Contacts", "cards_of_mapping"]

_NATIONAL_DIGITS = 10
# Names on one address are compared in pairs; a household has fewer.
_MAX_NAMES = 200


class Card(NamedTuple):
    """A person's card."""

    name: str
    addresses: tuple[str, ...]


class Contacts:
    """Finds the card that an address stands on.

    E-mail addresses are compared without regard to case, phone numbers by their
    digits: all of them first, then the last ten, if these name one person only.
    """

    def __init__(self, cards: Iterable[Card] = ()) -> None:
        self._cards = [card for card in cards if card.name.strip()]
        self._exact: defaultdict[str, list[int]] = defaultdict(list)
        self._national: defaultdict[str, list[int]] = defaultdict(list)
        for number, card in enumerate(self._cards):
            for address in card.addresses:
                key = address_key(address)
                if key is None:
                    continue
                self._exact[key].append(number)
                if _is_national(key):
                    self._national[key[-_NATIONAL_DIGITS:]].append(number)
        self._same = self._find_same_people()
        self._names: dict[Hashable, str] = {}
        self._addresses: defaultdict[Hashable, set[str]] = defaultdict(set)
        for number, card in enumerate(self._cards):
            person = self._same.find(number)
            names = (self._names.get(person, ""), card.name.strip())
            self._names[person] = max(names, key=_completeness)
            self._addresses[person].update(card.addresses)

    def card_of(self, address: str) -> Hashable | None:
        """Return the key of the one person that an address belongs to."""
        persons = {self._same.find(number) for number in self._find(address)}
        return persons.pop() if len(persons) == 1 else None

    def addresses_beside(self, address: str) -> frozenset[str]:
        """Return all addresses of the one person that an address belongs to."""
        card = self.card_of(address)
        return frozenset(() if card is None else self._addresses[card])

    def name_of(self, address: str) -> str | None:
        """Return the most complete name that an address stands for."""
        numbers = self._find(address)
        if not numbers:
            return None
        persons = (self._same.find(number) for number in numbers)
        return max((self._names[person] for person in persons), key=_completeness)

    def _find(self, address: str) -> list[int]:
        key = address_key(address)
        if key is None:
            return []
        if key in self._exact:
            return self._exact[key]
        if not _is_national(key):
            return []
        numbers = self._national.get(key[-_NATIONAL_DIGITS:], [])
        persons = {self._same.find(number) for number in numbers}
        return numbers if len(persons) == 1 else []

    def _find_same_people(self) -> DisjointSets:
        """Join the cards of one person, as two accounts keep them.

        They share an address, and one name is a part of the other. A shared address
        alone is not enough: people of one household can share a number.
        """
        same = DisjointSets()
        for numbers in self._exact.values():
            by_words: dict[frozenset[str], int] = {}
            for number in numbers:
                words = frozenset(self._cards[number].name.casefold().split())
                same.join(by_words.setdefault(words, number), number)
            if len(by_words) > _MAX_NAMES:
                continue
            for (words, one), (others, other) in combinations(by_words.items(), 2):
                if words <= others or others <= words:
                    same.join(one, other)
        return same


def cards_of_mapping(names: Mapping[str, str]) -> list[Card]:
    """Return the cards of a plain mapping from address to name: one a name."""
    addresses: defaultdict[str, list[str]] = defaultdict(list)
    for address, name in names.items():
        addresses[name].append(address)
    return [Card(name, tuple(theirs)) for name, theirs in addresses.items()]


def _is_national(key: str) -> bool:
    return key.isdecimal() and len(key) >= _NATIONAL_DIGITS


def _completeness(name: str) -> tuple[int, int, str]:
    return len(name.split()), len(name), name
