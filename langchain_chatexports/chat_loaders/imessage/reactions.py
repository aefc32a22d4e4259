"""Reactions, as rows of their own and as sentences that quote a message."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.messages import HumanMessage

    from langchain_chatexports.chat_loaders.imessage.rows import Details

__all__ = [
    "QuotedReaction",
    "Reaction",
    "TextIndex",
    "apply_reaction",
    "attach_reactions",
    "quoted_reaction",
    "reaction_of",
    "target_of",
]

_FIRST_ADDED, _FIRST_REMOVED = 2000, 3000
_EMOJI_NUMBER = 6
_EMOJI = ("❤️", "👍", "👎", "😂", "‼️", "❓", "", "sticker")

# As English phones word them for those that cannot show a reaction.
_VERBS = {
    "Loved": "❤️",
    "Liked": "👍",
    "Disliked": "👎",
    "Laughed at": "😂",
    "Emphasized": "‼️",
    "Emphasised": "‼️",
    "Questioned": "❓",
}
_REMOVED = {
    "heart": "❤️",
    "like": "👍",
    "dislike": "👎",
    "laugh": "😂",
    "exclamation": "‼️",
    "question mark": "❓",
}
_QUOTE = re.compile(
    rf"(?:(?P<verb>{'|'.join(_VERBS)})"
    r"|Reacted (?P<emoji>\S{1,20}(?: \S{1,20})?) to"
    r"|Removed an? (?P<removed>[^“”]{1,40}) from)"
    r" “(?P<quoted>.+)”\s*",
    re.DOTALL,
)
# What all of them begin with: cheaper to ask than the pattern.
_BEGINNINGS = (*_VERBS, "Reacted ", "Removed ")


class Reaction(NamedTuple):
    """Somebody's reaction to a message, or its removal."""

    target: str
    """The guid of the message."""

    reaction: str
    """An emoji, or `sticker`."""

    sender: str
    is_removal: bool


class QuotedReaction(NamedTuple):
    """A reaction in words, with what it quotes."""

    reaction: str
    quoted: str
    is_removal: bool


class TextIndex:
    """Finds earlier messages of a session by their text, as the session grows."""

    def __init__(self, messages: Sequence[HumanMessage]) -> None:
        self._messages = messages
        self._latest: dict[str, int] = {}
        self._indexed = 0

    def find(self, text: str) -> HumanMessage | None:
        """Return the latest message so far with this very text."""
        for position in range(self._indexed, len(self._messages)):
            self._latest[str(self._messages[position].content)] = position
        self._indexed = len(self._messages)
        position_found = self._latest.get(text)
        return None if position_found is None else self._messages[position_found]


def reaction_of(details: Details, sender: str) -> Reaction | None:
    """Read a reaction's row; `None` for one without a target."""
    target = details.associated_message_guid
    number = details.associated_message_type
    if not target or not isinstance(number, int):
        return None
    is_removal = number >= _FIRST_REMOVED
    kind = number - (_FIRST_REMOVED if is_removal else _FIRST_ADDED)
    emoji = _EMOJI[kind] if 0 <= kind < len(_EMOJI) else ""
    if kind == _EMOJI_NUMBER:
        emoji = details.associated_message_emoji or ""
    return Reaction(target_of(target), emoji or "reaction", sender, is_removal)


def target_of(associated_message_guid: str) -> str:
    """Return the guid inside `p:<part>/<guid>`, `bp:<guid>` or the guid alone."""
    return associated_message_guid.rpartition("/")[2].rpartition(":")[2]


def quoted_reaction(text: str) -> QuotedReaction | None:
    """Read a reaction in words, as it comes over SMS.

    Safe to act on only where the quoted text is an earlier message of the session.
    """
    if not text.startswith(_BEGINNINGS):
        return None
    match = _QUOTE.fullmatch(text)
    if match is None:
        return None
    verb, emoji, removed, quoted = match.group("verb", "emoji", "removed", "quoted")
    if removed:
        word = removed.removesuffix(" reaction")
        return QuotedReaction(_REMOVED.get(word, word), quoted, is_removal=True)
    return QuotedReaction(_VERBS.get(verb, emoji), quoted, is_removal=False)


def attach_reactions(
    messages: Sequence[HumanMessage], reactions: Sequence[Reaction]
) -> None:
    """Write reactions into their targets' `additional_kwargs`, in their order.

    Args:
        messages: A session's messages, before they are yielded.
        reactions: What to attach; those whose target is not there are dropped.
    """
    wanted = {reaction.target for reaction in reactions}
    targets = {message.id: message for message in messages if message.id in wanted}
    for reaction in reactions:
        message = targets.get(reaction.target)
        if message is not None:
            apply_reaction(message, reaction)


def apply_reaction(message: HumanMessage, reaction: Reaction) -> None:
    """Add a reaction to a message, or take it away from there."""
    shown = {"reaction": reaction.reaction, "sender": reaction.sender}
    given = message.additional_kwargs.setdefault("reactions", [])
    if shown in given:
        given.remove(shown)
    if not reaction.is_removal:
        given.append(shown)
    if not given:
        del message.additional_kwargs["reactions"]
