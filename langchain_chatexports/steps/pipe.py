"""Chat loaders with steps (`loader | step`), and counted passes over them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from langchain_core.chat_loaders import BaseChatLoader
from langchain_core.chat_sessions import ChatSession

from langchain_chatexports.chat_loaders.async_loading import AsyncLoading
from langchain_chatexports.chat_loaders.base import ChatExportLoader, check_is_step
from langchain_chatexports.chat_loaders.counts import (
    CountedStep,
    ExportSummary,
    Reading,
    start_counted_pass,
)


class SessionStep(CountedStep, Protocol):
    """The methods of `SessionTransform` used by `TransformedChatLoader`."""

    def __or__(self, other: Any, /) -> Any:
        """Join two steps."""


class TransformedChatLoader(AsyncLoading):
    """A chat loader with steps: `loader | step`.

    It is lazy, and reads one session at a time.
    """

    def __init__(self, loader: BaseChatLoader, steps: SessionStep) -> None:
        self.loader = loader
        self.steps = steps

    def lazy_load(self) -> Iterator[ChatSession]:
        """Read and transform the sessions one by one."""
        return self.steps.lazy_transform(self.loader)

    def inspect(self) -> ExportSummary:
        """Read the export once and count messages at each step."""
        return inspect_loader(self)

    def __iter__(self) -> Iterator[ChatSession]:
        """Iterate over the transformed sessions."""
        return self.lazy_load()

    def __or__(self, other: SessionStep) -> TransformedChatLoader:
        """Append a step."""
        check_is_step(other)
        return TransformedChatLoader(self.loader, self.steps | other)

    def __repr__(self) -> str:
        """Return the loader and the steps, never content."""
        return f"{self.loader!r} | {self.steps!r}"


def read_loader(loader: BaseChatLoader, steps: Sequence[CountedStep] = ()) -> Reading:
    """Start a counted pass over any chat loader, with steps."""
    if isinstance(loader, TransformedChatLoader):
        return read_loader(loader.loader, (*loader.steps.flattened(), *steps))
    if isinstance(loader, ChatExportLoader):
        return loader.read(steps)
    platform = getattr(loader, "platform", "unknown")
    return start_counted_pass(loader.lazy_load(), platform, steps)


def inspect_loader(
    loader: BaseChatLoader, steps: Sequence[CountedStep] = ()
) -> ExportSummary:
    """Read any chat loader once, with steps, and return the counts."""
    return read_loader(loader, steps).finish()
