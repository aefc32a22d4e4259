"""Chats of a database that are one conversation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_chatexports.chat_loaders.disjoint_sets import DisjointSets
from langchain_chatexports.chat_loaders.imessage.rows import Chat

if TYPE_CHECKING:
    from collections.abc import (
        Collection,
        Hashable,
        Iterable,
        Iterator,
        Mapping,
        Sequence,
    )

    from langchain_chatexports.chat_loaders.imessage.people import People
    from langchain_chatexports.chat_loaders.imessage.queries import Queries
    from langchain_chatexports.chat_loaders.imessage.rows import Activity

__all__ = ["MergedChats", "merge_chats", "service_name"]

# Databases have some of these in lower case, too.
_SERVICES = {name.casefold(): name for name in ("iMessage", "SMS", "RCS")}
_GROUP_STYLE, _SINGLE_STYLE = 43, 45
_GROUP_MARK, _SINGLE_MARK = ";+;", ";-;"


@dataclass(frozen=True)
class MergedChats:
    """One or several chats that are one conversation."""

    id: str
    chats: tuple[Chat, ...]
    rows: int
    title: str | None
    is_group: bool | None
    """`None` where the database does not say."""

    handle_ids: tuple[Any, ...]
    """The listed participants."""

    other: str | None
    """Name of the only other person, if there is exactly one."""

    is_with_oneself: bool

    @property
    def chat_ids(self) -> tuple[Any, ...]:
        """The ROWIDs of its chats."""
        return tuple(chat.row_id for chat in self.chats)

    @property
    def services(self) -> tuple[str | None, ...]:
        """The service of each of its chats."""
        return tuple(chat.service for chat in self.chats)

    @property
    def identifiers(self) -> Iterator[str]:
        """All ids and titles of its chats."""
        for chat in self.chats:
            names = (chat.guid, chat.identifier, chat.title)
            yield from (name for name in names if name)


def merge_chats(
    queries: Queries,
    activity: Sequence[Activity],
    people: People,
    own: Collection[str],
    *,
    merge_services: bool,
) -> list[MergedChats]:
    """Merge the chats that have messages into conversations, in the same order.

    Args:
        queries: The database.
        activity: The chats that have messages, most recently active first.
        people: The persons behind the handles.
        own: The owner's addresses, in lower case.
        merge_services: Whether to merge one person's one-to-one chats, and chats that
            the database itself links.

    Returns:
        The conversations.
    """
    chats = queries.chats()
    listed: dict[Any, list[Any]] = {}
    for chat_id, handle_id in queries.participants():
        if people.person_of(handle_id) is not None:
            listed.setdefault(chat_id, []).append(handle_id)
    members: dict[Hashable, list[tuple[Activity, Chat]]] = {}
    groups = _linked(chats, queries.lookups()) if merge_services else DisjointSets()
    for active in activity:
        chat = chats.get(active.chat_id) or Chat(active.chat_id)
        key: Hashable = ("chat", active.chat_id)
        if merge_services:
            key = groups.find(key)
            person = _other_person(active, chat, listed.get(chat.row_id, ()), people)
            if person is not None:
                key = person
        members.setdefault(key, []).append((active, chat))
    return [_conversation(of, listed, people, own) for of in members.values()]


def service_name(stored: object) -> str:
    """Return the usual spelling of a service."""
    name = str(stored or "unknown")
    return _SERVICES.get(name.casefold(), name)


def _linked(
    chats: Mapping[Any, Chat], lookups: Iterable[tuple[Any, Any]]
) -> DisjointSets:
    """Find the chats that the database itself links.

    Two chats of the same people are not linked: they can have two groups.
    """
    groups = DisjointSets()
    for chat in chats.values():
        if chat.group_id and _is_group(chat):
            groups.join(("group", chat.group_id), ("chat", chat.row_id))
    for identifier, chat_id in lookups:
        if identifier and chat_id in chats and _is_group(chats[chat_id]):
            groups.join(("lookup", identifier), ("chat", chat_id))
    return groups


def _other_person(
    active: Activity, chat: Chat, handle_ids: Iterable[Any], people: People
) -> Hashable | None:
    """Return the only other person of a one-to-one chat."""
    speakers = {people.person_of(handle_id) for handle_id in active.speakers} - {None}
    # In a made-up database both sides of a one-to-one chat can be handles.
    if _is_group(chat) or len(speakers) > 1:
        return None
    persons = {people.person_of(handle_id) for handle_id in handle_ids}
    if len(persons) == 1:
        return persons.pop()
    if not persons and chat.identifier:
        return people.person_at(chat.identifier)
    return None


def _conversation(
    members: list[tuple[Activity, Chat]],
    listed: Mapping[Any, list[Any]],
    people: People,
    own: Collection[str],
) -> MergedChats:
    chats = sorted((chat for _, chat in members), key=_row_id_order)
    first = chats[0]
    handle_ids = tuple(
        dict.fromkeys(h for chat in chats for h in listed.get(chat.row_id, ()))
    )
    signs = {_is_group(chat) for chat in chats} - {None}
    is_group = signs.pop() if len(signs) == 1 else None
    other = None
    addresses: tuple[str, ...] = ()
    persons = {people.person_of(handle_id) for handle_id in handle_ids}
    if len(persons) == 1:
        (other,) = people.names_of(handle_ids)
        addresses = people.addresses_of(persons.pop())
    elif is_group is False and first.identifier:
        other = people.name_at(first.identifier)
        addresses = (first.identifier,)
    titles = (chat.title for chat in chats if chat.title)
    title = next(titles, None)
    return MergedChats(
        id=first.guid or str(first.row_id),
        chats=tuple(chats),
        rows=sum(active.rows for active, _ in members),
        title=other if title is None and not is_group else title,
        is_group=is_group,
        handle_ids=handle_ids,
        other=other,
        is_with_oneself=not is_group
        and any(address.casefold() in own for address in addresses),
    )


def _is_group(chat: Chat) -> bool | None:
    if chat.style in (_GROUP_STYLE, _SINGLE_STYLE):
        return chat.style == _GROUP_STYLE
    guid = chat.guid or ""
    if _GROUP_MARK in guid or _SINGLE_MARK in guid:
        return _GROUP_MARK in guid
    return None


def _row_id_order(chat: Chat) -> tuple[bool, Any]:
    is_number = isinstance(chat.row_id, int)
    return not is_number, chat.row_id if is_number else str(chat.row_id)
