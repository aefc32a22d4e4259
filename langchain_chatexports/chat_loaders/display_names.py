"""Resolve the ids of people to display names, and names to people."""

import unicodedata
from collections.abc import Hashable, Iterable, Iterator, Mapping

from langchain_chatexports.chat_loaders.address_books import Card
from langchain_chatexports.chat_loaders.messages import Conversation, Person
from langchain_chatexports.chat_loaders.names import NameIndex, name_key
from langchain_chatexports.chat_loaders.people import People
from langchain_chatexports.chat_loaders.schema import UNKNOWN_SENDER
from langchain_chatexports.exceptions import SenderNotFoundError

_NOBODY = Person()


class ListedPeople:
    """A list of people with distinct names, which conversations can share."""

    def __init__(self, people: Mapping[str, Person], known: People) -> None:
        self.people = people
        self._known = known
        self._cards: dict[str, Card | None] = {}
        self._distinct_names = make_names_distinct(
            people, {id_: card for id_ in people if (card := self.find_card(id_))}
        )

    def find_card(self, person: str) -> Card | None:
        """Return the row or the card of a person, if any."""
        if person not in self._cards:
            self._cards[person] = self._find_card(person) if self._known else None
        return self._cards[person]

    def display_name(self, person: str) -> str:
        """Return the display name of an id."""
        if name := self._distinct_names.get(person):
            return name
        card = self.find_card(person)
        return card.name if card else person or UNKNOWN_SENDER

    def nicknames(self, person: str) -> Iterator[str]:
        """Yield the other names of a person whom the user's table or contacts name."""
        if card := self.find_card(person):
            name = self.people.get(person, _NOBODY).name
            yield from (n for n in (*card.handles, name) if n and n != card.name)

    def all_names(self, person: str) -> Iterator[str]:
        """Yield the id and all names and handles of a person."""
        listed = self.people.get(person, _NOBODY)
        yield person
        yield self.display_name(person)
        yield listed.name or person
        yield from listed.handles
        yield from self.nicknames(person)

    def _find_card(self, person: str) -> Card | None:
        if not person:
            return None
        listed = self.people.get(person, _NOBODY)
        name = listed.name or person
        # Names come last, since several people can have the same name.
        card = (
            self._known.find([person])
            or self._known.find(listed.handles)
            or self._known.find([name])
        )
        if card is None or card.is_row or card.name == name:
            return card
        # An address book names numbers and addresses, not people who have a name.
        is_named = name_key(name) not in map(name_key, (person, *listed.handles))
        return None if is_named else card


class DisplayNames:
    """The display names in one conversation."""

    def __init__(self, listed: ListedPeople) -> None:
        self.all_names = listed.all_names
        self.nicknames: dict[str, None] = {}
        """Other names of the people displayed so far, from `people`."""

        self._listed = listed
        self._display_names: dict[str, str] = {}
        self._names_by_nfc: dict[str, str] = {}
        self._cards_by_nfc: dict[str, Card | None] = {}

    def has_person(self, person: str) -> bool:
        """Return whether a person is listed or was displayed."""
        return person in self._listed.people or person in self._display_names

    def display_name(self, person: str) -> str:
        """Return the display name of an id."""
        if person not in self._display_names:
            name, card = (
                self._listed.display_name(person),
                self._listed.find_card(person),
            )
            self.nicknames |= dict.fromkeys(self._listed.nicknames(person))
            nfc = unicodedata.normalize("NFC", name)
            if card and self._cards_by_nfc.setdefault(nfc, card) is not card:
                # Two cards with one name, of people whom the export does not list.
                name = nfc = f"{name} ({person})"
            # Phones use different Unicode forms of a name, so keep the first one.
            self._display_names[person] = self._names_by_nfc.setdefault(nfc, name)
        return self._display_names[person]


