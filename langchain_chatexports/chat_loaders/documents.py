"""Sessions as LangChain documents: windows of messages that a search can find."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import timedelta
from hashlib import blake2b
from math import isfinite
from typing import Any, NamedTuple
from uuid import UUID

from langchain_core.chat_sessions import ChatSession
from langchain_core.documents import Document
from langchain_core.messages import BaseMessage

from langchain_chatexports._fast.strings import iso_time
from langchain_chatexports._terminal import message_line, one_line
from langchain_chatexports.chat_loaders.conversation import MessageIds
from langchain_chatexports.chat_loaders.json_data import without_lone_surrogates
from langchain_chatexports.chat_loaders.message_times import end_time
from langchain_chatexports.chat_loaders.session_source import (
    SessionSource,
    iter_sessions,
)

_MAX_NAMES = 10
_ID_BYTES = 16
_MICROSECONDS = 1_000_000
_DEFAULT_GAP = timedelta(hours=1)


class ChatFacts(NamedTuple):
    """What a session says of itself beside its messages."""

    source: str
    """Platform and id: the same for the next export of the conversation."""

    session_id: str
    platform: str
    title: str
    participants: tuple[str, ...]
    is_group: bool | None
    thread_id: str | None


class ChatLine(NamedTuple):
    """A message as documents have it."""

    ids: tuple[str, ...]
    """The export's ids, several of a merged message; where it has none, one of
    `MessageIds`."""

    time: int | None
    """Unix seconds."""

    end: float | None
    """When the last bubble of a merged message was sent."""

    sender: str
    text: str

    @property
    def moment(self) -> str | None:
        """The time in ISO 8601, in UTC."""
        return iso_seconds(self.time)


class Windows(NamedTuple):
    """Where conversations are cut into windows.

    Each cut depends on the messages before it only. So a conversation that grows keeps
    its windows, but for the last one.
    """

    size: int | None = 8
    """Maximum number of messages in a window; `None` for any."""

    overlap: int = 2
    """Messages that a window shares with the one before it."""

    gap: timedelta | None = _DEFAULT_GAP
    """The pause after which a new conversation begins; `None` for none."""

    def check(self) -> None:
        """Raise an error for impossible windows.

        Raises:
            ValueError: If a size is not positive, or the overlap not less than it.
        """
        if self.size is not None and not 0 <= self.overlap < self.size:
            msg = f"overlap must be at least 0 and less than size ({self.size})."
            raise ValueError(msg)
        if self.gap is not None and self.gap <= timedelta(0):
            msg = "gap must be a positive timedelta, or None."
            raise ValueError(msg)

    def spans(self, lines: Sequence[ChatLine]) -> Iterator[tuple[int, int]]:
        """Yield begin and end of each window."""
        begin = 0
        for end in (*self._pauses(lines), len(lines)):
            yield from self._spans_between(begin, end)
            begin = end

    def _pauses(self, lines: Sequence[ChatLine]) -> Iterator[int]:
        if self.gap is None:
            return
        longest, last = self.gap.total_seconds(), None
        for index, line in enumerate(lines):
            if line.time is None:
                continue
            if last is not None and line.time - last > longest:
                yield index
            end = line.end or line.time
            last = end if last is None else max(last, end)

    def _spans_between(self, begin: int, end: int) -> Iterator[tuple[int, int]]:
        size = self.size or end - begin
        for start in range(begin, end, max(1, size - self.overlap)):
            stop = min(end, start + size)
            yield start, stop
            if stop == end:
                return


def sessions_to_documents(
    sessions: SessionSource,
    *,
    size: int | None = 8,
    overlap: int = 2,
    gap: timedelta | None = _DEFAULT_GAP,
) -> Iterator[Document]:
    """Turn sessions into documents, for any vector store or retriever.

    A document is a window of a conversation: a line with the chat, a line for each day,
    and a line for each message with time (UTC), sender and text. Its metadata, in JSON
    types, has:

    - `source`: platform and session id, the same in the next export
    - `session_id`, `platform`, `title`, `participants`, `is_group`, and `thread_id` of
      sessions that were split
    - `first`, `last`: times of the first and last message, ISO 8601 in UTC
    - `senders`: who wrote the messages, each once
    - `message_ids`: the export's ids of all messages, those in a merged run too
    - `messages`: `id`, `time` and `sender` of each message, to cite it by

    A document's `id` depends on the source and its first message: a window that grows
    keeps it. Messages without an id of the export have one made of their conversation,
    time, sender and text.

    Args:
        sessions: A chat loader, a session, or an iterable of sessions.
        size: Maximum number of messages in a document; `None` for any.
        overlap: Messages that a document shares with the one before it.
        gap: The pause after which a new document begins; `None` for none. With
            `size=None, gap=None` each session becomes one document.

    Yields:
        The documents, lazily; closing the iterator closes the loader.

    Raises:
        ValueError: If `overlap` is not less than `size`.
    """
    windows = Windows(size, overlap, gap)
    windows.check()
    with closing(iter_sessions(sessions)) as source:
        for session in source:
            yield from _documents(session, windows)
            del session


def _documents(session: ChatSession, windows: Windows) -> Iterator[Document]:
    facts = chat_facts(session)
    lines = chat_lines(session, facts)
    for begin, end in windows.spans(lines):
        yield window_document(facts, lines[begin:end])


def chat_facts(session: ChatSession) -> ChatFacts:
    """Return what a session says of itself; what it lacks is made of its messages."""
    metadata: Mapping[str, Any] = dict(session).get("metadata") or {}  # type: ignore[assignment] # a loader of another package may have any
    messages = session.get("messages", ())
    platform = _text(metadata.get("platform")) or "unknown"
    # The first message stays the first one when a conversation grows.
    session_id = one_line(_text(metadata.get("id"))) or MessageIds("").among_equals(
        *(_identity(messages[0]) if messages else (None, "", ""))
    )
    is_group = metadata.get("is_group")
    listed = metadata.get("participants") or ()
    return ChatFacts(
        source=f"{platform}:{session_id}",
        session_id=session_id,
        platform=platform,
        title=_text(metadata.get("title")),
        participants=tuple(map(_text, listed)) or _senders(messages),
        is_group=is_group if isinstance(is_group, bool) else None,
        thread_id=_text(metadata.get("thread_id")) or None,
    )


def chat_lines(session: ChatSession, facts: ChatFacts) -> list[ChatLine]:
    """Return a session's messages as documents have them."""
    made = MessageIds(facts.session_id)
    lines = []
    for message in session.get("messages", ()):
        extra = message.additional_kwargs
        moment, sender, text = _identity(message)
        ids = extra.get("message_ids") or ([message.id] if message.id else ())
        if not ids:
            ids = [made.among_equals(moment, sender, text)]
        lines.append(
            ChatLine(
                ids=tuple(one_line(_text(one)) for one in ids),
                time=moment,
                end=None if moment is None else end_time(message, moment),
                sender=sender,
                text=text,
            )
        )
    return lines


