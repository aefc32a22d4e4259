"""Whose export it is: what only the owner's chats have."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from langchain_chatexports.chat_loaders.whatsapp.phrases import YOU
from langchain_chatexports.chat_loaders.whatsapp.senders import name_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["FoundOwner", "find_owner", "most_agreed"]

_PAIR = 2


class FoundOwner(NamedTuple):
    """Whose export it is, and what says so."""

    name: str
    found_by: str


def find_owner(
    people: Sequence[str],
    *,
    took_back: Mapping[str, int],
    chat_names: Iterable[str | None],
    is_web: bool,
    is_alone_in_pair: bool,
) -> FoundOwner | None:
    """Find the owner of one chat.

    Args:
        people: Who wrote in it.
        took_back: How often the app says "You deleted this message", by person.
        chat_names: What the chat is called, in the file's name and inside.
        is_web: Whether WhatsApp Web made the export, where the owner is "You".
        is_alone_in_pair: Whether only one person wrote, in what is no group.

    Returns:
        The owner, if the chat says so.
    """
    if is_web and (you := [name for name in people if name in YOU]):
        return FoundOwner(you[0], "the sender You")
    for name, _ in Counter(took_back).most_common(1):
        return FoundOwner(name, "messages taken back")
    names = {name_key(name) for name in chat_names if name}
    if not names:
        return None
    others = [name for name in people if name_key(name) not in names]
    # In a chat of two, the chat has the other one's name.
    is_pair = len(people) == _PAIR or (is_alone_in_pair and len(people) == 1)
    if is_pair and len(others) == 1:
        return FoundOwner(others[0], "the chat's name")
    return None


def most_agreed(found: Iterable[FoundOwner]) -> FoundOwner | None:
    """Return the owner that most chats of one phone name."""
    votes = Counter(found)
    by_name = Counter(owner.name for owner in votes.elements())
    ranked = by_name.most_common(_PAIR)
    if not ranked or (len(ranked) > 1 and ranked[0][1] == ranked[1][1]):
        return None
    name = ranked[0][0]
    return next(owner for owner, _ in votes.most_common() if owner.name == name)
