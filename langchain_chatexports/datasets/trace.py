"""Training examples with their origins: session, messages and senders."""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, NamedTuple, cast

import msgspec
from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import BaseMessage

from langchain_chatexports.chat_loaders.counts import Counts, entered_at_end
from langchain_chatexports.chat_loaders.session_source import SessionSource
from langchain_chatexports.datasets.examples import (
    SystemPrompt,
    TrainingExample,
    converted_sessions,
)


class ExampleOrigin(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The session, messages and people that an example was made from.

    Names and ids are personal data, so the `repr` does not show them, and only the
    owner can read a trace file.
    """

    session_id: str | None = None
    # The thread that the session was split from, if it was.
    thread_id: str | None = None
    # Of all messages, including those in merged runs.
    message_ids: tuple[str, ...] = ()
    senders: tuple[str, ...] = ()
    participants: tuple[str, ...] = ()
    is_group: bool = False
    # Times of the oldest and the newest message, in Unix seconds.
    first: int | None = None
    last: int | None = None

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
    keep_lone: bool = True,
    counts: list[Counts] | None = None,
) -> Iterator[TracedExample]:
    """Turn each session into a training example with its origin.

    The examples, arguments and errors are those of `to_training_examples`.

    Yields:
        Examples with their origins, lazily; closing the iterator closes the loader.
    """
    with closing(
        converted_sessions(
            sessions,
            system=system,
            keep_trailing=keep_trailing,
            keep_lone=keep_lone,
            counts=counts,
        )
    ) as all_converted:
        for converted in all_converted:
            origin = origin_of_session(converted.session, converted.kept)
            yield TracedExample(converted.example, origin)
            del converted


def origin_of_session(
    session: ChatSession, messages: Sequence[BaseMessage]
) -> ExampleOrigin:
    """Return the origin of messages of a session."""
    metadata: Mapping[str, Any] = cast("Mapping[str, Any]", session).get("metadata", {})
    ids: list[str] = []
    senders: dict[str, None] = {}
    times: list[int] = []
    for message in messages:
        extra = message.additional_kwargs
        if merged := extra.get("message_ids"):
            ids += merged
        elif message.id:
            ids.append(message.id)
        if sender := extra.get("sender"):
            senders[str(sender)] = None
        moment = extra.get("message_time")
        if isinstance(moment, int):
            times.append(moment)
    return ExampleOrigin(
        session_id=metadata.get("id"),
        thread_id=metadata.get("thread_id"),
        message_ids=tuple(ids),
        senders=tuple(senders),
        participants=tuple(metadata.get("participants") or ()),
        is_group=bool(metadata.get("is_group")),
        first=min(times, default=None),
        last=max(times, default=None),
    )


def speaker_of(examples: Iterable[TracedExample]) -> str | None:
    """Return the person whose messages are the assistant's."""
    found = Counter(filter(None, map(_speaker_in, examples)))
    return found.most_common(1)[0][0] if found else None


def _speaker_in(item: TracedExample) -> str | None:
    # Senders are in the order of their first messages.
    senders = item.origin.senders
    roles = (message["role"] for message in item.example["messages"])
    first = next((role for role in roles if role in {"user", "assistant"}), None)
    if senders and first == "assistant":
        return senders[0]
    return senders[1] if len(senders) == 2 and first == "user" else None  # noqa: PLR2004


def newest_examples(
    examples: Iterable[TracedExample], limit: int, *, counts: list[Counts]
) -> Iterator[TracedExample]:
    """Keep the newest examples, by the time of their last message, in order.

    Examples without a time count as the oldest. If times are equal, later examples
    count as newer. At most `limit` examples are in memory.
    """
    messages, passed = Counts("Newest"), Counts("Newest", "examples")
    newest: list[tuple[float, int, TracedExample]] = []
    with entered_at_end(counts, messages, passed):
        for number, item in enumerate(examples):
            passed.found += 1
            messages.found += len(item.example["messages"])
            last = item.origin.last
            entry = (float("-inf") if last is None else last, number, item)
            if len(newest) < limit:
                heapq.heappush(newest, entry)
                continue
            _, _, older = heapq.heappushpop(newest, entry)
            passed.skip("older")
            messages.skip("older", len(older.example["messages"]))
        for _, _, item in sorted(newest, key=lambda entry: entry[1]):
            passed.kept += 1
            messages.kept += len(item.example["messages"])
            yield item