def window_document(facts: ChatFacts, lines: Sequence[ChatLine]) -> Document:
    """Return the document of a window.

    Args:
        facts: What the session says of itself.
        lines: The messages of the window.
    """
    times = [line.moment for line in lines if line.time is not None]
    metadata: dict[str, Any] = {
        "source": facts.source,
        "session_id": facts.session_id,
        "platform": facts.platform,
        "title": facts.title or None,
        "participants": list(facts.participants),
        "is_group": facts.is_group,
        "first": min(times, default=None, key=str),
        "last": max(times, default=None, key=str),
        "senders": list(dict.fromkeys(line.sender for line in lines)),
        "message_ids": [message_id for line in lines for message_id in line.ids],
        "messages": [
            {"id": line.ids[0], "time": line.moment, "sender": line.sender}
            for line in lines
        ],
    }
    if facts.thread_id is not None:
        metadata["thread_id"] = facts.thread_id
    return Document(
        _page(facts, lines), id=document_id(facts, lines[0]), metadata=metadata
    )


def _page(facts: ChatFacts, lines: Sequence[ChatLine]) -> str:
    parts = [_heading(facts)]
    day = None
    for line in lines:
        moment = line.moment or ""
        if moment and moment[:10] != day:
            day = moment[:10]
            parts.append(f"{day} (UTC)")
        parts.append(message_line(moment[11:16], line.sender, line.text))
    return "\n".join(parts)


def _heading(facts: ChatFacts) -> str:
    names = ", ".join(facts.participants[:_MAX_NAMES])
    if len(facts.participants) > _MAX_NAMES:
        names += ", …"
    if not facts.title or facts.title in facts.participants:
        return one_line(f"Chat: {names}")
    return one_line(f"Chat: {facts.title} ({names})")


def document_id(facts: ChatFacts, first: ChatLine) -> str:
    """Return the id of a document, by its first message.

    Args:
        facts: What the session says of itself.
        first: The first message.

    Returns:
        A UUID: some vector stores take nothing else.
    """
    key = f"{facts.source}\0{first.ids[0]}\0{first.time}".encode()
    return str(UUID(bytes=blake2b(key, digest_size=_ID_BYTES).digest(), version=5))


def _identity(message: BaseMessage) -> tuple[int | None, str, str]:
    """Return time (Unix seconds), sender and text of a message."""
    extra = message.additional_kwargs
    sender = _text(extra.get("sender")) or message.type
    return _seconds(extra.get("message_time")), sender, _text(message.text)


def _seconds(time: object) -> int | None:
    # langchain-community's loader has Apple's nanoseconds there, far from any year.
    if not isinstance(time, (int, float)):
        return None
    if isinstance(time, float) and not isfinite(time):
        return None
    return None if iso_seconds(int(time)) is None else int(time)


def iso_seconds(seconds: int | None) -> str | None:
    """Return Unix seconds in ISO 8601, in UTC; `None` for no time."""
    return None if seconds is None else iso_time(seconds * _MICROSECONDS)


def _senders(messages: Sequence[BaseMessage]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_identity(message)[1] for message in messages))


def _text(value: object) -> str:
    return without_lone_surrogates(str(value)) if value else ""
