"""Turn the rows of a conversation into messages."""

import logging
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
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

# Some databases have them in lower case.
_SERVICES = {name.casefold(): name for name in ("iMessage", "SMS", "RCS")}
_BEFORE_ALL = -(2**80)
_NOTE_COPY_MICROSECONDS = 60_000_000
_FIRST_ADDED, _FIRST_REMOVED = 2000, 3000
# By the number of the type, with the words that English phones send to phones without
# reactions.
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


class _Reaction(NamedTuple):
    """A reaction to a message, or its removal."""

    target: str  # The guid of the message, or the quoted text.
    reaction: str
    is_removal: bool


@dataclass
class Reader:
    """Reads the messages of one conversation after the other."""

    queries: Queries
    people: People
    owner: str  # The sender id of the owner's own messages.
    # The owner's handles, if no message is marked as the owner's.
    owner_handles: Collection[Any]
    shared: Collection[int]  # Rows in several chats.
    # The rows in `shared` that were already read.
    seen: set[int] = field(default_factory=set)

    def read(self, chats: MergedChats, services: list[str]) -> Iterator[Message]:
        """Yield the messages of a conversation, oldest first, and add its services."""
        found_services = dict.fromkeys(chat.service for chat in chats.chats)
        is_all_own, only_other = chats.is_with_oneself, chats.only_other or ""
        people, owner_handles = self.people.ids, self.owner_handles
        numbers: set[int] = set()
        found: list[tuple[int, int, int, Message]] = []
        reactions: list[tuple[int, int, _Reaction, str]] = []
        for row in self.queries.messages([chat.row_id for chat in chats.chats]):
            number, time, is_own, handle_id, guid, service, text, body, kind, *more = (
                row
            )
            if number in numbers:  # Merged chats can share a message.
                continue
            numbers.add(number)
            found_services[service] = None
            if body is not None:
                text = decode_attributed_body(body) if type(body) is bytes else None
            # In the owner's rows, `handle_id` is the other person or empty.
            if is_own or is_all_own or handle_id in owner_handles:
                sender = self.owner
            else:
                sender = people.get(handle_id) or only_other
            order = _BEFORE_ALL if time is None else time
            has_details, place = more
            if kind is None and not has_details and is_plain(text):
                message = Message(time, sender, text, "text", guid or "", {})
            else:
                message, reaction = self._read(number, time, sender, text, kind)
                message.id = guid or ""
                if reaction and place is None:
                    reactions.append((order, number, reaction, message.sender))
            if place is not None:
                message.text = message.text if message.kind == "text" else ""
                message.kind = place
            if number in self.shared:
                message.is_repeat = number in self.seen
                self.seen.add(number)
            found.append((order, number, is_own, message))
        found.sort()
        if is_all_own:
            _mark_copied_notes(found)
        messages = [message for *_, message in found]
        del found
        _apply_words(messages)
        _attach(sorted(reactions), messages)
        names = (
            _SERVICES.get(name.casefold(), name) for name in found_services if name
        )
        services += dict.fromkeys(names)
        yield from messages

    def _read(
        self, number: int, time: int | None, sender: str, text: object, kind: str | None
    ) -> tuple[Message, _Reaction | None]:
        """Read a message that is not plain text, with its reaction if it is one."""
        details = self.queries.details(number)
        if isinstance(text, bytes):
            text = text.decode("utf-8", "replace")
        plain = None if text is None else str(text)
        reaction = _reaction_of(details) if kind == "reaction" else None
        content = self._content(number, kind, details, plain)
        shown = content.text
        if reaction and not shown:
            shown = f"[{reaction.reaction}]"
        if is_own_location(details):
            sender = self.owner
        message = Message(time, sender, shown, content.kind, extra=content.extra)
        return message, reaction

    def _content(
        self, number: int, kind: str | None, details: Details, text: str | None
    ) -> Content:
        if kind == "event":
            other = self.people.ids.get(details.other_handle, "somebody")
            other = self.people.names.get(other, other)
            return Content(describe_event(details, other), "system", links(details))
        if kind in ("vote", "sticker"):
            reason = "system" if kind == "vote" else "reaction"
            return Content(f"[{kind}]", reason, links(details))
        content = read_content(details, text, self.queries.attachments(number))
        if content.kind == "unreadable":
            _logger.info("The text of message %s cannot be read.", number)
        # An unsent message has no other kind, except a reaction.
        if kind is None or (content.kind == "unsent" and kind != "reaction"):
            return content
        if kind == "app":
            line = describe_app(details.balloon_bundle_id, details.payload_data)
            return Content(line, "media", links(details))
        shown = content.text if content.kind == "text" else ""
        return Content(shown, kind, content.extra)


def _apply_words(messages: Sequence[Message]) -> None:
    """Turn reactions in words, which SMS has, into reactions.

    This is only safe if the quoted text is that of an earlier message.
    """
    latest: dict[str, Message] = {}
    indexed = 0
    for at, message in enumerate(messages):
        if "“" not in message.text or message.kind != "text":
            continue
        reaction = _reaction_in_words(message.text)
        if reaction is None:
            continue
        latest |= {one.text: one for one in messages[indexed:at] if one.kind == "text"}
        indexed = at
        if target := latest.get(reaction.target):
            message.kind = "reaction"
            _apply(target, reaction, message.sender)


def _mark_copied_notes(found: Iterable[tuple[int, int, int, Message]]) -> None:
    """Mark the copies in a chat with oneself as duplicates.

    Depending on device and version, a note has one row, or two: sent and received.
    """
    waiting: dict[tuple[str, int], int] = {}
    for _, _, is_own, message in found:
        twin = (message.text, 1 - is_own)
        if not message.text:
            continue
        # Copies without a time are of one note, too.
        time = message.time or 0
        if twin in waiting and abs(waiting.pop(twin) - time) <= _NOTE_COPY_MICROSECONDS:
            message.kind = "duplicate"
        else:
            waiting[message.text, is_own] = time


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
    match = _QUOTING.fullmatch(text)
    if match is None:
        return None
    if removed := match["removed"]:
        word = removed.removesuffix(" reaction")
        return _Reaction(match["quoted"], _REMOVED.get(word, word), is_removal=True)
    emoji = match["emoji"] or _VERBS[match["verb"]]
    return _Reaction(match["quoted"], emoji, is_removal=False)


def _attach(
    reactions: Sequence[tuple[int, int, _Reaction, str]], messages: Iterable[Message]
) -> None:
    wanted = {reaction.target for _, _, reaction, _ in reactions}
    if not wanted:
        return
    targets = {message.id: message for message in messages if message.id in wanted}
    for _, _, reaction, sender in reactions:
        if target := targets.get(reaction.target):
            _apply(target, reaction, sender)


def _apply(target: Message, reaction: _Reaction, sender: str) -> None:
    """Add a reaction to a message, or remove it."""
    shown = {"reaction": reaction.reaction, "sender": sender}
    given = target.extra.setdefault("reactions", [])
    if shown in given:
        given.remove(shown)
    if not reaction.is_removal:
        given.append(shown)
    if not given:
        del target.extra["reactions"]
