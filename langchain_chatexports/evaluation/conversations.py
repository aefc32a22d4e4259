"""Conversations to compare, from sessions of an export or from files of examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from langchain_core.messages import AIMessage, SystemMessage

from langchain_chatexports.datasets.deduplication import message_text
from langchain_chatexports.evaluation.held_out import (
    PERSON,
    SEVERAL,
    Conversation,
    HeldOutData,
    Line,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from langchain_core.chat_sessions import ChatSession
    from langchain_core.messages import BaseMessage

    from langchain_chatexports.datasets.examples import TrainingMessage
    from langchain_chatexports.datasets.trace import TracedExample

__all__ = ["data_from_examples", "data_from_sessions"]

_PROMPTS = frozenset({"system", "developer"})
# A shorter text at the border of two windows may be the same by chance.
_MIN_BORDER_LENGTH = 12


class _People:
    """Ids instead of names, in the order in which people are met."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}

    def id_of(self, name: str) -> str:
        return self._ids.setdefault(name, f"p{len(self._ids) + 1}")


def data_from_sessions(
    sessions: Iterable[ChatSession],
    parts: Mapping[str, str],
    *,
    person: str | None = None,
) -> HeldOutData:
    """Take the conversations of an export apart.

    Args:
        sessions: Conversations, merged and with the AI's messages mapped.
        parts: `train` or `test` for the ids of sessions; others are left out.
        person: Something that tells the person from others, to be hashed.

    Returns:
        The two halves, with the names of all who take part.
    """
    people = _People()
    names: set[str] = set()
    halves: dict[str, list[tuple[int, Conversation]]] = {"train": [], "test": []}
    for session in sessions:
        metadata = cast("Mapping[str, Any]", session).get("metadata", {})
        messages = session.get("messages", ())
        circle = {*map(str, metadata.get("participants") or ())}
        circle.update(filter(None, map(_sender, messages)))
        names |= circle
        half = halves.get(parts.get(str(metadata.get("id")), ""))
        if half is not None:
            lines = (_line(message, people) for message in messages)
            found = Conversation.of(filter(None, lines), circle=circle)
            half.append((_time(messages), found))
    return HeldOutData(
        training=_by_time(halves["train"]),
        held_out=_by_time(halves["test"]),
        names=frozenset(names),
        person=person,
    )


def data_from_examples(
    training: Iterable[TracedExample], held_out: Iterable[TracedExample]
) -> HeldOutData:
    """Take examples for conversations; windows that overlap are put together again.

    Args:
        training: What the model was trained on.
        held_out: What it was not.

    Returns:
        The two halves. Names are known where every example says who takes part.
    """
    halves = [list(training), list(held_out)]
    origins = [item.origin for half in halves for item in half]
    known = [set(origin.senders) for origin in origins if origin.senders]
    own = set.intersection(*known) if known else set()
    people = _People()
    before, after = (
        [_conversation(items, own, people) for items in _joined(half)]
        for half in halves
    )
    names = {name for o in origins for name in (*o.senders, *o.participants)}
    is_known = bool(origins) and len(known) == len(origins)
    return HeldOutData(before, after, names=frozenset(names) if is_known else None)


def _line(message: BaseMessage, people: _People) -> Line | None:
    text = message.text
    if isinstance(message, SystemMessage) or not text.strip():
        return None
    is_own = isinstance(message, AIMessage)
    speaker = PERSON if is_own else people.id_of(_sender(message))
    is_forwarded = bool(message.additional_kwargs.get("forwarded"))
    return Line(speaker, text, is_forwarded)


def _sender(message: BaseMessage) -> str:
    return str(message.additional_kwargs.get("sender") or "")


def _time(messages: Sequence[BaseMessage]) -> int:
    times = (message.additional_kwargs.get("message_time") for message in messages)
    return min((time for time in times if isinstance(time, int)), default=0)


def _by_time(half: list[tuple[int, Conversation]]) -> list[Conversation]:
    return [found for _, found in sorted(half, key=lambda item: item[0])]


def _joined(half: Sequence[TracedExample]) -> Iterator[list[TracedExample]]:
    """Group windows whose first messages are the last of the one before."""
    group: list[TracedExample] = []
    for item in half:
        if group and not _shared(group[-1], item):
            yield group
            group = []
        group.append(item)
    if group:
        yield group


def _shared(before: TracedExample, after: TracedExample) -> int:
    if before.origin.session_id != after.origin.session_id:
        return 0
    first, second = _said(before), _said(after)
    for count in range(min(len(first), len(second)), 0, -1):
        if first[-count:] == second[:count]:
            is_sure = after.origin.session_id is not None or count > 1
            is_long = len(message_text(second[0])) >= _MIN_BORDER_LENGTH
            return count if is_sure or is_long else 0
    return 0


def _said(item: TracedExample) -> list[TrainingMessage]:
    # A weight says what is learned from, and differs between overlapping windows.
    return [
        cast("TrainingMessage", {**message, "weight": 1})
        for message in item.example["messages"]
        if message["role"] not in _PROMPTS
    ]


def _conversation(
    items: Sequence[TracedExample], own: set[str], people: _People
) -> Conversation:
    lines: list[Line] = []
    circle: set[str] = set()
    for number, item in enumerate(items):
        shared = _shared(items[number - 1], item) if number else 0
        others = [name for name in item.origin.senders if name not in own]
        circle.update(item.origin.senders, item.origin.participants)
        for message in _said(item)[shared:]:
            text = message_text(message)
            if text.strip():
                speaker = _speaker(message, others, people)
                lines.append(Line(speaker, text))
    first = items[0].example["messages"][0]
    system = message_text(first) if first["role"] in _PROMPTS else None
    return Conversation.of(lines, system=system, circle=circle)


def _speaker(message: TrainingMessage, others: Sequence[str], people: _People) -> str:
    if message["role"] == "assistant":
        return PERSON
    if name := message.get("name"):
        return people.id_of(name)
    if len(others) > 1:
        return SEVERAL
    return people.id_of(others[0] if others else "")
