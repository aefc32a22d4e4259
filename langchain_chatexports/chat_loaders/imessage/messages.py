"""Convert the rows of a conversation to messages."""

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
    is_owner_location,
    is_plain_text,
    parse_target,
    read_content,
    read_reply_to,
)
from langchain_chatexports.chat_loaders.imessage.conversations import (
    MergedChats,
    People,
)
from langchain_chatexports.chat_loaders.imessage.queries import Details, Queries
from langchain_chatexports.chat_loaders.messages import Message

_logger = logging.getLogger(__name__)

# Some databases store these names in lower case.
_SERVICES = {name.casefold(): name for name in ("iMessage", "SMS", "RCS")}
_NO_TIME = -(2**80)
_MAX_COPY_GAP = 60_000_000  # Microseconds between the copies of a note.
_MIN_ADDED_TYPE, _MIN_REMOVED_TYPE = 2000, 3000
# In type order, with the words that phones in English send to phones without
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
_NOUNS = {noun: emoji for emoji, _, noun in _TAPBACKS}
_TEXT_REACTION = re.compile(
    rf"(?:(?P<verb>{'|'.join(_VERBS)})"
    r"|Reacted (?P<emoji>\S{1,20}(?: \S{1,20})?) to"
    r"|Removed an? (?P<removed>[^“”]{1,40}) from)"
    r" “(?P<quoted>.+)”\s*",
    re.DOTALL,
)


class _Reaction(NamedTuple):
    """A reaction to a message, or its removal."""

    target: str  # The guid of the message, or its quoted text.
    reaction: str
    is_removal: bool


@dataclass
class MessageReader:
    """Reads conversations in turn, and marks messages repeated from earlier ones."""

    queries: Queries
    people: People
    owner: str  # The sender id of the owner's messages.
    # The owner's handles, if the database does not mark the owner's messages.
    owner_handles: Collection[Any]
    shared_ids: Collection[int]  # The row ids of messages in more than one chat.
    # The row ids of the shared messages read so far.
    seen_ids: set[int] = field(default_factory=set)

    def read(self, chats: MergedChats, services: list[str]) -> Iterator[Message]:
        """Yield the messages of a conversation by time, and add its services."""
        services_seen = dict.fromkeys(chat.service for chat in chats.chats)
        is_self_chat, other_person = chats.is_self_chat, chats.other_person or ""
        people, owner_handles = self.people.ids_by_handle, self.owner_handles
        row_ids: set[int] = set()
        rows: list[tuple[int, int, int, Message]] = []
        reactions: list[tuple[int, int, _Reaction, str]] = []
        for row in self.queries.get_messages([chat.row_id for chat in chats.chats]):
            row_id, time, is_owner, handle_id, guid, service, text, body, *rest = row
            if row_id in row_ids:  # It is in several of the merged chats.
                continue
            row_ids.add(row_id)
            services_seen[service] = None
            if body is not None:
                text = decode_attributed_body(body) if type(body) is bytes else None
            # For the owner's messages, `handle_id` is the other person or empty.
            if is_owner or is_self_chat or handle_id in owner_handles:
                sender = self.owner
            else:
                sender = people.get(handle_id) or other_person
            order = _NO_TIME if time is None else time
            kind, has_details, status = rest
            if kind is None and not has_details and is_plain_text(text):
                message = Message(time, sender, text, "text", guid or "", {})
            else:
                message, reaction = self._read_details(row_id, time, sender, text, kind)
                message.id = guid or ""
                if reaction and status is None:
                    reactions.append((order, row_id, reaction, message.sender))
            if status is not None:
                message.text = message.text if message.kind == "text" else ""
                message.kind = status
            if row_id in self.shared_ids:
                message.is_repeat = row_id in self.seen_ids
                self.seen_ids.add(row_id)
            rows.append((order, row_id, is_owner, message))
        rows.sort()
        if is_self_chat:
            _mark_duplicate_notes(rows)
        messages = [message for *_, message in rows]
        del rows
        _apply_text_reactions(messages)
        _apply_reactions(sorted(reactions), messages)
        names = (_SERVICES.get(name.casefold(), name) for name in services_seen if name)
        services += dict.fromkeys(names)
        yield from messages

    def _read_details(
        self, row_id: int, time: int | None, sender: str, text: object, kind: str | None
    ) -> tuple[Message, _Reaction | None]:
        """Read a message that is not plain text, and its reaction, if any."""
        details = self.queries.get_details(row_id)
        if isinstance(text, bytes):
            text = text.decode("utf-8", "replace")
        stored_text = None if text is None else str(text)
        reaction = _read_reaction(details) if kind == "reaction" else None
        content = self._read_content(row_id, kind, details, stored_text)
        display_text = content.text
        if reaction and not display_text:
            display_text = f"[{reaction.reaction}]"
        if is_owner_location(details):
            sender = self.owner
        message = Message(time, sender, display_text, content.kind, extra=content.extra)
        return message, reaction

    def _read_content(
        self, row_id: int, kind: str | None, details: Details, text: str | None
    ) -> Content:
        if kind == "event":
            other = self.people.ids_by_handle.get(details.other_handle, "someone")
            other = self.people.names.get(other, other)
            text = describe_event(details, other)
            return Content(text, "system", read_reply_to(details))
        if kind in ("vote", "sticker"):
            reason = "system" if kind == "vote" else "reaction"
            return Content(f"[{kind}]", reason, read_reply_to(details))
        content = read_content(details, text, self.queries.get_attachments(row_id))
        if content.kind == "unreadable":
            _logger.info("The text of message %s cannot be read.", row_id)
        # `unsent` takes precedence over all other kinds except `reaction`.
        if kind is None or (content.kind == "unsent" and kind != "reaction"):
            return content
        if kind == "app":
            line = describe_app(details.balloon_bundle_id, details.payload_data)
            return Content(line, "media", read_reply_to(details))
        text = content.text if content.kind == "text" else ""
        return Content(text, kind, content.extra)


