"""Counts of messages, pauses, conversations and examples, in one pass over exports.

Memory does not grow with the messages: numbers are kept by how often they occur.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from langchain_core.chat_loaders import BaseChatLoader
from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import BaseMessage

from langchain_chatexports.chat_loaders.base import ChatExportLoader
from langchain_chatexports.chat_loaders.counts import (
    Counts,
    ExportSummary,
    Reading,
    read_counted,
)
from langchain_chatexports.datasets.estimate import example_tokens
from langchain_chatexports.datasets.examples import SystemPrompt
from langchain_chatexports.datasets.preparation import Gap
from langchain_chatexports.datasets.trace import TracedExample, trace_examples
from langchain_chatexports.exceptions import SenderNotFoundError
from langchain_chatexports.redaction.redactor import Redactor
from langchain_chatexports.report.distributions import SECOND_EDGES, NumbersBySide
from langchain_chatexports.report.times import TimeCounts
from langchain_chatexports.steps import MapAIMessages, MergeChatRuns, SessionTransform
from langchain_chatexports.steps.pauses import automatic_gap, pauses_before
from langchain_chatexports.steps.pipe import TransformedChatLoader, read_loader
from langchain_chatexports.steps.redact import names_of_export

# Placeholders are counted and never shown, so their key need not be secret.
_KEY = "report"


@dataclass
class MessageProgress:
    """Calls a listener with the number of messages read so far."""

    listener: Callable[[int], None] | None
    messages: int = 0

    def watch(self, sessions: Iterable[ChatSession]) -> Iterator[ChatSession]:
        """Pass sessions on, and call the listener after each one."""
        for session in sessions:
            length = len(session.get("messages", ()))
            yield session
            self.messages += length
            if self.listener is not None:
                self.listener(self.messages)
            del session


@dataclass(frozen=True)
class AiSenders:
    """The senders whose messages are the AI's; without names the owner."""

    names: Collection[str] = ()

    def wrote(self, extra: dict[str, Any]) -> bool:
        """Return whether the AI wrote the message with these `additional_kwargs`."""
        if self.names:
            return extra.get("sender") in self.names
        return extra.get("is_from_me") is True


@dataclass
class PrivateCounts:
    """What redaction finds in texts, and finds again after redaction."""

    redactor: Redactor
    texts: int = 0
    changed: int = 0
    before: Counter[str] = field(default_factory=Counter)
    after: Counter[str] = field(default_factory=Counter)

    def add(self, text: str) -> None:
        """Count the private places of a text."""
        self.texts += 1
        found = self.redactor.spans(text)
        if found:
            self.changed += 1
            self.before.update(span.kind for span in found)
            again = self.redactor.spans(self.redactor.text(text))
            self.after.update(span.kind for span in again)


@dataclass
class MessageCounts:
    """Counts of the messages and pauses of whole threads."""

    times: TimeCounts
    private: PrivateCounts | None = None
    gap: Gap = "auto"
    messages: int = 0
    senders: Counter[str] = field(default_factory=Counter)
    characters: Counter[str] = field(default_factory=Counter)
    ai_senders: set[str] = field(default_factory=set)
    lengths: NumbersBySide = field(default_factory=NumbersBySide)
    pauses: NumbersBySide = field(default_factory=NumbersBySide)
    gaps: Counter[float] = field(default_factory=Counter)
    threads: int = 0

    def watch(
        self, sessions: Iterable[ChatSession], ai: AiSenders
    ) -> Iterator[ChatSession]:
        """Pass on threads, before any step, and count them."""
        for session in sessions:
            messages = session.get("messages", ())
            self.threads += 1
            self.messages += len(messages)
            for message in messages:
                self._add(message, ai)
            self._add_pauses(messages, ai)
            yield session
            del session

    def _add(self, message: BaseMessage, ai: AiSenders) -> None:
        extra = message.additional_kwargs
        content = message.content
        text = content if isinstance(content, str) else str(message.text)
        sender = str(extra.get("sender", "unknown"))
        is_ai = ai.wrote(extra)
        self.senders[sender] += 1
        self.characters[sender] += len(text)
        if is_ai:
            self.ai_senders.add(sender)
        self.lengths.add(len(text), is_ai=is_ai)
        self.times.add(extra.get("message_time"), is_ai=is_ai)
        if self.private is not None:
            self.private.add(text)

    def _add_pauses(self, messages: Sequence[BaseMessage], ai: AiSenders) -> None:
        known: list[float] = []
        for message, pause in zip(messages, pauses_before(messages), strict=True):
            if pause is None:
                continue
            known.append(pause)
            # By their bin: there are as many different pauses as messages.
            edge = SECOND_EDGES[bisect_right(SECOND_EDGES, pause) - 1]
            self.pauses.add(edge, is_ai=ai.wrote(message.additional_kwargs))
        if known and self.gap is not None:
            self.gaps[self._gap_of(known)] += 1

    def _gap_of(self, pauses: Sequence[float]) -> float:
        if isinstance(self.gap, timedelta):
            return self.gap.total_seconds()
        return automatic_gap(pauses)


