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
    given: Any = source  # Users may pass anything, so check it at run time.
    if isinstance(given, BaseChatLoader):
        yield from closing_iterator(given.lazy_load())
    elif isinstance(given, Mapping):
        yield cast("ChatSession", given)
    elif isinstance(given, Iterable) and not isinstance(given, (str, bytes)):
        with closing(closing_iterator(iter(given))) as items:
            for item in items:
                if isinstance(item, dict):
                    held = [cast("ChatSession", item)]
                    del item
                    yield held.pop()  # The consumer is the only one to hold it.
                    continue
                if isinstance(item, BaseMessage):
                    msg = (
                        "Expected chat sessions, got a message: wrap the messages, "
                        "{'messages': [...]}."
                    )
                    raise TypeError(msg)
                yield from iter_sessions(item)
                del item  # Otherwise the last session stays alive during the next one.
    else:
        msg = (
            "Expected a chat loader, a ChatSession or an iterable of them, "
            f"got {type(given).__name__}."
        )
        raise TypeError(msg)


def closing_iterator(sessions: Iterator[Any]) -> Generator[Any, None, None]:
    """Yield the items, then close the iterator if it has a `close` method."""
    try:
        yield from sessions
    finally:
        close = getattr(sessions, "close", None)
        if close is not None:
            close()
