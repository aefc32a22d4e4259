"""Asynchronous loading, on a separate thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from contextvars import copy_context
from datetime import timedelta

from langchain_core.chat_loaders import BaseChatLoader
from langchain_core.chat_sessions import ChatSession
from langchain_core.documents import Document


class AsyncLoading(BaseChatLoader):
    """A chat loader with `aload`, `alazy_load` and `to_documents`."""

    def alazy_load(self) -> AsyncGenerator[ChatSession, None]:
        """Load the sessions one by one, without blocking the event loop.

        Returns:
            An asynchronous generator; closing it (`aclosing`) closes the export.
        """
        return iterate_on_thread(_load_sessions(self))

    async def aload(self) -> list[ChatSession]:
        """Load all sessions, without blocking the event loop."""
        async with aclosing(self.alazy_load()) as sessions:
            return [session async for session in sessions]

    def to_documents(
        self,
        *,
        size: int | None = 8,
        overlap: int = 2,
        gap: timedelta | None = timedelta(hours=1),
        flat: bool = False,
    ) -> Iterator[Document]:
        """Read the sessions as documents, for vector stores and retrievers.

        Takes the arguments of `sessions_to_documents`. Documents are read lazily;
        closing the iterator closes the export.
        """
        from langchain_chatexports.retrieval.documents import sessions_to_documents

        return sessions_to_documents(
            self, size=size, overlap=overlap, gap=gap, flat=flat
        )


async def iterate_on_thread(
    sessions: Generator[ChatSession, None, None],
) -> AsyncGenerator[ChatSession, None]:
    """Iterate over a generator on another thread, then close it."""
    # Use a single thread, since SQLite connections are bound to one.
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


def _load_sessions(loader: BaseChatLoader) -> Generator[ChatSession, None, None]:
    # Loaders of other packages may open the export in `lazy_load`, so call it here.
    yield from loader.lazy_load()
