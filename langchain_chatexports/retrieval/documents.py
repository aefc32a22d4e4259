"""Convert sessions to LangChain documents: windows of messages."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import timedelta
from hashlib import blake2b
from itertools import pairwise
from math import inf, isfinite
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from langchain_core.chat_sessions import ChatSession
from langchain_core.documents import Document
from langchain_core.messages import BaseMessage

from langchain_chatexports._fast.strings import format_iso_time
from langchain_chatexports._terminal import message_line, one_line
from langchain_chatexports.chat_loaders.conversation import MessageIds
from langchain_chatexports.chat_loaders.json_data import replace_lone_surrogates
from langchain_chatexports.chat_loaders.schema import metadata_of
from langchain_chatexports.chat_loaders.session_source import (
    SessionSource,
    iter_sessions,
)
from langchain_chatexports.steps.pauses import pauses_before

_MAX_NAMES = 10
_ID_BYTES = 16
_MICROSECONDS = 1_000_000
_DEFAULT_GAP = timedelta(hours=1)


class IndexedChat(NamedTuple):
    """A conversation without its messages."""

    source: str
    """Platform and session id, stable across exports."""

    session_id: str
    platform: str
    title: str | None
    participants: tuple[str, ...]
    is_group: bool | None
    thread_id: str | None
    senders: dict[str, int]
    first: str | None
    """Time of the first message, ISO 8601 in UTC."""

    last: str | None

    @property
    def messages(self) -> int:
        """The number of messages."""
        return sum(self.senders.values())


class ChatLine(NamedTuple):
    """A message in a document."""

    ids: tuple[str, ...]
    """Message ids from the export (several if merged), or one from `MessageIds`."""

    time: int | None
    """Unix seconds."""

    sender: str
    text: str

    @property
    def iso_time(self) -> str | None:
        """The time in ISO 8601 format (UTC)."""
        return iso_seconds(self.time)


def window_spans(
    session: ChatSession,
    *,
    size: int | None = 8,
    overlap: int = 2,
    gap: timedelta | None = _DEFAULT_GAP,
) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each window of a conversation.

    A window does not depend on later messages, so when a conversation grows, only the
    last window changes.
    """
    max_pause = inf if gap is None else gap.total_seconds()
    if max_pause <= 0 or (size is not None and not 0 <= overlap < size):
        msg = (
            "size and gap must be positive, and overlap less than size, not "
            f"size={size}, overlap={overlap}, gap={gap}."
        )
        raise ValueError(msg)
    messages = session.get("messages", ())
    # Unlike in `SplitSessions`, replies join no parts: later ones would change windows.
    pauses = pauses_before(messages)
    starts = [i for i, pause in enumerate(pauses) if pause and pause > max_pause]
    for first, end in pairwise((0, *starts, len(messages))):
        start = stop = first
        while stop < end:
            stop = end if size is None else min(end, start + size)
            yield start, stop
            start = stop - overlap


def sessions_to_documents(
    sessions: SessionSource,
    *,
    size: int | None = 8,
    overlap: int = 2,
    gap: timedelta | None = _DEFAULT_GAP,
    flat: bool = False,
) -> Iterator[Document]:
    """Convert sessions to documents, for any vector store or retriever.

    A document is a window of a conversation: a line with the chat, a line for each day,
    and a line for each message with time (UTC), sender and text. Its metadata uses JSON
    types:

    - `source`: platform and session id, stable across exports
    - `session_id`, `platform`, `title`, `participants`, `is_group`, and `thread_id` if
      the session was split
    - `first`, `last`: times of the first and last message, ISO 8601 in UTC
    - `senders`: the distinct senders of the messages
    - `message_ids`: the ids of all messages, including those in merged runs
    - `messages`: `id`, `time` and `sender` of each message, for citations

    A document's `id` depends on the source and its first message, so it does not change
    when the window grows. Messages without an id get an id derived from conversation,
    time, sender and text.

    Args:
        sessions: A chat loader, a session, or an iterable of sessions.
        size: Maximum number of messages in a document; `None` for no limit.
        overlap: Number of messages shared with the previous document.
        gap: Pause after which a new document begins; `None` to ignore pauses. With
            `size=None, gap=None` each session becomes one document.
        flat: Whether to flatten the metadata for stores that only support strings,
            numbers and booleans: lists become JSON
            (`json.loads(document.metadata["messages"])`), and empty keys are omitted.

    Yields:
        The documents, lazily; closing the iterator closes the loader.

    Raises:
        ValueError: If `size` or `gap` is not positive, or `overlap` is not less than
            `size`.
    """
    with closing(iter_sessions(sessions)) as source:
        for session in source:
            chat, lines = read_chat(session)
            spans = window_spans(session, size=size, overlap=overlap, gap=gap)
            for start, end in spans:
                document = create_document(chat, lines[start:end])
                if flat:
                    document.metadata = _flatten(document.metadata)
                yield document
            del session