class KnownNames:
    """The names of the people and conversations of an export, as far as it is read."""

    def __init__(self, known: People | None = None) -> None:
        self.found: set[str] = set()
        """Names, handles, titles and ids of the conversations read so far."""

        self._known = People() if known is None else known
        self._listed: ListedPeople | None = None
        self._names_by_id: dict[str, dict[str, None]] = {}
        self._people: dict[str, Person] = {}
        self._index: NameIndex[str] = NameIndex()

    def open(self, conversation: Conversation, people: Iterable[str]) -> DisplayNames:
        """Return the names in a conversation, whose people may not be listed."""
        listed = self.add_people(conversation.people)
        names = DisplayNames(listed)
        for person in people:
            self._add_name(person, names.display_name(person), listed)
        return names

    def add_people(self, people: Mapping[str, Person]) -> ListedPeople:
        """Add a list of people."""
        if self._listed is not None and people is self._listed.people:
            return self._listed
        self._listed = listed = ListedPeople(people, self._known)
        for person, value in people.items():
            if self._people.get(person) != value:
                self._people[person] = value
                self._index.add(person, listed.all_names(person))
            self._add_name(person, listed.display_name(person), listed)
        return listed

    def find_owner(self, name: str) -> str:
        """Return the id of the person with an id, handle or full name.

        If there is none, returns the name. Raises an error if several people have it.
        """
        ids = (name,) if name in self._names_by_id else self._index.find_same(name)
        cards = [self._listed.find_card(id_) for id_ in ids] if self._listed else []
        is_one = bool(cards) and all(card and card is cards[0] for card in cards)
        if len(ids) > 1 and not is_one:
            msg = (
                f"{len(ids)} people have the name given as the owner. Pass one of "
                f"their ids: {', '.join(ids)}."
            )
            raise SenderNotFoundError(msg)
        return ids[0] if ids else name

    def names_of(self, person: str) -> frozenset[str]:
        """Return all sender names of the person with a full name or handle.

        If the person is not known, returns the name to display for this one.
        """
        groups = [self._names_by_id[id_] for id_ in self._index.find_same(person)]
        names = frozenset(name for group in groups for name in group)
        # People who share no name are not one person.
        if len(groups) == 1 or len(names) < sum(map(len, groups)):
            return names
        card = self._known.find([person])
        return frozenset([card.name if card else person])

    def handles(self) -> dict[str, set[str]]:
        """Return all names and handles of each person, by display name."""
        handles: dict[str, set[str]] = {}
        for person, names in self._names_by_id.items():
            for name in names:
                handles.setdefault(name, set()).update(self._index.names(person))
        return handles

    def _add_name(self, person: str, name: str, listed: ListedPeople) -> None:
        """Add a display name of a person."""
        names = self._names_by_id.setdefault(person, {})
        if name not in names:
            names[name] = None
            self._index.add(person, (name, *listed.all_names(person)))


def make_names_distinct(
    people: Mapping[str, Person], cards: Mapping[str, Card] | None = None
) -> dict[str, str]:
    """Add a handle or id to names that occur more than once: `Ann (ann.two)`.

    People on one of the `cards` have its name; a name from a table is not changed.
    """
    cards = cards or {}
    names = {
        id_: cards[id_].name if id_ in cards else p.name for id_, p in people.items()
    }
    distinct = {id_: name for id_, name in names.items() if name}
    handles = {
        id_: cards[id_].handles if id_ in cards else people[id_].handles
        for id_ in distinct
    }
    suffixes = {id_: next(iter(handles[id_]), id_) for id_ in distinct}
    for suffix_by_id in (suffixes, {id_: id_ for id_ in distinct}):
        owners: dict[str, set[Hashable]] = {}
        for id_, name in distinct.items():
            owners.setdefault(name_key(name), set()).add(cards.get(id_, id_))
        for id_, current in distinct.items():
            name, suffix = names[id_], suffix_by_id[id_]
            is_ambiguous = len(owners[name_key(current)]) > 1
            is_fixed = id_ in cards and cards[id_].is_row
            if is_ambiguous and name != suffix and not is_fixed:
                distinct[id_] = f"{name} ({suffix})"
    return distinct
