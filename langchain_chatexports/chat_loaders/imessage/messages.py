"""Rows of a conversation as messages, and the count of those that are left out."""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_chatexports.chat_loaders.base import (
    UNKNOWN_SENDER,
    export_message,
    message_time,
)
from langchain_chatexports.chat_loaders.imessage.attributed_body import (
    decode_attributed_body,
)
from langchain_chatexports.chat_loaders.imessage.connections import is_interrupted
from langchain_chatexports.chat_loaders.imessage.content import (
    Content,
    LeftOut,
    is_unsent,
    links,
    needs_care,
    read_content,
    read_placeholder,
)
from langchain_chatexports.chat_loaders.imessage.events import (
    describe_event,
    is_own_location,
)
from langchain_chatexports.chat_loaders.imessage.reactions import (
    Reaction,
    TextIndex,
    apply_reaction,
    attach_reactions,
    quoted_reaction,
    reaction_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_core.messages import HumanMessage

    from langchain_chatexports.chat_loaders.base import MessageTime
    from langchain_chatexports.chat_loaders.imessage.conversations import MergedChats
    from langchain_chatexports.chat_loaders.imessage.people import People
    from langchain_chatexports.chat_loaders.imessage.queries import Queries
    from langchain_chatexports.chat_loaders.imessage.rows import Details

__all__ = [
    "REASON_OF_KIND",
    "Context",
    "ConversationReader",
    "DatabaseOwner",
    "read_conversation",
]

_NOTE_COPY_MICROSECONDS = 60_000_000
_QUOTE = "“"  # What every reaction in words has.

REASON_OF_KIND = {
    "reaction": "reaction",
    "sticker": "reaction",
    "vote": "system",
    "event": "system",
    "draft": "draft",
    "spam": "spam",
    "auto_reply": "auto_reply",
    "app": "media",
}
"""Why each kind of row is left out, unless it is asked for."""

# An unsent message of these kinds counts as unsent only.
_KINDS_OF_WRITING = frozenset({"draft", "spam", "auto_reply", "app"})


class DatabaseOwner(NamedTuple):
    """Whose database it is."""

    label: str
    is_known: bool
    handle_ids: frozenset[Any]
    """Handles of the owner, in a database where no message is marked as theirs."""


@dataclass(frozen=True)
class Context:
    """What all conversations of a pass share."""

    queries: Queries
    people: People
    owner: DatabaseOwner
    keeps_time: Callable[[MessageTime | None], bool]
    has_time_bounds: bool
    kept_kinds: frozenset[str]
    include_media: bool
    include_unsent: bool
    include_reaction_texts: bool
    attach_reactions: bool


def read_conversation(
    context: Context, conversation: MergedChats
) -> ConversationReader:
    """Read one conversation.

    Args:
        context: What all conversations of a pass share.
        conversation: The conversation.

    Returns:
        The reader, after the last message.
    """
    with context.queries.strict_texts():
        reader = ConversationReader(context, conversation)
        try:
            reader.read()
        except sqlite3.OperationalError as error:
            if is_interrupted(error):
                raise
        else:
            return reader
    # Most likely some text is badly encoded: this time it is read with U+FFFD.
    reader = ConversationReader(context, conversation)
    reader.read()
    return reader


class ConversationReader:
    """Reads the messages of one conversation, and counts what it leaves out."""

    def __init__(self, context: Context, conversation: MergedChats) -> None:
        self.messages: list[HumanMessage] = []
        """The messages read so far, oldest first."""
        self.found = 0
        self.skipped: Counter[str] = Counter()
        self.senders: dict[str, None] = {}
        """Who wrote the messages, each once, in the order of their first one."""
        self.services: Counter[str | None] = Counter()
        """How many messages each service carried."""
        self._context = context
        self._conversation = conversation
        self._fallback = conversation.other or UNKNOWN_SENDER
        self._earlier = TextIndex(self.messages)
        self._reactions: list[Reaction] = []
        self._notes = _NotesToOneself() if conversation.is_with_oneself else None

    def read(self) -> None:
        """Read all messages."""
        # Most rows are plain text: one loop reads these without a call, with every
        # name looked up once.
        context, append = self._context, self.messages.append
        label, is_owner_known, owner_handles = context.owner
        names, fallback = context.people.name_of_handle, self._fallback
        is_every_row_special = self._notes is not None or context.has_time_bounds
        services, senders = self.services, self.senders
        found, last_row_id = 0, None
        for row in context.queries.messages(self._conversation.chat_ids):
            (
                row_id, microseconds, is_from_me, handle_id, guid, service,
                text, body, kind, has_more,
            ) = row  # fmt: skip
            found += 1
            # Chats that are one conversation can share a message.
            if row_id == last_row_id:
                self.skipped["duplicate"] += 1
                continue
            last_row_id = row_id
            if body is not None:
                text = decode_attributed_body(body) if type(body) is bytes else None
            if has_more or kind is not None or is_every_row_special or needs_care(text):
                try:
                    append(self._read_row(row, text))
                except LeftOut as left_out:
                    self.skipped[left_out.reason] += 1
                continue
            # An own row names the other party in `handle_id`, or nobody.
            is_mine = is_from_me or handle_id in owner_handles
            sender = label if is_mine else names.get(handle_id, fallback)
            services[service] += 1
            senders[sender] = None
            append(
                export_message(
                    text,
                    sender=sender,
                    moment=None if microseconds is None else message_time(microseconds),
                    is_from_me=bool(is_mine) if is_owner_known else None,
                    message_id=guid,
                )
            )
        self.found += found
        if self._reactions:
            attach_reactions(self.messages, self._reactions)

    def _read_row(self, row: tuple[Any, ...], text: object) -> HumanMessage:
        """Read a row that is more than plain text.

        Raises:
            LeftOut: If it becomes no message.
        """
        row_id, microseconds, is_from_me, handle_id, guid, service, *_ = row
        *_, kind, has_more = row
        context = self._context
        is_mine = is_from_me or self._notes or handle_id in context.owner.handle_ids
        if (
            kind in _KINDS_OF_WRITING
            and (has_more or needs_care(text))
            and not context.include_unsent
            and is_unsent(context.queries.details(row_id), _as_text(text))
        ):
            raise LeftOut(reason="unsent")
        if kind is not None and kind not in context.kept_kinds:
            if kind == "reaction" and context.attach_reactions:
                self._remember_reaction(row_id, self._sender(is_mine, handle_id))
            raise LeftOut(reason=REASON_OF_KIND[kind])
        details = context.queries.details(row_id)
        is_mine = is_mine or is_own_location(details)
        said, extra = self._read_closely(details, kind, _as_text(text))
        sender = self._sender(is_mine, handle_id)
        if _QUOTE in said and not context.include_reaction_texts:
            self._leave_out_reaction_text(said, sender)
        if self._notes and self._notes.has(said, microseconds, is_from_me):
            raise LeftOut(reason="duplicate")
        moment = None if microseconds is None else message_time(microseconds)
        if not context.keeps_time(moment):
            raise LeftOut(reason="excluded")
        self.services[service] += 1
        self.senders[sender] = None
        return export_message(
            said,
            sender=sender,
            moment=moment,
            is_from_me=bool(is_mine) if context.owner.is_known else None,
            message_id=guid,
            extra=extra,
        )

    def _sender(self, is_mine: object, handle_id: Any) -> str:
        if is_mine:
            return self._context.owner.label
        names = self._context.people.name_of_handle
        return names.get(handle_id, self._fallback)

    def _read_closely(
        self, details: Details, kind: str | None, text: str | None
    ) -> Content:
        context = self._context
        if kind == "event":
            other = context.people.name_of_handle.get(details.other_handle)
            return Content(describe_event(details, other), links(details))
        if kind in ("app", "sticker", "vote"):
            return read_placeholder(details, kind)
        if kind == "reaction" and not text:
            reaction = reaction_of(details, "")
            text = f"[{reaction.reaction}]" if reaction else text
        return read_content(
            details,
            text,
            context.queries.attachments(details.message_id),
            include_media=context.include_media,
            include_unsent=context.include_unsent,
        )

    def _remember_reaction(self, row_id: int, sender: str) -> None:
        reaction = reaction_of(self._context.queries.details(row_id), sender)
        if reaction is not None:
            self._reactions.append(reaction)

    def _leave_out_reaction_text(self, text: str, sender: str) -> None:
        """Leave out a reaction in words if it quotes an earlier message."""
        found = quoted_reaction(text)
        target = self._earlier.find(found.quoted) if found else None
        if found is None or target is None:
            return
        if self._context.attach_reactions:
            reaction = Reaction("", found.reaction, sender, found.is_removal)
            apply_reaction(target, reaction)
        raise LeftOut(reason="reaction")


class _NotesToOneself:
    """Finds the copies in a chat with oneself.

    Depending on device and version a note is one row, or two: from me, and to me.
    """

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, int], int | None] = {}

    def has(self, text: str, microseconds: int | None, is_from_me: int) -> bool:
        """Return whether this is the second row of a pair."""
        twin = (text, 1 - is_from_me)
        if twin in self._waiting and _near(self._waiting.pop(twin), microseconds):
            return True
        self._waiting[text, is_from_me] = microseconds
        return False


def _as_text(value: object) -> str | None:
    """Return a column's value as text: types of columns are not enforced."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return None if value is None else str(value)


def _near(one: int | None, other: int | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(other - one) <= _NOTE_COPY_MICROSECONDS
