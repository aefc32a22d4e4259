"""Chat loaders that can be read with steps: `loader | step`."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from contextvars import copy_context
from inspect import isfunction
from typing import TYPE_CHECKING, cast

from langchain_core.chat_loaders import BaseChatLoader
from langchain_core.chat_sessions import ChatSession

from langchain_chatexports.chat_loaders.counts import ExportSummary
from langchain_chatexports.chat_loaders.duplicates import Originals
from langchain_chatexports.chat_loaders.reading import Reading, SessionStep, Steps
from langchain_chatexports.chat_loaders.schema import ExportSession
from langchain_chatexports.chat_loaders.session_source import iter_sessions


class PipeableChatLoader(BaseChatLoader):
    """A chat loader with `|`, iteration, `inspect` and asynchronous loading."""

    @abstractmethod
    def lazy_load(self) -> Iterator[ExportSession]:
        """Load the sessions one by one."""

    def stream_sessions(self) -> Iterator[ChatSession]:
        """Load the sessions for steps, which read the messages of each session once.

        The messages may be an iterator, so that not all of them are in memory.
        """
        return cast("Iterator[ChatSession]", self.lazy_load())

    if TYPE_CHECKING:
        # Subclasses of `BaseChatLoader` should not override it at run time.
        def load(self) -> list[ExportSession]:  # type: ignore[override] # with metadata
            """Load all sessions."""

    @abstractmethod
    def read(self, steps: Steps = (), *, seen: Originals | None = None) -> Reading:
        """Start a counted pass; see `read_loader`."""

    def inspect(self) -> ExportSummary:
        """Read the export once, and count the messages found, kept and skipped.

        Returns:
            The counts, also of each step; found = kept + sum(skipped).
        """
        return self.read().inspect()

    def alazy_load(self) -> AsyncGenerator[ExportSession, None]:
        """Load the sessions one by one, without blocking the event loop.

        Returns:
            An asynchronous generator; closing it (`aclosing`) closes the export.
        """
        sessions = iterate_on_thread(_load_sessions(self))
        return cast("AsyncGenerator[ExportSession, None]", sessions)

    async def aload(self) -> list[ExportSession]:
        """Load all sessions, without blocking the event loop."""
        async with aclosing(self.alazy_load()) as sessions:
            return [session async for session in sessions]

    def __iter__(self) -> Iterator[ExportSession]:
        """Iterate over the sessions, as `lazy_load` does."""
        return self.lazy_load()

    def __or__(self, other: SessionStep) -> TransformedChatLoader:
        """Return a loader whose sessions pass through a step."""
        _check_is_step(other)
        return TransformedChatLoader(self, other)


class TransformedChatLoader(PipeableChatLoader):
    """A chat loader with steps: `loader | step`.

    It is lazy, and reads one session at a time.
    """

    def __init__(self, loader: BaseChatLoader, steps: SessionStep) -> None:
        """Initialize with any chat loader and a step."""
        self.loader = loader
        self.steps = steps

    def lazy_load(self) -> Iterator[ExportSession]:
        """Read and transform the sessions one by one."""
        sessions = self.steps.lazy_transform(self.loader)
        return cast("Iterator[ExportSession]", sessions)

    def read(self, steps: Steps = (), *, seen: Originals | None = None) -> Reading:
        """Start a counted pass; see `read_loader`."""

        def all_steps(reading: Reading) -> Iterable[SessionStep]:
            return (self.steps, *(steps(reading) if callable(steps) else steps))

        return read_loader(self.loader, all_steps, seen=seen)

    def __or__(self, other: SessionStep) -> TransformedChatLoader:
        """Append a step."""
        _check_is_step(other)
        return TransformedChatLoader(self.loader, self.steps | other)

    def __repr__(self) -> str:
        """Return the loader and the steps, never content."""
        return f"{self.loader!r} | {self.steps!r}"


def read_loader(
    loader: BaseChatLoader, steps: Steps = (), *, seen: Originals | None = None
) -> Reading:
    """Start a counted pass over any chat loader.

    Args:
        loader: The loader, with or without steps.
        steps: More steps.
        seen: Shared by the passes over several exports; see `read_loaders`.

    Returns:
        The pass. Iterate over it, then call `summary`; or call `inspect`.
    """
    if isinstance(loader, PipeableChatLoader):
        return loader.read(steps, seen=seen)

    return Reading(
        lambda _: iter_sessions(loader), platform=_platform_of(loader), steps=steps
    )


def read_loaders(loaders: Iterable[BaseChatLoader], steps: Steps = ()) -> list[Reading]:
    """Start one pass over several exports, to be read in this order.

    Messages that several exports of an app contain are kept once, in the first export.

    Args:
        loaders: The loaders, with or without steps.
        steps: More steps for each of them.

    Returns:
        The part of the pass for each loader.
    """
    loaders = list(loaders)
    platforms = Counter(map(_platform_of, loaders))
    seen: dict[str, Originals] = defaultdict(Originals)
    return [
        read_loader(
            loader, steps, seen=seen[platform] if platforms[platform] > 1 else None
        )
        for loader, platform in zip(loaders, map(_platform_of, loaders), strict=True)
    ]


def _platform_of(loader: BaseChatLoader) -> str:
    if isinstance(loader, TransformedChatLoader):
        return _platform_of(loader.loader)
    return str(getattr(loader, "platform", "unknown"))


def _check_is_step(value: object) -> None:
    """Raise a `TypeError` if a value cannot be combined with a chat loader."""
    # Check the class, since `step.with_config(...)` forwards the methods of a step.
    if not callable(getattr(type(value), "lazy_transform", None)):
        remedy = (
            "(steps | other).invoke(loader), or other.invoke(loader | steps), such as "
            "tuner.invoke(loader | steps)"
        )
        if isfunction(value):
            remedy = f"{value.__name__}(loader | steps)"
        msg = (
            f"A chat loader can only be combined with session steps, "
            f"not with {type(value).__name__}. Write {remedy}."
        )
        raise TypeError(msg)


async def iterate_on_thread(
    sessions: Generator[ChatSession, None, None],
) -> AsyncGenerator[ChatSession, None]:
    """Iterate over a generator on another thread, then close it."""
    import asyncio  # Synchronous programs need not wait for it.

    # Use a single thread, since SQLite connections are bound to one.
    loop, context = asyncio.get_running_loop(), copy_context()

    def read_next() -> ChatSession | None:
        return context.run(lambda: next(sessions, None))

    with ThreadPoolExecutor(1) as thread:
        try:
            while True:
                session = await loop.run_in_executor(thread, read_next)
                if session is None:
                    return
                yield session
                del session
        finally:
            await loop.run_in_executor(thread, context.run, sessions.close)


def _load_sessions(loader: PipeableChatLoader) -> Generator[ChatSession, None, None]:
    # Call `lazy_load` on the thread too, since it may open the export.
    yield from loader.lazy_load()
