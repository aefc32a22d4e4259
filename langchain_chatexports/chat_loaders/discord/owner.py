"""Whose export it is: from a data package beside it, or from direct messages.

The files of DiscordChatExporter do not say it. Direct messages are named after the
other side, and the owner is in all of them.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from langchain_chatexports.chat_loaders.discord.channel_files import read_messages
from langchain_chatexports.chat_loaders.discord.records import RecordReader
from langchain_chatexports.exceptions import ChatExportError

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    for one in channels:
        if one.channel.is_direct:
            people = authors_of(one)
            named = _others_named(one.channel.name, is_group=_is_group(one))
            own = {
                author: people.names[author]
                for author in people.names
                if named.isdisjoint(
                    {
                        people.names[author].casefold(),
                        people.handles[author].casefold(),
                    }
                )
            }
            if own:
                candidates.append(own)
    if not candidates:
        return None
    common = set.intersection(*(set(own) for own in candidates))
    if len(common) != 1:
        return None
    owner = common.pop()
    return FoundOwner(owner, candidates[0][owner], "direct messages")


def owner_by_option(given: str, channels: Iterable[ChannelFiles]) -> FoundOwner:
    """Return the author whose id, user name or shown name is the given one.

    Args:
        given: What the user named.
        channels: Where to look for the id: in the first messages of each channel.
    """
    wanted = given.casefold().strip().removeprefix("@")
    for one in channels:
        people = authors_of(one)
        for author, name in people.names.items():
            if wanted in {
                author,
                name.casefold(),
                people.handles[author].casefold(),
            }:
                return FoundOwner(author, name, "option")
    return FoundOwner("", given, "option")


def authors_of(one: ChannelFiles) -> RecordReader:
    """Return a reader that has met the authors of a channel's first messages."""
    people = RecordReader()
    for file in one.files:
        # What cannot be read is counted when the channel is read.
        with suppress(ChatExportError):
            for raw in islice(read_messages(file), _LOOKED_AT):
                if isinstance(raw, dict):
                    people.record(raw)
    return people


def _is_group(one: ChannelFiles) -> bool:
    return one.channel.type == "DirectGroupTextChat"


def _others_named(title: str, *, is_group: bool) -> set[str]:
    names = title.split(", ") if is_group else [title]
    return {name.casefold().strip() for name in names if name.strip()}
