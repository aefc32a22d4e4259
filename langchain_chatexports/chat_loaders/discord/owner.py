"""Whose export it is: from a data package beside it, or from direct messages.

The files of DiscordChatExporter do not say it. Direct messages are named after the
other side, and the owner is in all of them.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from langchain_chatexports.chat_loaders.discord.channel_files import read_messages
from langchain_chatexports.chat_loaders.discord.records import RecordReader
from langchain_chatexports.exceptions import ChatExportError, SenderNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from langchain_chatexports.chat_loaders.discord.export import ChannelFiles

__all__ = ["FoundOwner", "authors_of", "find_owner", "owner_by_option"]

_LOOKED_AT = 500  # Messages of a conversation: both sides have written by then.


class FoundOwner(NamedTuple):
    """Whose export it is.

    Attributes:
        id: The owner's id.
        name: The owner's name.
        found_by: How it was found.
    """

    id: str
    name: str
    found_by: str


def find_owner(channels: Iterable[ChannelFiles]) -> FoundOwner | None:
    """Return who is on this side of all direct messages, if that is one person."""
    candidates: list[dict[str, str]] = []
    chats_of: Counter[str] = Counter()
    has_named_author = False
    for one in channels:
        if not one.channel.is_direct:
            continue
        people = authors_of(one, _LOOKED_AT, with_bots=False)
        named = _others_named(one.channel.name, is_group=_is_group(one))
        own = {
            author: name
            for author, name in people.names.items()
            if named.isdisjoint({name.casefold(), people.handles[author].casefold()})
        }
        has_named_author = has_named_author or len(own) < len(people.names)
        if own:
            candidates.append(own)
        if not _is_group(one):
            chats_of.update(own.keys())
    # Two people have one chat with each other: only the owner is in two of them.
    owners = {author for author, count in chats_of.items() if count > 1}
    if len(owners) != 1 and candidates and has_named_author:
        owners = set.intersection(*(set(own) for own in candidates))
    if len(owners) != 1:
        return None
    owner = owners.pop()
    name = next(own[owner] for own in candidates if owner in own)
    return FoundOwner(owner, name, "direct messages")


def owner_by_option(given: str, channels: Sequence[ChannelFiles]) -> FoundOwner:
    """Return the author whose id, user name or shown name is the given one.

    Args:
        given: What the user named.
        channels: Where to look for the id: in the first messages of each channel, then
            in all of them. The first channel that has it counts.

    Raises:
        SenderNotFoundError: If several people of a channel are called so.
    """
    for limit in (_LOOKED_AT, None):
        for one in channels:
            people = authors_of(one, limit)
            ids = people.ids_of(given)
            if len(ids) > 1:
                msg = (
                    f"{len(ids)} people in {one.files[0].label} are the given owner. "
                    f"Name one by id: {', '.join(ids)}."
                )
                raise SenderNotFoundError(msg)
            if ids:
                return FoundOwner(ids[0], people.names[ids[0]] or given, "option")
    return FoundOwner("", given, "option")


def authors_of(
    one: ChannelFiles, limit: int | None = None, *, with_bots: bool = True
) -> RecordReader:
    """Return who wrote in a channel.

    Args:
        one: The channel.
        limit: How many messages of each file to look at; all if `None`.
        with_bots: Whether bots count.
    """
    people = RecordReader()
    for file in one.files:
        # What cannot be read is counted when the channel is read.
        with suppress(ChatExportError):
            for raw in islice(read_messages(file), limit):
                if not isinstance(raw, dict):
                    continue
                author = raw.get("author")
                is_bot = isinstance(author, dict) and author.get("isBot") is True
                if with_bots or not is_bot:
                    people.author(raw)
    return people


def _is_group(one: ChannelFiles) -> bool:
    return one.channel.type == "DirectGroupTextChat"


def _others_named(title: str, *, is_group: bool) -> set[str]:
    names = title.split(", ") if is_group else [title]
    return {name.casefold().strip() for name in names if name.strip()}
