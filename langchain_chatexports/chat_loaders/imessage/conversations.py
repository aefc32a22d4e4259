"""Match handles to people, and merge chats into conversations."""

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from langchain_chatexports.chat_loaders.disjoint_sets import DisjointSets
from langchain_chatexports.chat_loaders.imessage.queries import Activity, Chat, Queries
from langchain_chatexports.chat_loaders.messages import Person
from langchain_chatexports.chat_loaders.names import NameIndex, name_key
from langchain_chatexports.chat_loaders.people import People

_GROUP_STYLE, _SINGLE_STYLE = 43, 45
_GROUP_INFIX, _SINGLE_INFIX = ";+;", ";-;"


class DatabasePeople:
    """The people in a database. A person's id is their first address.

    Handles belong to the same person if they have the same address, or if Messages
    (`person_centric_id`) or the contacts link them.
    """

    def __init__(
        self, handles: Sequence[tuple[Any, str, str]], contacts: People
    ) -> None:
        self._contacts = contacts
        self._groups = DisjointSets()
        self._ids: dict[Hashable, str] = {}
        # The name or first address of each person, by id.
        self.names: dict[str, str] = {}
        # All addresses of each person, by id.
        self.handles: dict[str, dict[str, None]] = {}
        for _, address, person_key in handles:
            if person_key:
                self._groups.join(("person", person_key), self._get_key(address))
        # The person id of each handle, by row id.
        self.ids_by_handle = {
            row_id: self.get_id(address) for row_id, address, _ in handles
        }

    def get_id(self, address: str) -> str:
        """Return the id of the person with an address, even without a handle."""
        person = self._ids.setdefault(
            self._groups.find(self._get_key(address)), address
        )
        addresses = self.handles.setdefault(person, {})
        addresses[address] = None
        if card := self._contacts.find([address]):
            addresses |= dict.fromkeys(sorted(card.handles))
            if self.names.get(person, person) == person:
                self.names[person] = card.name
        self.names.setdefault(person, person)
        return person

    def find_handles(self, name: str) -> frozenset[Any]:
        """Return the handles of the people with a name or address."""
        people = {
            person: (name, *self.handles[person]) for person, name in self.names.items()
        }
        found = NameIndex(people).find_equal(name)
        return frozenset(
            handle for handle, person in self.ids_by_handle.items() if person in found
        )

    def to_dict(self) -> dict[str, Person]:
        """Return all people by id."""
        return {
            person: Person(name, tuple(self.handles[person]))
            for person, name in self.names.items()
        }

    def _get_key(self, address: str) -> Hashable:
        card = self._contacts.find([address])
        return ("address", name_key(address)) if card is None else ("card", card)


class Owner(NamedTuple):
    """The owner of a database."""

    id: str
    found_by: str | None
    addresses: frozenset[str]  # In lower case.
    # The owner's handles, if the database does not mark the owner's messages.
    handles: frozenset[Any]


@dataclass(frozen=True)
class MergedChats:
    """The chats of one conversation."""

    chats: tuple[Chat, ...]  # Sorted by row id.
    people: tuple[str, ...]  # The ids of the other people, if known.
    other_person: str | None  # Their id, if there is exactly one other person.
    is_group: bool | None  # `None` if unknown.
    is_self_chat: bool  # Whether the owner writes to one of their own addresses.


def find_owner(
    people: DatabasePeople,
    label: str,
    addresses: frozenset[str],
    has_sent_messages: bool,
) -> Owner:
    """Find the owner, who is displayed as `label`, and add them to the people."""
    handles = frozenset() if has_sent_messages else people.find_handles(label)
    # Use the label as the owner's id, unless it is another person's address.
    default_id = label if label not in people.handles else "is_from_me"
    ids = [people.ids_by_handle[handle] for handle in handles]
    owner = min(ids, default=default_id)
    people.names[owner] = label
    aliases = (label, *people.handles.get(owner, ()), *sorted(addresses))
    people.handles[owner] = dict.fromkeys(aliases)
    found_by = "name" if handles else None
    if has_sent_messages:
        found_by = "is_from_me"
    return Owner(owner, found_by, addresses, handles)


