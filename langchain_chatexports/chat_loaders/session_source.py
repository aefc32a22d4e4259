"""Iterate over the sessions of a loader, a session, or nested iterables of them."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from typing import Any, TypeAlias, cast

from langchain_core.chat_loaders import BaseChatLoader
from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import BaseMessage

SessionSource: TypeAlias = BaseChatLoader | ChatSession | Iterable[ChatSession]
"""The input of steps: a chat loader, a session, or an iterable of sessions."""


def iter_sessions(source: SessionSource) -> Generator[ChatSession, None, None]:
    """Iterate over the sessions of a loader, a session or an iterable, one at a time.

    Iterables may be nested, since Runnables stream lists of sessions. Closing the
    iterator closes the loader's.
    """
    # Users may pass any object, so ignore the type.
    untyped_source: Any = source
    if isinstance(untyped_source, BaseChatLoader):
        yield from closing_iterator(untyped_source.lazy_load())
    elif isinstance(untyped_source, Mapping):
        yield cast("ChatSession", untyped_source)
    elif isinstance(untyped_source, Iterable) and not isinstance(
        untyped_source, (str, bytes)
    ):
        with closing(closing_iterator(iter(untyped_source))) as items:
            for item in items:
                if isinstance(item, dict):
                    held = [cast("ChatSession", item)]
                    del item
                    yield held.pop()  # Do not keep a reference to the session.
                    continue
                if isinstance(item, BaseMessage):
                    msg = (
                        "Expected chat sessions, got a message. Wrap messages in a "
                        "session: {'messages': [...]}."
                    )
                    raise TypeError(msg)
                yield from iter_sessions(item)
                del item  # It would stay in memory while the next item is read.
    else:
        msg = (
            "Expected a chat loader, a ChatSession or an iterable of them, "
            f"got {type(untyped_source).__name__}."
        )
        raise TypeError(msg)


def collect_messages(session: ChatSession) -> ChatSession:
    """Return the session, with a list if its messages are an iterator."""
    messages: Iterable[BaseMessage] = session.get("messages", ())
    if isinstance(messages, Iterator):
        return {**session, "messages": list(messages)}
    return session


def closing_iterator(sessions: Iterator[Any]) -> Generator[Any, None, None]:
    """Yield the items, then close the iterator if it has a `close` method."""
    try:
        yield from sessions
    finally:
        close = getattr(sessions, "close", None)
        if close is not None:
            close()
