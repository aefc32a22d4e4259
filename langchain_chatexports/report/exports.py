"""Read exports once, through the steps of `prepare`, and count at each stage."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from langchain_chatexports.chat_loaders.base import ChatExportLoader
from langchain_chatexports.chat_loaders.counted_pass import CountedPass
from langchain_chatexports.chat_loaders.ledger import Ledger
from langchain_chatexports.datasets.trace import trace_examples
from langchain_chatexports.exceptions import SenderNotFoundError
from langchain_chatexports.report.counts import (
    ConversationCounts,
    ExampleSizes,
    MessageCounts,
    PrivateCounts,
    Voice,
)
from langchain_chatexports.steps import MapAIMessages, MergeChatRuns, SplitSessions
from langchain_chatexports.steps.pipe import TransformedChatLoader, counted_pass
from langchain_chatexports.steps.redact import names_of_export

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from langchain_core.chat_loaders import BaseChatLoader
    from langchain_core.chat_sessions import ChatSession

    from langchain_chatexports.chat_loaders.ledger import ExportSummary, StepSummary
    from langchain_chatexports.steps import SessionTransform

__all__ = ["Odometer", "ReportCounts", "private_counts"]

# Stand-ins are counted and never shown, so the key does not matter. A constant one
# makes reports reproducible.
_KEY = "report"


@dataclass
class Odometer:
    """Reports how many messages have been read.

    Attributes:
        listener: Called with the number after each session.
        messages: Messages read so far.
    """

    listener: Callable[[int], None] | None
    messages: int = 0

    def watch(self, sessions: Iterable[ChatSession]) -> Iterator[ChatSession]:
        """Pass sessions on and report their messages."""
        for session in sessions:
            length = len(session.get("messages", ()))
            yield session
            self.messages += length
            if self.listener is not None:
                self.listener(self.messages)
            del session


@dataclass
class ReportCounts:
    """All counters of a report.

    Attributes:
        messages: Of the threads, as the loaders give them.
        sizes: Of the examples.
        windows: The step that cuts conversations into examples.
        odometer: Reports the progress of reading.
        conversations: Of what `SplitSessions("auto")` gives.
        ledger: What became of the windows, as `Examples`.
        summaries: One an export.
        steps: One an export, with the counts of each step.
    """

    messages: MessageCounts
    sizes: ExampleSizes
    windows: SessionTransform
    odometer: Odometer
    conversations: ConversationCounts = field(default_factory=ConversationCounts)
    ledger: Ledger = field(default_factory=Ledger)
    summaries: list[ExportSummary] = field(default_factory=list)
    steps: list[tuple[StepSummary, ...]] = field(default_factory=list)

    def read(self, loader: BaseChatLoader, ai: Collection[str]) -> None:
        """Read an export to its end.

        Args:
            loader: Its loader.
            ai: Names or handles of the AI; none for the owner.
        """
        names = _names_in(loader, ai)
        voice = Voice(names)
        source = counted_pass(loader)
        threads = self.messages.watch(self.odometer.watch(source), voice)
        split = _counted(threads, SplitSessions())
        conversations = self.conversations.watch(split, voice)
        as_ai = MapAIMessages(sender=tuple(names) or None)
        windows = _counted(conversations, MergeChatRuns(), as_ai, self.windows)
        # Without messages by the AI there are no examples, but all the other figures.
        with suppress(SenderNotFoundError):
            for item in trace_examples(windows, ledger=self.ledger):
                self.sizes.add(item)
        self.sizes.end_of_export()
        summary = source.summary()
        rows = (*summary.steps, *split.summary().steps, *windows.summary().steps)
        self.summaries.append(summary)
        self.steps.append(rows)


def private_counts(
    loaders: Iterable[BaseChatLoader], odometer: Odometer
) -> PrivateCounts:
    """Begin counting what redaction finds, with the names of all exports.

    Args:
        loaders: The exports, which are read once for it.
        odometer: Reports the progress of reading.
    """
    from langchain_chatexports.redaction.redactor import Redactor

    names: set[str] = set()
    for loader in loaders:
        names |= names_of_export(odometer.watch(loader.lazy_load()))
    return PrivateCounts(Redactor(_KEY, names))


def _names_in(loader: BaseChatLoader, ai: Collection[str]) -> frozenset[str]:
    inner = loader.loader if isinstance(loader, TransformedChatLoader) else loader
    if not isinstance(inner, ChatExportLoader):
        return frozenset(ai)
    return frozenset(name for person in ai for name in inner.names_of(person))


def _counted(sessions: Iterator[ChatSession], *steps: SessionTransform) -> CountedPass:
    return CountedPass(sessions, platform="", tally=None, steps=steps)