def merge_chats(
    queries: Queries, people: DatabasePeople, owner_addresses: Collection[str]
) -> list[MergedChats]:
    """Return the conversations, most recently active first.

    A person's one-to-one chats are merged, and so are groups linked by the database.
    """
    chats = queries.get_chats()
    participants: dict[Any, list[str]] = {}
    for chat_id, handle_id in queries.get_participants():
        if handle_id in people.ids_by_handle:
            participants.setdefault(chat_id, []).append(people.ids_by_handle[handle_id])
    conversations: dict[Hashable, list[tuple[Activity, Chat]]] = {}
    groups = _link_groups(chats, queries.get_chat_lookups())
    for activity in queries.get_activity():
        chat = chats.get(activity.chat_id) or Chat(activity.chat_id)
        person = _find_other_person(
            activity, chat, participants.get(chat.row_id, ()), people
        )
        key: Hashable = ("chat", activity.chat_id)
        key = groups.find(key) if person is None else ("person", person)
        conversations.setdefault(key, []).append((activity, chat))
    return [
        _merge(group, participants, people, owner_addresses)
        for group in conversations.values()
    ]


def _link_groups(
    chats: Mapping[Any, Chat], lookups: Iterable[tuple[Any, Any]]
) -> DisjointSets:
    """Join the groups linked by the database.

    Groups with the same members stay separate.
    """
    groups = DisjointSets()
    links = [("group", chat.group_id, chat.row_id) for chat in chats.values()]
    links += [("lookup", identifier, chat_id) for identifier, chat_id in lookups]
    for kind, link, chat_id in links:
        if link and chat_id in chats and _is_group(chats[chat_id]):
            groups.join((kind, link), ("chat", chat_id))
    return groups


def _find_other_person(
    activity: Activity, chat: Chat, participants: Iterable[str], people: DatabasePeople
) -> str | None:
    """Return the other person in a one-to-one chat."""
    senders = {
        people.ids_by_handle.get(handle_id) for handle_id in activity.senders
    } - {None}
    # In hand-made databases, both people may have handles.
    if _is_group(chat) or len(senders) > 1:
        return None
    members = set(participants)
    if not members and chat.identifier:
        return people.get_id(chat.identifier)
    return members.pop() if len(members) == 1 else None


def _merge(
    active_chats: list[tuple[Activity, Chat]],
    participants: Mapping[Any, list[str]],
    people: DatabasePeople,
    owner_addresses: Collection[str],
) -> MergedChats:
    # In hand-made databases, row ids can have any type.
    chats = sorted(
        (chat for _, chat in active_chats),
        key=lambda chat: (
            (0, chat.row_id) if isinstance(chat.row_id, int) else (1, str(chat.row_id))
        ),
    )
    members = [person for chat in chats for person in participants.get(chat.row_id, ())]
    group_flags = {_is_group(chat) for chat in chats} - {None}
    is_group = group_flags.pop() if len(group_flags) == 1 else None
    if not members and is_group is False and chats[0].identifier:
        members = [people.get_id(chats[0].identifier)]
    other_person = members[0] if len(set(members)) == 1 else None
    if not members:
        senders = [
            handle for activity, _ in active_chats for handle in activity.senders
        ]
        members = [
            people.ids_by_handle[handle]
            for handle in senders
            if handle in people.ids_by_handle
        ]
    is_self_chat = False
    if other_person is not None and not is_group:
        addresses = map(name_key, people.handles[other_person])
        is_self_chat = not set(map(name_key, owner_addresses)).isdisjoint(addresses)
    return MergedChats(
        chats=tuple(chats),
        people=tuple(dict.fromkeys(members)),
        other_person=other_person,
        is_group=is_group,
        is_self_chat=is_self_chat,
    )


def _is_group(chat: Chat) -> bool | None:
    if chat.style in (_GROUP_STYLE, _SINGLE_STYLE):
        return chat.style == _GROUP_STYLE
    guid = chat.guid or ""
    if _GROUP_INFIX in guid or _SINGLE_INFIX in guid:
        return _GROUP_INFIX in guid
    return None