@dataclass
class ConversationCounts:
    """Counts of replies and runs within conversations."""

    conversations: int = 0
    replies: NumbersBySide = field(default_factory=NumbersBySide)
    runs: NumbersBySide = field(default_factory=NumbersBySide)

    def watch(
        self, sessions: Iterable[ChatSession], ai: AiSenders
    ) -> Iterator[ChatSession]:
        """Pass on conversations, before runs are merged, and count them."""
        for session in sessions:
            self.conversations += 1
            self._add(session.get("messages", ()), ai)
            yield session
            del session

    def _add(self, messages: Sequence[BaseMessage], ai: AiSenders) -> None:
        sender: object = None
        run, is_ai = 0, False
        for message, pause in zip(messages, pauses_before(messages), strict=True):
            extra = message.additional_kwargs
            if run and extra.get("sender") == sender:
                run += 1
                continue
            if run:
                self.runs.add(run, is_ai=is_ai)
            sender, run, is_ai = extra.get("sender"), 1, ai.wrote(extra)
            if pause is not None:
                self.replies.add(int(pause), is_ai=is_ai)
        if run:
            self.runs.add(run, is_ai=is_ai)


@dataclass
class ExampleSizes:
    """Counts of examples and their tokens, and the sizes of their conversations."""

    count_tokens: Callable[[str], int]
    examples: int = 0
    messages: int = 0
    answers: int = 0
    tokens: Counter[int] = field(default_factory=Counter)
    # A million messages are a hundred thousand conversations: no object for each.
    sizes: array[int] = field(default_factory=lambda: array("q"))
    begins: array[float] = field(default_factory=lambda: array("d"))
    _last: object = field(default_factory=object)

    def add(self, item: TracedExample) -> None:
        """Count an example; those of one conversation follow each other."""
        messages = item.example["messages"]
        self.examples += 1
        self.messages += len(messages)
        self.answers += sum(message["role"] == "assistant" for message in messages)
        self.tokens[example_tokens(item.example, self.count_tokens)] += 1
        if item.origin.session_id is None or item.origin.session_id != self._last:
            self._last = item.origin.session_id
            self.sizes.append(0)
            self.begins.append(float("-inf"))
        self.sizes[-1] += 1
        first = item.origin.first
        if first is not None:
            known = self.begins[-1]
            self.begins[-1] = first if known == float("-inf") else min(known, first)

    def end_of_export(self) -> None:
        """Count what follows as other conversations, even with the same ids."""
        self._last = object()


@dataclass
class ReportCounts:
    """All counts of a report.

    Attributes:
        messages: Of the threads, as the loaders return them.
        sizes: Of the examples.
        split: The step that cuts threads into conversations, if any.
        windows: The steps that cut conversations into examples.
        system: The examples' system prompt.
        progress: Called with the number of messages read.
        conversations: Of what `split` returns.
        stages: What became of the windows, as `Examples`.
        summaries: One for each export.
        steps: For each export the counts of each step.
    """

    messages: MessageCounts
    sizes: ExampleSizes
    split: Sequence[SessionTransform]
    windows: Sequence[SessionTransform]
    system: SystemPrompt
    progress: MessageProgress
    conversations: ConversationCounts = field(default_factory=ConversationCounts)
    stages: list[Counts] = field(default_factory=list)
    summaries: list[ExportSummary] = field(default_factory=list)
    steps: list[tuple[Counts, ...]] = field(default_factory=list)

    def read(self, loader: BaseChatLoader, names: Collection[str]) -> None:
        """Read an export to its end, through the steps of `prepare`."""
        inner = loader.loader if isinstance(loader, TransformedChatLoader) else loader
        if isinstance(inner, ChatExportLoader):
            names = {found for name in names for found in inner.names_of(name)}
        ai = AiSenders(frozenset(names))
        source = read_loader(loader)
        threads = self.messages.watch(self.progress.watch(source), ai)
        split = _counted(threads, *self.split)
        conversations = self.conversations.watch(split, ai)
        as_ai = MapAIMessages(sender=tuple(ai.names) or None)
        windows = _counted(conversations, MergeChatRuns(), as_ai, *self.windows)
        # Without an AI there are no examples, but all other counts.
        with suppress(SenderNotFoundError):
            for item in trace_examples(
                windows, system=self.system, keep_lone=False, counts=self.stages
            ):
                self.sizes.add(item)
        self.sizes.end_of_export()
        summary = source.summary()
        rows = (*summary.steps, *split.summary().steps, *windows.summary().steps)
        self.summaries.append(summary)
        self.steps.append(rows)


def private_counts(
    loaders: Iterable[BaseChatLoader], progress: MessageProgress
) -> PrivateCounts:
    """Return counts for redaction with the names of all exports, which it reads."""
    from langchain_chatexports.redaction.redactor import Redactor

    names: set[str] = set()
    for loader in loaders:
        names |= names_of_export(progress.watch(loader.lazy_load()))
    return PrivateCounts(Redactor(_KEY, names))


def _counted(sessions: Iterator[ChatSession], *steps: SessionTransform) -> Reading:
    return read_counted(sessions, "", steps)
