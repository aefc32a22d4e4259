"""Trace training examples to their sessions, messages and senders."""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import NamedTuple

import msgspec
from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import AIMessage, BaseMessage

from langchain_chatexports.chat_loaders.counts import Counts, append_on_exit
from langchain_chatexports.chat_loaders.schema import keys_of, metadata_of
from langchain_chatexports.chat_loaders.session_source import SessionSource
from langchain_chatexports.datasets.examples import (
    SystemPrompt,
    TrainingExample,
    convert_sessions,
)


class ExampleOrigin(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The session, messages and people of an example.

    Names and ids are personal data, so the `repr` does not show them, and only the
    owner can read a trace file.
    """

    session_id: str | None = None
    thread_id: str | None = None
    """The id of the original session, if it was split."""

    message_ids: tuple[str, ...] = ()
    """The ids of all messages, including those in merged runs."""

    person: str | None = None
    """The person who became the assistant, by the name in the first answer."""

    senders: tuple[str, ...] = ()
    """All senders, including the person."""

    participants: tuple[str, ...] = ()
    is_group: bool = False
    first: int | None = None
    """Time of the first message, in Unix seconds."""

    last: int | None = None
    """Time of the last message, in Unix seconds."""

    def __repr__(self) -> str:
        """Show counts and times, never names or ids."""
        return (
            f"ExampleOrigin({len(self.message_ids)} message ids, "
            f"{len(self.senders)} senders, first={self.first}, last={self.last})"
        )


class TracedExample(NamedTuple):
    """A training example and its origin."""

    example: TrainingExample
    origin: ExampleOrigin

    def __repr__(self) -> str:
        """Show the number of messages and the origin, never content."""
        return f"TracedExample({len(self.example['messages'])} messages, {self.origin})"


UNKNOWN_ORIGIN = ExampleOrigin()
"""The origin of an example from an unknown source."""


def trace_examples(
    sessions: SessionSource,
    *,
    system: SystemPrompt = None,
    keep_trailing: bool = False,
    keep_single_messages: bool = True,
    counts: list[Counts] | None = None,
) -> Iterator[TracedExample]:
    """Convert each session to a training example with its origin.

    Examples, arguments and errors are the same as in `to_training_examples`.

    Yields:
        Examples with their origins, lazily; closing the iterator closes the loader.
    """
    with closing(
        convert_sessions(
            sessions,
            system=system,
            keep_trailing=keep_trailing,
            keep_single_messages=keep_single_messages,
            counts=counts,
        )
    ) as conversions:
        for conversion in conversions:
            origin = session_origin(conversion.session, conversion.kept)
            yield TracedExample(conversion.example, origin)
            del conversion


def session_origin(
    session: ChatSession, messages: Sequence[BaseMessage]
) -> ExampleOrigin:
    """Return the origin of a session's messages."""
    metadata = metadata_of(session)
    ids: list[str] = []
    person: str | None = None
    senders: dict[str, None] = {}
    times: list[int] = []
    for message in messages:
        keys = keys_of(message)
        if merged_ids := keys.get("message_ids"):
            ids += merged_ids
        elif message.id:
            ids.append(message.id)
        if sender := keys.get("sender"):
            senders[str(sender)] = None
            if person is None and isinstance(message, AIMessage):
                person = str(sender)
        time = keys.get("message_time")
        if isinstance(time, int):
            times.append(time)
    return ExampleOrigin(
        session_id=metadata.get("id"),
        thread_id=metadata.get("thread_id"),
        message_ids=tuple(ids),
        person=person,
        senders=tuple(senders),
        participants=tuple(metadata.get("participants") or ()),
        is_group=bool(metadata.get("is_group")),
        first=min(times, default=None),
        last=max(times, default=None),
    )


def find_person(examples: Iterable[TracedExample]) -> str | None:
    """Return the name of the person who became the assistant; `None` if unknown."""
    names = Counter(item.origin.person for item in examples if item.origin.person)
    return names.most_common(1)[0][0] if names else None


def newest_examples(
    examples: Iterable[TracedExample], limit: int, *, counts: list[Counts]
) -> Iterator[TracedExample]:
    """Yield the examples with the newest last messages, in their original order.

    Examples without a time are considered the oldest. Among examples with the same
    time, later ones are considered newer. At most `limit` examples are held in memory.
    """
    message_counts = Counts("Newest")
    example_counts = Counts("Newest", "examples")
    newest: list[tuple[float, int, TracedExample]] = []
    with append_on_exit(counts, message_counts, example_counts):
        for index, item in enumerate(examples):
            example_counts.found += 1
            message_counts.found += len(item.example["messages"])
            last_time = item.origin.last
            entry = (float("-inf") if last_time is None else last_time, index, item)
            if len(newest) < limit:
                heapq.heappush(newest, entry)
                continue
            _, _, oldest = heapq.heappushpop(newest, entry)
            example_counts.skip("older")
            message_counts.skip("older", len(oldest.example["messages"]))
        for _, _, item in sorted(newest, key=lambda entry: entry[1]):
            example_counts.kept += 1
            message_counts.kept += len(item.example["messages"])
            yield item
