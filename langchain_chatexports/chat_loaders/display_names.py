"""Resolve the ids of people to display names, and names to people."""

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from langchain_chatexports.chat_loaders.messages import Conversation, Person
from langchain_chatexports.chat_loaders.people import PeopleTable, name_key
from langchain_chatexports.chat_loaders.schema import UNKNOWN_SENDER

_NOBODY = Person()


class ListedPeople:
    """A list of people with distinct names, which conversations can share."""

    def __init__(
        self, people: Mapping[str, Person], table: PeopleTable | None = None
    ) -> None:
        self.people = people
        self._table = table
        self._distinct_names = make_names_distinct(people)
        self._ids_by_name: dict[str, list[str]] = {}

    def resolve(self, person: str) -> tuple[str, Sequence[str]]:
        """Return the display name of an id, and nicknames from the table of people."""
        default = self._distinct_names.get(person) or person or UNKNOWN_SENDER
        if self._table is None or not person:
            return default, ()
        listed = self.people.get(person, _NOBODY)
        name = listed.name or person
        # Names come last, since several people can have the same name.
        row = (
            self._table.find_row([person])
            or self._table.find_row(listed.handles)
            or self._table.find_row([name])
        )
        if not row:
            return default, ()
        is_nickname = name not in row and name != person
        return row[0], (*row[1:], name) if is_nickname else row[1:]

    def all_names(self, person: str) -> Iterator[str]:
        """Yield the id and all names and handles of a person."""
        listed = self.people.get(person, _NOBODY)
        yield person
        yield self._distinct_names.get(person, person)
        yield listed.name or person
        yield from listed.handles

    def find_ids(self, name: str) -> list[str]:
        """Return the ids that match a handle, a name or an id, in this order.

        Several people can have the same name.
        """
        if name not in self._ids_by_name:
            key, people = name_key(name), self.people
            self._ids_by_name[name] = (
                [id_ for id_ in people if key in map(name_key, people[id_].handles)]
                or [id_ for id_ in people if key in map(name_key, self.all_names(id_))]
                or [id_ for id_ in people if key == name_key(id_)]
            )
        return self._ids_by_name[name]


class DisplayNames:
    """The display names in one conversation."""

    def __init__(self, listed: ListedPeople, members: Collection[str]) -> None:
        self.all_names = listed.all_names
        # Other names of the people displayed so far, from the table of people.
        self.nicknames: dict[str, None] = {}
        self._listed, self._members = listed, members
        self._display_names: dict[str, str] = {}
        self._names_by_nfc: dict[str, str] = {}

    def display_name(self, person: str) -> str:
        """Return the display name of an id."""
        if person not in self._display_names:
            name, nicknames = self._listed.resolve(person)
            self.nicknames |= dict.fromkeys(nicknames)
            # Phones use different Unicode forms of a name, so keep the first one.
            nfc = unicodedata.normalize("NFC", name)
            self._display_names[person] = self._names_by_nfc.setdefault(nfc, name)
        return self._display_names[person]

    def find_ids(self, name: str) -> list[str]:
        """Return the ids that match an id, handle or name, in this order."""
        if name in self._listed.people or name in self._members:
            return [name]
        key = name_key(name)
        return self._listed.find_ids(name) or [
            id_ for id_ in self._members if key == name_key(id_)
        ]


class KnownNames:
    """The names of the people and conversations of an export, as far as it is read."""

    def __init__(self, table: PeopleTable | None = None) -> None:
        self.found: set[str] = set()
        """Names, handles, titles and ids of the conversations read so far."""

        self._table = table
        self._listed: ListedPeople | None = None
        self._names_by_id: dict[str, dict[str, None]] = {}
        self._people: dict[str, Person] = {}
        self._ids_by_key: dict[str, dict[str, None]] = {}
        self._unindexed: list[tuple[str, tuple[str, ...]]] = []

    def open(self, conversation: Conversation) -> DisplayNames:
        """Add the people that a conversation lists, and return its names."""
        return DisplayNames(self.add_people(conversation.people), conversation.members)

    def add_people(self, people: Mapping[str, Person]) -> ListedPeople:
        """Add a list of people."""
        if self._listed is not None and people is self._listed.people:
            return self._listed
        self._listed = listed = ListedPeople(people, self._table)
        for person, value in people.items():
            name, _ = listed.resolve(person)
            is_new_name = name not in self._names_by_id.get(person, ())
            if is_new_name or self._people.get(person) != value:
                self._people[person] = value
                self._add_name(person, name, listed.all_names(person))
        return listed

    def add_conversation(
        self, aliases: Iterable[str], display_names: Mapping[str, str]
    ) -> None:
        """Add the names of a conversation, and its people, who may not be listed."""
        self.found.update(aliases)
        for person, name in display_names.items():
            if name not in self._names_by_id.get(person, ()):
                self._add_name(person, name, [person])

    def names_of(self, person: str) -> frozenset[str]:
        """Return all sender names of the person with a name or handle.

        Case and the format of phone numbers are ignored. If the person is not known,
        returns the name unchanged.
        """
        for id_, names in self._unindexed:
            for name in names:
                self._ids_by_key.setdefault(name_key(name), {})[id_] = None
        self._unindexed.clear()
        ids = self._ids_by_key.get(name_key(person), ())
        if ids:
            return frozenset(name for id_ in ids for name in self._names_by_id[id_])
        row = self._table.find_row([person]) if self._table else ()
        return frozenset(row[:1] or (person,))

    def _add_name(self, person: str, name: str, others: Iterable[str]) -> None:
        """Add a display name of a person, and other names and handles."""
        self._names_by_id.setdefault(person, {})[name] = None
        self._unindexed.append((person, (name, *others)))


def make_names_distinct(people: Mapping[str, Person]) -> dict[str, str]:
    """Add a handle or id to names that occur more than once: `Ann (ann.two)`."""
    distinct = {id_: person.name for id_, person in people.items() if person.name}
    suffixes = {id_: next(iter(people[id_].handles), id_) for id_ in distinct}
    for suffix_by_id in (suffixes, {id_: id_ for id_ in distinct}):
        counts = Counter(map(name_key, distinct.values()))
        for id_, current in distinct.items():
            name, suffix = people[id_].name, suffix_by_id[id_]
            if counts[name_key(current)] > 1 and name != suffix:
                distinct[id_] = f"{name} ({suffix})"
    return distinct