def read_chat(session: ChatSession) -> tuple[IndexedChat, list[ChatLine]]:
    """Return a session's metadata and messages, with ids for messages without one."""
    metadata = metadata_of(session)
    messages = session.get("messages", ())
    identities = [_identity(message) for message in messages]
    platform = _text(metadata.get("platform")) or "unknown"
    # Derive a missing id from the first message, which later exports also contain.
    session_id = one_line(_text(metadata.get("id"))) or MessageIds("").from_content(
        *(identities[0] if identities else (None, "", ""))
    )
    new_ids = MessageIds(session_id)
    lines = []
    for message, identity in zip(messages, identities, strict=True):
        merged_ids = message.additional_kwargs.get("message_ids")
        ids = merged_ids or ([message.id] if message.id else ())
        ids = ids or [new_ids.from_content(*identity)]
        lines.append(ChatLine(tuple(one_line(_text(id_)) for id_ in ids), *identity))
    times = [line.time for line in lines if line.time is not None]
    senders = Counter(line.sender for line in lines)
    is_group = metadata.get("is_group")
    chat = IndexedChat(
        source=f"{platform}:{session_id}",
        session_id=session_id,
        platform=platform,
        title=_text(metadata.get("title")) or None,
        participants=tuple(map(_text, metadata.get("participants") or senders)),
        is_group=is_group if isinstance(is_group, bool) else None,
        thread_id=_text(metadata.get("thread_id")) or None,
        senders=dict(senders.most_common()),
        first=iso_seconds(min(times, default=None)),
        last=iso_seconds(max(times, default=None)),
    )
    return chat, lines


def create_document(chat: IndexedChat, lines: Sequence[ChatLine]) -> Document:
    """Create the document of a window."""
    times = [line.iso_time for line in lines if line.time is not None]
    metadata: dict[str, Any] = {
        "source": chat.source,
        "session_id": chat.session_id,
        "platform": chat.platform,
        "title": chat.title,
        "participants": list(chat.participants),
        "is_group": chat.is_group,
        "first": min(times, default=None, key=str),
        "last": max(times, default=None, key=str),
        "senders": list(dict.fromkeys(line.sender for line in lines)),
        "message_ids": [message_id for line in lines for message_id in line.ids],
        "messages": [
            {"id": line.ids[0], "time": line.iso_time, "sender": line.sender}
            for line in lines
        ],
    }
    if chat.thread_id is not None:
        metadata["thread_id"] = chat.thread_id
    key = f"{chat.source}\0{lines[0].ids[0]}\0{lines[0].time}".encode()
    # Some vector stores require UUIDs.
    document_id = UUID(bytes=blake2b(key, digest_size=_ID_BYTES).digest(), version=5)
    return Document(_page_content(chat, lines), id=str(document_id), metadata=metadata)


def iso_seconds(seconds: int | None) -> str | None:
    """Convert Unix seconds to ISO 8601 in UTC; `None` if there is no time."""
    return None if seconds is None else format_iso_time(seconds * _MICROSECONDS)


def _page_content(chat: IndexedChat, lines: Sequence[ChatLine]) -> str:
    names = ", ".join(chat.participants[:_MAX_NAMES])
    if len(chat.participants) > _MAX_NAMES:
        names += ", …"
    has_title = chat.title and chat.title not in chat.participants
    heading = f"{chat.title} ({names})" if has_title else names
    parts = [one_line(f"Chat: {heading}")]
    day = None
    for line in lines:
        time = line.iso_time or ""
        if time and time[:10] != day:
            day = time[:10]
            parts.append(f"{day} (UTC)")
        parts.append(message_line(time[11:16], line.sender, line.text))
    return "\n".join(parts)


def _flatten(metadata: Mapping[str, Any]) -> dict[str, str | bool]:
    return {
        name: value
        if isinstance(value, (str, bool))
        else msgspec.json.encode(value).decode()
        for name, value in metadata.items()
        if value is not None
    }


def _identity(message: BaseMessage) -> tuple[int | None, str, str]:
    """Return the time (Unix seconds), sender and text of a message."""
    extra = message.additional_kwargs
    sender = _text(extra.get("sender")) or message.type
    return _seconds(extra.get("message_time")), sender, _text(message.text)


def _seconds(time: object) -> int | None:
    # langchain-community's loader sets Apple's nanoseconds, which are out of range.
    if not isinstance(time, (int, float)) or not isfinite(time):
        return None
    return None if iso_seconds(int(time)) is None else int(time)


def _text(value: object) -> str:
    return replace_lone_surrogates(str(value)) if value else ""
