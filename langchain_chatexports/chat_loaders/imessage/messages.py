"""From a conversation's rows to its messages."""

import logging
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from langchain_chatexports.chat_loaders.imessage.attributed_body import (
    decode_attributed_body,
)
from langchain_chatexports.chat_loaders.imessage.content import (
    Content,
    describe_app,
    describe_event,
    is_own_location,
    is_plain,
    links,
    read_content,
    target_of,
)
from langchain_chatexports.chat_loaders.imessage.conversations import (
    MergedChats,
    People,
)
from langchain_chatexports.chat_loaders.imessage.queries import Details, Queries
from langchain_chatexports.chat_loaders.messages import Message

_logger = logging.getLogger(__name__)

# Databases have some of these in lower case, too.
_SERVICES = {name.casefold(): name for name in ("iMessage", "SMS", "RCS")}
_NOTE_COPY_MICROSECONDS = 60_000_000
_FIRST_ADDED, _FIRST_REMOVED = 2000, 3000
# By the number of the type, with the words of English phones for those that cannot show
# a reaction.
_TAPBACKS = (
    ("❤️", ("Loved",), "heart"),
    ("👍", ("Liked",), "like"),
    ("👎", ("Disliked",), "dislike"),
    ("😂", ("Laughed at",), "laugh"),
    ("‼️", ("Emphasized", "Emphasised"), "exclamation"),
    ("❓", ("Questioned",), "question mark"),
)
_EMOJI = (*(emoji for emoji, _, _ in _TAPBACKS), "", "sticker")
_VERBS = {verb: emoji for emoji, verbs, _ in _TAPBACKS for verb in verbs}
_REMOVED = {noun: emoji for emoji, _, noun in _TAPBACKS}
_QUOTING = re.compile(
    rf"(?:(?P<verb>{'|'.join(_VERBS)})"
    r"|Reacted (?P<emoji>\S{1,20}(?: \S{1,20})?) to"
    r"|Removed an? (?P<removed>[^“”]{1,40}) from)"
    r" “(?P<quoted>.+)”\s*",
    re.DOTALL,
)
# What all of them begin with: cheaper to check than the pattern.
_BEGINNINGS = (*_VERBS, "Reacted ", "Removed ")


class _Reaction(NamedTuple):
    """A reaction to a message, or its removal."""

    target: str
    """The guid of the message, or the text that is quoted."""
    reaction: str
    is_removal: bool


@dataclass
class Reader:
    """Reads the messages of one conversation after the other."""

    queries: Queries
    people: People
    owner: str
    """The sender id of the owner's own messages."""
    owner_handles: Collection[Any]
    """Handles of the owner, in a database where no message is marked as theirs."""
    shared: Collection[int]
    """Rows that stand in several chats."""
    seen: set[int] = field(default_factory=set)
    """Those of them that were read."""

    def read(self, chats: MergedChats, services: list[str]) -> Iterator[Message]:
        """Yield the messages of a conversation, oldest first; note their services."""
        found_services = dict.fromkeys(chat.service for chat in chats.chats)
        earlier = _Earlier()
        notes = _NotesToOneself() if chats.is_with_oneself else None
        reactions: list[tuple[_Reaction, str]] = []
        last_row_id = None
        for row in self.queries.messages([chat.row_id for chat in chats.chats]):
            row_id, place = row[0], row[-1]
            if row_id == last_row_id:  # Merged chats can share a message.
                continue
            last_row_id = row_id
            found_services[row[5]] = None
            message, reaction = self._message(row, chats)
            if place is not None:
                message.text = message.text if message.kind == "text" else ""
                message.kind = place
            elif reaction is not None:
                reactions.append((reaction, message.sender))
            elif "“" in message.text and message.kind == "text":
                earlier.react(message)
            if notes and message.text and notes.has(message, is_from_me=row[2]):
                message.kind = "duplicate"
            if row_id in self.shared:
                message.is_repeat = row_id in self.seen
                self.seen.add(row_id)
            earlier.messages.append(message)
            yield message
        _attach(reactions, earlier.messages)
        names = (
            _SERVICES.get(name.casefold(), name) for name in found_services if name
        )
        services += dict.fromkeys(names)

    def _message(
        self, row: tuple[Any, ...], chats: MergedChats
    ) -> tuple[Message, _Reaction | None]:
        row_id, time, is_mine, handle_id, guid, _, text, body, kind, has_more, _ = row
        if body is not None:
            text = decode_attributed_body(body) if type(body) is bytes else None
        # An own row names the other party in `handle_id`, or nobody.
        if is_mine or chats.is_with_oneself or handle_id in self.owner_handles:
            sender = self.owner
        else:
            sender = self.people.ids.get(handle_id) or chats.only_other or ""
        if kind is None and not has_more and is_plain(text):
            return Message(time, sender, text, "text", guid or "", {}), None
        details = self.queries.details(row_id)
        if isinstance(text, bytes):
            text = text.decode("utf-8", "replace")
        said = None if text is None else str(text)
        content = self._content(row_id, kind, details, said)
        if is_own_location(details):
            sender = self.owner
        reaction = _reaction_of(details) if kind == "reaction" else None
        return Message(time, sender, *content[:2], guid or "", content.extra), reaction

    def _content(
        self, row_id: int, kind: str | None, details: Details, text: str | None
    ) -> Content:
        if kind == "event":
            other = self.people.ids.get(details.other_handle, "somebody")
            other = self.people.names.get(other, other)
            return Content(describe_event(details, other), "system", links(details))
        if kind in ("vote", "sticker"):
            reason = "system" if kind == "vote" else "reaction"
            return Content(f"[{kind}]", reason, links(details))
        content = read_content(details, text, self.queries.attachments(row_id))
        if kind == "reaction":
            reaction = _reaction_of(details)
            shown = content.text if content.kind == "text" else ""
            if not shown and reaction:
                shown = f"[{reaction.reaction}]"
            return Content(shown, kind, content.extra)
        if content.kind == "unreadable":
            _logger.info("The text of message %s cannot be read.", row_id)
        # What was unsent is nothing else.
        if kind is None or content.kind == "unsent":
            return content
        if kind == "app":
            line = describe_app(details.balloon_bundle_id, details.payload_data)
            return Content(line, "media", links(details))
        said = content.text if content.kind == "text" else ""
        return Content(said, kind, content.extra)