def _apply_text_reactions(messages: Sequence[Message]) -> None:
    """Convert SMS fallback text such as `Loved “hi”` to reactions.

    Only text that quotes an earlier message is converted.
    """
    latest: dict[str, Message] = {}
    indexed_count = 0
    for index, message in enumerate(messages):
        if "“" not in message.text or message.kind != "text":
            continue
        reaction = _parse_text_reaction(message.text)
        if reaction is None:
            continue
        earlier = messages[indexed_count:index]
        latest |= {other.text: other for other in earlier if other.kind == "text"}
        indexed_count = index
        if target := latest.get(reaction.target):
            message.kind = "reaction"
            _apply_reaction(target, reaction, message.sender)


def _mark_duplicate_notes(rows: Iterable[tuple[int, int, int, Message]]) -> None:
    """Mark duplicate notes in the owner's chat with themselves.

    Some devices and versions store a note once, others as both sent and received.
    """
    unmatched: dict[tuple[str, int], int] = {}
    for _, _, is_owner, message in rows:
        copy = (message.text, 1 - is_owner)
        if not message.text:
            continue
        # Copies without a time also match.
        time = message.time or 0
        if copy in unmatched and abs(unmatched.pop(copy) - time) <= _MAX_COPY_GAP:
            message.kind = "duplicate"
        else:
            unmatched[message.text, is_owner] = time


def _read_reaction(details: Details) -> _Reaction | None:
    target, kind = details.associated_message_guid, details.associated_message_type
    if not target or not isinstance(kind, int):
        return None
    is_removal = kind >= _MIN_REMOVED_TYPE
    index = kind - (_MIN_REMOVED_TYPE if is_removal else _MIN_ADDED_TYPE)
    emoji = _EMOJI[index] if 0 <= index < len(_EMOJI) else ""
    emoji = emoji or details.associated_message_emoji or "reaction"
    return _Reaction(parse_target(target), emoji, is_removal)


def _parse_text_reaction(text: str) -> _Reaction | None:
    match = _TEXT_REACTION.fullmatch(text)
    if match is None:
        return None
    if removed := match["removed"]:
        word = removed.removesuffix(" reaction")
        return _Reaction(match["quoted"], _NOUNS.get(word, word), is_removal=True)
    emoji = match["emoji"] or _VERBS[match["verb"]]
    return _Reaction(match["quoted"], emoji, is_removal=False)


def _apply_reactions(
    reactions: Sequence[tuple[int, int, _Reaction, str]], messages: Iterable[Message]
) -> None:
    guids = {reaction.target for _, _, reaction, _ in reactions}
    if not guids:
        return
    targets = {message.id: message for message in messages if message.id in guids}
    for _, _, reaction, sender in reactions:
        if target := targets.get(reaction.target):
            _apply_reaction(target, reaction, sender)


def _apply_reaction(target: Message, reaction: _Reaction, sender: str) -> None:
    """Add a reaction to a message, or remove it."""
    entry = {"reaction": reaction.reaction, "sender": sender}
    reactions = target.extra.setdefault("reactions", [])
    if entry in reactions:
        reactions.remove(entry)
    if not reaction.is_removal:
        reactions.append(entry)
    if not reactions:
        del target.extra["reactions"]
