"""Counts of messages, pauses, conversations and examples.

One pass, and memory that does not grow with the messages: numbers are kept by how often
they occur.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from langchain_chatexports.datasets.estimate import example_tokens
from langchain_chatexports.report.distributions import SECOND_EDGES, TwoVoices
from langchain_chatexports.steps.pauses import automatic_gap, pauses_before

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from langchain_core.chat_sessions import ChatSession
    from langchain_core.messages import BaseMessage

    from langchain_chatexports.datasets.trace import TracedExample
    from langchain_chatexports.redaction.redactor import Redactor
    from langchain_chatexports.report.times import TimeCounts

__all__ = [
    "ConversationCounts",
    "ExampleSizes",
    "MessageCounts",
    "PrivateCounts",
    "Voice",
]


@dataclass(frozen=True)
class Voice:
    """Who speaks as the AI: the senders of these names, or the owner without any."""

    names: Collection[str] = ()

    def wrote(self, extra: dict[str, Any]) -> bool:
        """Return whether the AI wrote the message with these `additional_kwargs`."""
        if self.names:
            return extra.get("sender") in self.names
        return extra.get("is_from_me") is True


@dataclass
class PrivateCounts:
    """What redaction finds in texts, and finds again in what it made of them."""

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
    messages: int = 0
    senders: Counter[str] = field(default_factory=Counter)
    characters: Counter[str] = field(default_factory=Counter)
    ai_senders: set[str] = field(default_factory=set)
    lengths: TwoVoices = field(default_factory=TwoVoices)
    pauses: TwoVoices = field(default_factory=TwoVoices)
    gaps: Counter[float] = field(default_factory=Counter)
    threads: int = 0

    def watch(
        self, sessions: Iterable[ChatSession], voice: Voice
    ) -> Iterator[ChatSession]:
        """Count threads as they pass.

        Args:
            sessions: The threads, before any step.
            voice: Who of them is the AI.

        Yields:
            The same sessions.
        """
        for session in sessions:
            messages = session.get("messages", ())
            self.threads += 1
            self.messages += len(messages)
            for message in messages:
                self._add(message, voice)
            self._add_pauses(messages, voice)
            yield session
            del session

    def _add(self, message: BaseMessage, voice: Voice) -> None:
        extra = message.additional_kwargs
        content = message.content
        text = content if isinstance(content, str) else str(message.text)
        sender = str(extra.get("sender", "unknown"))
        is_ai = voice.wrote(extra)
        self.senders[sender] += 1
        self.characters[sender] += len(text)
        if is_ai:
            self.ai_senders.add(sender)
        (self.lengths.ai if is_ai else self.lengths.others)[len(text)] += 1
        self.times.add(extra.get("message_time"), is_ai=is_ai)
        if self.private is not None:
            self.private.add(text)

    def _add_pauses(self, messages: Sequence[BaseMessage], voice: Voice) -> None:
        known: list[float] = []
        for message, pause in zip(messages, pauses_before(messages), strict=True):
            if pause is None:
                continue
            known.append(pause)
            is_ai = voice.wrote(message.additional_kwargs)
            counts = self.pauses.ai if is_ai else self.pauses.others
            # By their bin: there are as many different pauses as messages.
            counts[SECOND_EDGES[bisect_right(SECOND_EDGES, pause) - 1]] += 1
        if known:
            self.gaps[automatic_gap(known)] += 1


@dataclass
class ConversationCounts:
    """Counts of replies and runs within conversations."""

    conversations: int = 0
    replies: TwoVoices = field(default_factory=TwoVoices)
    runs: TwoVoices = field(default_factory=TwoVoices)

    def watch(
        self, sessions: Iterable[ChatSession], voice: Voice
    ) -> Iterator[ChatSession]:
        """Count conversations as they pass.

        Args:
            sessions: The conversations, before runs are merged.
            voice: Who of them is the AI.

        Yields:
            The same sessions.
        """
        for session in sessions:
            self.conversations += 1
            self._add(session.get("messages", ()), voice)
            yield session
            del session

    def _add(self, messages: Sequence[BaseMessage], voice: Voice) -> None:
        sender: object = None
        run, is_ai = 0, False
        for message, pause in zip(messages, pauses_before(messages), strict=True):
            extra = message.additional_kwargs
            if run and extra.get("sender") == sender:
                run += 1
                continue
            if run:
                (self.runs.ai if is_ai else self.runs.others)[run] += 1
            sender, run, is_ai = extra.get("sender"), 1, voice.wrote(extra)
            if pause is not None:
                counts = self.replies.ai if is_ai else self.replies.others
                counts[int(pause)] += 1
        if run:
            (self.runs.ai if is_ai else self.runs.others)[run] += 1


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
        """Count an example; those of one conversation come one after the other."""
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
        """Take what follows as other conversations, whatever their ids are."""
        self._last = object()
