"""Asynchronous loading: sessions are read on one thread, off the event loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from contextvars import copy_context
from typing import TYPE_CHECKING

from langchain_core.chat_loaders import BaseChatLoader

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Iterator

    from langchain_core.chat_sessions import ChatSession

__all__ = ["AsyncLoading", "read_on_one_thread"]


class AsyncLoading(BaseChatLoader):
    """A chat loader with `aload` and `alazy_load`."""

    def alazy_load(self) -> AsyncGenerator[ChatSession, None]:
        """Read the sessions one by one, off the event loop.

        Returns:
            An asynchronous generator; closing it (`aclosing`) closes the export.
        """
        return read_on_one_thread(_sessions_of(self))

    async def aload(self) -> list[ChatSession]:
        """Read all sessions, off the event loop."""
        async with aclosing(self.alazy_load()) as sessions:
            return [session async for session in sessions]


async def read_on_one_thread(
    sessions: Generator[ChatSession, None, None],
) -> AsyncGenerator[ChatSession, None]:
    """Read sessions off the event loop.

    Args:
        sessions: A generator that has not started; it is closed at the end.

    Yields:
        The sessions.
    """
    # One thread for the whole pass: SQLite connections are bound to theirs.
    loop, context = asyncio.get_running_loop(), copy_context()
    with ThreadPoolExecutor(1) as thread:
        try:
            while True:
                session = await loop.run_in_executor(
                    thread, context.run, _next, sessions
                )
                if session is None:
                    return
                yield session
                del session
        finally:
            await loop.run_in_executor(thread, context.run, sessions.close)


def _next(sessions: Iterator[ChatSession]) -> ChatSession | None:
    return next(sessions, None)


def _sessions_of(loader: BaseChatLoader) -> Generator[ChatSession, None, None]:
    # A loader may open its export in `lazy_load` itself.
    yield from loader.lazy_load()
