"""Whose export it is: what the file says, or who is on this side of all chats."""

from __future__ import annotations

import re
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_chatexports.chat_loaders.base import UNKNOWN_SENDER
from langchain_chatexports.chat_loaders.telegram.records import (
    author_of,
    clean,
    is_forwarded,
)
from langchain_chatexports.exceptions import ChatExportError, SenderNotFoundError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from langchain_chatexports.chat_loaders.telegram.chats import Chat

__all__ = [
    "FoundOwner",
    "find_owner",
    "handles_of",
    "name_of",
    "owner_by_option",
    "owner_of_user",
]

_LOOKED_AT = 100  # Messages of a chat: both sides have written by then.
_ID = re.compile(r"(?:user|channel|chat)?(\d+)")


class FoundOwner(NamedTuple):
    """Whose export it is.

    Attributes:
        id: The owner's id, empty if only the name is known.
        name: The owner's name.
        found_by: How it was found.
    """

    id: str
    name: str
    found_by: str

    def wrote_as(self, author: str, name: str) -> bool:
        """Return whether an author is the owner."""
        if self.id:
            # In HTML names stand for ids.
            return author in (self.id, self.name)
        return name.casefold() == self.name.casefold().strip()


def owner_of_user(user: dict[str, Any]) -> FoundOwner | None:
    """Return the owner whom `personal_information` describes."""
    number = user.get("user_id")
    if not isinstance(number, int):
        return None
    names = (clean(user.get("first_name")), clean(user.get("last_name")))
    name = " ".join(filter(None, names)) or clean(user.get("username"))
    return FoundOwner(f"user{number}", name or f"user{number}", "personal information")


def owner_by_option(
    given: str, user: dict[str, Any], chats: Collection[Chat]
) -> FoundOwner:
    """Return the person whose id or name is the given one.

    Args:
        given: What the user named.
        user: What the export says of its owner.
        chats: Where to look for names: in the first messages of each, and for the
            name of an id then in all of them.

    Raises:
        SenderNotFoundError: If several people have the name.
    """
    wanted = given.casefold().strip()
    known = owner_of_user(user)
    handle = clean(user.get("username")).casefold()
    if known and wanted in {known.id, known.name.casefold(), handle, handle[1:]}:
        return known._replace(found_by="option")
    match = _ID.fullmatch(wanted)
    if match:
        author = wanted if wanted != match[1] else f"user{wanted}"
        return FoundOwner(author, name_of(author, chats) or author, "option")
    named = _names_by_id(chats)
    ids = sorted(author for author, name in named.items() if name.casefold() == wanted)
    if len(ids) > 1:
        msg = (
            f"{len(ids)} people have the name of the given owner. Name one by id: "
            f"{', '.join(ids)}."
        )
        raise SenderNotFoundError(msg)
    if not ids:
        return FoundOwner("", given, "option")
    return FoundOwner(ids[0], named[ids[0]], "option")


def find_owner(chats: Iterable[Chat]) -> FoundOwner | None:
    """Return who is on this side of all personal chats, if that is one person."""
    candidates: list[dict[str, str]] = []
    noted: dict[str, str] = {}
    for chat in chats:
        if chat.type == "saved_messages":
            notes = (raw for raw in _first_messages(chat) if not is_forwarded(raw))
            noted |= _authors(notes)
        elif chat.is_personal or not chat.type:
            own = _own_side(chat)
            if own:
                candidates.append(own)
    if candidates:
        common = set.intersection(*(set(own) for own in candidates))
        if len(common) == 1:
            owner = common.pop()
            return FoundOwner(owner, candidates[0][owner] or owner, "personal chats")
    if len(noted) == 1:
        ((owner, name),) = noted.items()
        return FoundOwner(owner, name or owner, "saved messages")
    return None


def name_of(author: str, chats: Collection[Chat]) -> str:
    """Return the name of an id, empty if nobody wrote under it.

    The first messages of each chat are looked at, then all of them.
    """
    for limit in (_LOOKED_AT, None):
        for chat in chats:
            for raw in () if chat.is_channel else _first_messages(chat, limit):
                if author_of(raw) == author and (name := clean(raw.get("from"))):
                    return name
    return ""


def handles_of(
    user: dict[str, Any], chats: Iterable[Chat], phones: Mapping[str, str]
) -> dict[str, set[str]]:
    """Return what is known of the people behind each name: all messages are read.

    A name that several people have is nobody's, unless their ids stand behind it.

    Args:
        user: What the export says of its owner.
        chats: Where to look for names.
        phones: Phone numbers by id.
    """
    known = {author: {author, phone} for author, phone in phones.items()}
    if owner := owner_of_user(user):
        own = (clean(user.get("username")), clean(user.get("phone_number")))
        known.setdefault(owner.id, {owner.id}).update(filter(None, own))
    ids: dict[str, set[str]] = {}
    for chat in chats:
        if not chat.is_channel:
            for author, name in _authors(_first_messages(chat, None)).items():
                ids.setdefault(name or UNKNOWN_SENDER, set()).add(author)
    handles: dict[str, set[str]] = {}
    for name, authors in ids.items():
        for author in authors:
            shown = name if len(authors) == 1 else f"{name} ({author})"
            handles[shown] = known.get(author, {author})
    return handles


def _names_by_id(chats: Iterable[Chat]) -> dict[str, str]:
    """Return who wrote the first messages of each chat: names by id."""
    found: dict[str, str] = {}
    for chat in chats:
        if not chat.is_channel:
            for author, name in _authors(_first_messages(chat)).items():
                if name or author not in found:
                    found[author] = name
    return found


def _own_side(chat: Chat) -> dict[str, str]:
    """Return who in a chat may be the owner, by id."""
    authors = _authors(_first_messages(chat))
    if not chat.type:
        # HTML does not tell chats of two from groups, but by the title.
        others = {author for author, name in authors.items() if name == chat.name}
        is_of_two = len(authors) == 2 and others  # noqa: PLR2004
        return (
            {a: n for a, n in authors.items() if a not in others} if is_of_two else {}
        )
    own = {author: name for author, name in authors.items() if author != chat.id}
    if len(own) > 1:
        # Ids that somebody edited: the other side's name is the chat's.
        unlike = {a: name for a, name in own.items() if name != chat.name}
        return unlike if len(unlike) == 1 else own
    return own


def _authors(messages: Iterable[dict[str, Any]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for raw in messages:
        author = author_of(raw)
        if author and not found.get(author):
            found[author] = clean(raw.get("from"))
    return found


def _first_messages(
    chat: Chat, limit: int | None = _LOOKED_AT
) -> Iterator[dict[str, Any]]:
    def messages() -> Iterator[dict[str, Any]]:
        for block in chat.blocks():
            for raw in block:
                if isinstance(raw, dict) and raw.get("type") == "message":
                    yield raw

    # What cannot be read is counted when the chat is read.
    with suppress(ChatExportError):
        yield from islice(messages(), limit)