class _Earlier:
    """The messages of a conversation so far, found by their text."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._latest: dict[str, Message] = {}
        self._indexed = 0

    def react(self, message: Message) -> None:
        """Turn a message into a reaction if it is one in words, as it comes over SMS.

        That is safe only where the quoted text is an earlier message.
        """
        reaction = _reaction_in_words(message.text)
        if reaction is None:
            return
        for earlier in self.messages[self._indexed :]:
            if earlier.kind == "text":
                self._latest[earlier.text] = earlier
        self._indexed = len(self.messages)
        target = self._latest.get(reaction.target)
        if target is not None:
            message.kind = "reaction"
            _apply(target, reaction, message.sender)


class _NotesToOneself:
    """Finds the copies in a chat with oneself.

    Depending on device and version a note is one row, or two: from me, and to me.
    """

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, int], int | None] = {}

    def has(self, message: Message, *, is_from_me: int) -> bool:
        """Return whether this is the second row of a pair."""
        twin = (message.text, 1 - is_from_me)
        if twin in self._waiting and _near(self._waiting.pop(twin), message.time):
            return True
        self._waiting[message.text, is_from_me] = message.time
        return False


def _near(one: int | None, other: int | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(other - one) <= _NOTE_COPY_MICROSECONDS


def _reaction_of(details: Details) -> _Reaction | None:
    target, number = details.associated_message_guid, details.associated_message_type
    if not target or not isinstance(number, int):
        return None
    is_removal = number >= _FIRST_REMOVED
    kind = number - (_FIRST_REMOVED if is_removal else _FIRST_ADDED)
    emoji = _EMOJI[kind] if 0 <= kind < len(_EMOJI) else ""
    emoji = emoji or details.associated_message_emoji or "reaction"
    return _Reaction(target_of(target), emoji, is_removal)


def _reaction_in_words(text: str) -> _Reaction | None:
    match = _QUOTING.fullmatch(text) if text.startswith(_BEGINNINGS) else None
    if match is None:
        return None
    if removed := match["removed"]:
        word = removed.removesuffix(" reaction")
        return _Reaction(match["quoted"], _REMOVED.get(word, word), is_removal=True)
    emoji = match["emoji"] or _VERBS[match["verb"]]
    return _Reaction(match["quoted"], emoji, is_removal=False)


def _attach(reactions: list[tuple[_Reaction, str]], messages: list[Message]) -> None:
    wanted = {reaction.target for reaction, _ in reactions}
    targets = {message.id: message for message in messages if message.id in wanted}
    for reaction, sender in reactions:
        if target := targets.get(reaction.target):
            _apply(target, reaction, sender)


def _apply(target: Message, reaction: _Reaction, sender: str) -> None:
    """Add a reaction to a message, or take it away from there."""
    shown = {"reaction": reaction.reaction, "sender": sender}
    given = target.extra.setdefault("reactions", [])
    if shown in given:
        given.remove(shown)
    if not reaction.is_removal:
        given.append(shown)
    if not given:
        del target.extra["reactions"]
