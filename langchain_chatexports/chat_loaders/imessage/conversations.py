"""Find the people of handles, and the chats that form one conversation."""

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_chatexports.chat_loaders.disjoint_sets import DisjointSets
from langchain_chatexports.chat_loaders.imessage.contacts import Contacts
from langchain_chatexports.chat_loaders.imessage.queries import Activity, Chat, Queries
from langchain_chatexports.chat_loaders.people import address_key

_GROUP_STYLE, _SINGLE_STYLE = 43, 45
_GROUP_MARK, _SINGLE_MARK = ";+;", ";-;"


class People:
    """The people of a database; a person's id is the first address.

    Handles belong to one person if their address is equal, or if Messages
    (`person_centric_id`) or the contacts link them.
    """

    def __init__(
        self, handles: Sequence[tuple[Any, str, str]], contacts: Contacts
    ) -> None:
        self._contacts = contacts
        self._groups = DisjointSets()
        self._ids: dict[Hashable, str] = {}
        # The name of each person, or an address, by id.
        self.names: dict[str, str] = {}
        # All addresses of each person, by id.
        self.handles: dict[str, dict[str, None]] = {}
        for _, address, person_key in handles:
            if person_key:
                self._groups.join(("person", person_key), self._sign(address))
        # The person's id of each handle.
        self.ids = {row_id: self.at(address) for row_id, address, _ in handles}

    def at(self, address: str) -> str:
        """Return the person's id for an address, with or without a handle."""
        person = self._ids.setdefault(self._groups.find(self._sign(address)), address)
        name = self._contacts.name_of(address)
        if name and self.names.get(person, person) == person:
            self.names[person] = name
        self.names.setdefault(person, person)
        known = self.handles.setdefault(person, {})
        known[address] = None
        known |= dict.fromkeys(sorted(self._contacts.addresses_beside(address)))
        return person

    def handles_of(self, name: str) -> frozenset[Any]:
        """Return the handles of a person, by name or address, ignoring case."""
        wanted = {name.strip().casefold(), address_key(name)} - {None}
        return frozenset(
            handle_id
            for handle_id, person in self.ids.items()
            for called in (self.names[person], *self.handles[person])
            if called.casefold() in wanted or address_key(called) in wanted
        )

    def _sign(self, address: str) -> Hashable:
        person = self._contacts.person_of(address)
        return ("address", address.casefold()) if person is None else ("card", person)


@dataclass(frozen=True)
class MergedChats:
    """The chats of one conversation."""

    chats: tuple[Chat, ...]  # In the order of their numbers.
    people: tuple[str, ...]  # The ids of the other people, if the database lists them.
    only_other: str | None  # The id of the other person, if there is exactly one.
    # Whether it is a group; `None` if the database does not show it.
    is_group: bool | None
    is_with_oneself: bool


def merge_chats(
    queries: Queries, people: People, own: Collection[str]
) -> list[MergedChats]:
    """Return the conversations, most recently active first.

    A person's one-to-one chats are merged, and so are groups that the database links.
    Chats with an address in `own` (in lower case) are chats with oneself.
    """
    chats = queries.chats()
    listed: dict[Any, list[str]] = {}
    for chat_id, handle_id in queries.participants():
        if handle_id in people.ids:
            listed.setdefault(chat_id, []).append(people.ids[handle_id])
    members: dict[Hashable, list[tuple[Activity, Chat]]] = {}
    groups = _linked(chats, queries.lookups())
    for active in queries.activity():
        chat = chats.get(active.chat_id) or Chat(active.chat_id)
        person = _only_other(active, chat, listed.get(chat.row_id, ()), people)
        key: Hashable = ("chat", active.chat_id)
        key = groups.find(key) if person is None else ("person", person)
        members.setdefault(key, []).append((active, chat))
    return [_conversation(of, listed, people, own) for of in members.values()]


def _linked(
    chats: Mapping[Any, Chat], lookups: Iterable[tuple[Any, Any]]
) -> DisjointSets:
    """Find the groups that the database links.

    Groups are not linked by their members: the same people can have two groups.
    """
    groups = DisjointSets()
    links = [("group", chat.group_id, chat.row_id) for chat in chats.values()]
    links += [("lookup", identifier, chat_id) for identifier, chat_id in lookups]
    for kind, link, chat_id in links:
        if link and chat_id in chats and _is_group(chats[chat_id]):
            groups.join((kind, link), ("chat", chat_id))
    return groups


def _only_other(
    active: Activity, chat: Chat, listed: Iterable[str], people: People
) -> str | None:
    """Return the other person of a one-to-one chat."""
    speakers = {people.ids.get(handle_id) for handle_id in active.speakers} - {None}
    # In a made-up database both sides of a one-to-one chat can be handles.
    if _is_group(chat) or len(speakers) > 1:
        return None
    persons = set(listed)
    if not persons and chat.identifier:
        return people.at(chat.identifier)
    return persons.pop() if len(persons) == 1 else None


def _conversation(
    members: list[tuple[Activity, Chat]],
    listed: Mapping[Any, list[str]],
    people: People,
    own: Collection[str],
) -> MergedChats:
    # In a made-up database numbers can be of any type.
    chats = sorted(
        (chat for _, chat in members),
        key=lambda chat: (
            (0, chat.row_id) if isinstance(chat.row_id, int) else (1, str(chat.row_id))
        ),
    )
    persons = [person for chat in chats for person in listed.get(chat.row_id, ())]
    signs = {_is_group(chat) for chat in chats} - {None}
    is_group = signs.pop() if len(signs) == 1 else None
    if not persons and is_group is False and chats[0].identifier:
        persons = [people.at(chats[0].identifier)]
    only_other = persons[0] if len(set(persons)) == 1 else None
    if not persons:
        speakers = [handle for active, _ in members for handle in active.speakers]
        persons = [people.ids[handle] for handle in speakers if handle in people.ids]
    is_with_oneself = False
    if only_other is not None and not is_group:
        addresses = map(str.casefold, people.handles[only_other])
        is_with_oneself = not set(own).isdisjoint(addresses)
    return MergedChats(
        chats=tuple(chats),
        people=tuple(dict.fromkeys(persons)),
        only_other=only_other,
        is_group=is_group,
        is_with_oneself=is_with_oneself,
    )


def _is_group(chat: Chat) -> bool | None:
    if chat.style in (_GROUP_STYLE, _SINGLE_STYLE):
        return chat.style == _GROUP_STYLE
    guid = chat.guid or ""
    if _GROUP_MARK in guid or _SINGLE_MARK in guid:
        return _GROUP_MARK in guid
    return None
