"""Convert the rows of a conversation to messages."""

import logging
from collections.abc import Container, Mapping

from langchain_chatexports.chat_loaders.imessage.attributed_body import (
    decode_attributed_body,
)
from langchain_chatexports.chat_loaders.imessage.content import (
    describe_app,
    describe_event,
    is_owner_location,
    is_plain_text,
    parse_target,
    read_content,
    read_reply_to,
)
from langchain_chatexports.chat_loaders.imessage.conversations import (
    DatabasePeople,
    MergedChats,
    Owner,
)
from langchain_chatexports.chat_loaders.imessage.queries import Details, Queries
from langchain_chatexports.chat_loaders.messages import Message
from langchain_chatexports.chat_loaders.tapbacks import (
    TAPBACKS,
    Reaction,
    apply_reaction,
    apply_text_reactions,
)
from langchain_chatexports.chat_loaders.times import sort_key

_logger = logging.getLogger(__name__)

# Some databases store these names in lower case.
_SERVICES = {name.casefold(): name for name in ("iMessage", "SMS", "RCS")}
_MAX_COPY_GAP = 60_000_000  # Microseconds between the copies of a note.
_MIN_ADDED_TYPE, _MIN_REMOVED_TYPE = 2000, 3000
_EMOJI = (*(emoji for emoji, _, _ in TAPBACKS), "", "sticker")


class MessageReader:
    """Reads conversations in turn, and marks messages repeated from earlier ones."""

    def __init__(self, queries: Queries, people: DatabasePeople, owner: Owner) -> None:
        self._queries = queries
        self._people = people
        self._owner = owner.id
        self._senders = people.ids_by_handle | dict.fromkeys(owner.handles, owner.id)
        self._shared_ids = queries.get_shared_messages()
        self._seen_ids: set[int] = set()  # The shared messages read so far.

    def read(self, chats: MergedChats) -> tuple[list[Message], list[str]]:
        """Return the messages of a conversation by time, and its services."""
        messages: dict[int, Message] = {}
        reactions: dict[int, Reaction] = {}
        own_ids: set[int] = set()
        services = dict.fromkeys(chat.service for chat in chats.chats)
        for row in self._queries.get_messages([chat.row_id for chat in chats.chats]):
            row_id, time, is_own, handle, guid, service, text, body, is_rich, status = (
                row
            )
            if row_id in messages:  # It is in several of the merged chats.
                continue
            services[service] = None
            # The handle of an own message is the other person's or empty.
            if is_own or chats.is_self_chat:
                sender = self._owner
            else:
                sender = self._senders.get(handle) or chats.other_person or ""
            if is_own:
                own_ids.add(row_id)
            if body is not None:
                text = decode_attributed_body(body) if type(body) is bytes else None
            message = Message(time, sender, "", "text", guid or "", {})
            if not is_rich and is_plain_text(text):
                message.text = text
            else:
                reaction = self._read_details(row_id, message, text)
                if reaction and status is None:
                    reactions[row_id] = reaction
            if status is not None:
                message.text = message.text if message.kind == "text" else ""
                message.kind = status
            messages[row_id] = message
        ordered = _sort(messages)
        if chats.is_self_chat:
            _mark_duplicate_notes(ordered, own_ids)
        self._mark_repeats(ordered)
        apply_text_reactions(list(ordered.values()))
        _apply_reactions(ordered, reactions)
        names = (_SERVICES.get(name.casefold(), name) for name in services if name)
        return [*ordered.values()], list(dict.fromkeys(names))

    def _read_details(
        self, row_id: int, message: Message, text: object
    ) -> Reaction | None:
        """Complete a message that is not plain text; return its reaction, if any."""
        details = self._queries.get_details(row_id)
        if isinstance(text, bytes):
            text = text.decode("utf-8", "replace")
        stored_text = None if text is None else str(text)
        reaction = _read_reaction(details) if details.kind == "reaction" else None
        self._read_content(row_id, message, details, stored_text)
        if reaction and not message.text:
            message.text = f"[{reaction.reaction}]"
        if is_owner_location(details):
            message.sender = self._owner
        return reaction

    def _read_content(
        self, row_id: int, message: Message, details: Details, text: str | None
    ) -> None:
        kind = details.kind
        message.extra = read_reply_to(details)
        if kind == "event":
            other = self._people.ids_by_handle.get(details.other_handle, "someone")
            other = self._people.names.get(other, other)
            message.text, message.kind = describe_event(details, other), "system"
            return
        if kind in ("vote", "sticker"):
            message.text = f"[{kind}]"
            message.kind = "system" if kind == "vote" else "reaction"
            return
        read_content(message, details, text, self._queries.get_attachments(row_id))
        if message.kind == "unreadable":
            _logger.info("The text of message %s cannot be read.", row_id)
        # `unsent` takes precedence over all other kinds except `reaction`.
        if kind is None or (message.kind == "unsent" and kind != "reaction"):
            return
        if kind == "app":
            line = describe_app(details.balloon_bundle_id, details.payload_data)
            message.text, message.kind = line, "media"
            message.extra = read_reply_to(details)
            return
        message.text = message.text if message.kind == "text" else ""
        message.kind = kind

    def _mark_repeats(self, messages: Mapping[int, Message]) -> None:
        """Mark the messages that an earlier conversation also contains."""
        for row_id in messages.keys() & self._shared_ids:
            messages[row_id].is_repeat = row_id in self._seen_ids
            self._seen_ids.add(row_id)


def _sort(messages: Mapping[int, Message]) -> dict[int, Message]:
    """Sort messages by time, then by row id; those without a time come first."""
    by_row_id = sorted(messages.items())
    by_row_id.sort(key=lambda item: sort_key(item[1].time))
    return dict(by_row_id)


def _mark_duplicate_notes(
    messages: Mapping[int, Message], own_ids: Container[int]
) -> None:
    """Mark duplicate notes in the owner's chat with themselves.

    Some devices and versions store a note once, others as both sent and received.
    """
    unmatched: dict[tuple[str, bool], int] = {}
    for row_id, message in messages.items():
        if not message.text:
            continue
        is_own = row_id in own_ids
        copy = (message.text, not is_own)
        # Copies without a time also match.
        time = message.time or 0
        if copy in unmatched and abs(unmatched.pop(copy) - time) <= _MAX_COPY_GAP:
            message.kind = "duplicate"
        else:
            unmatched[message.text, is_own] = time


def _read_reaction(details: Details) -> Reaction | None:
    target, kind = details.associated_message_guid, details.associated_message_type
    if not target or not isinstance(kind, int):
        return None
    is_removal = kind >= _MIN_REMOVED_TYPE
    index = kind - (_MIN_REMOVED_TYPE if is_removal else _MIN_ADDED_TYPE)
    emoji = _EMOJI[index] if 0 <= index < len(_EMOJI) else ""
    emoji = emoji or details.associated_message_emoji or "reaction"
    return Reaction(parse_target(target), emoji, is_removal)


def _apply_reactions(
    messages: Mapping[int, Message], reactions: Mapping[int, Reaction]
) -> None:
    """Add reactions to their messages; both are by row id."""
    guids = {reaction.target for reaction in reactions.values()}
    targets = {m.id: m for m in messages.values() if m.id in guids} if guids else {}
    for row_id, message in messages.items() if targets else ():
        reaction = reactions.get(row_id)
        if reaction and (target := targets.get(reaction.target)):
            apply_reaction(target, reaction, message.sender)
