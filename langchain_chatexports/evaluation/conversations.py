"""Dialogues of the training half and of the held-out half, and how they are read.

`data_from_sessions` reads sessions of an export, `data_from_examples` files of
training examples.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from langchain_core.messages import AIMessage, SystemMessage

from langchain_chatexports.datasets.chat_prompts import without_replies
from langchain_chatexports.datasets.message_text import PROMPT_ROLES, message_text
from langchain_chatexports.steps.select_sessions import has_several_others

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from langchain_core.chat_sessions import ChatSession
    from langchain_core.messages import BaseMessage

    from langchain_chatexports.datasets.examples import TrainingMessage
    from langchain_chatexports.datasets.trace import TracedExample

__all__ = [
    "PERSON",
    "UNKNOWN_SPEAKER",
    "Dialogue",
    "HeldOutData",
    "Utterance",
    "data_from_examples",
    "data_from_sessions",
]

PERSON = ""
"""Speaker of the utterances of the person whom the model imitates."""

UNKNOWN_SPEAKER = "?"
"""Speaker where several people talk and the data does not say which one."""

_BUBBLES = "\n\n"
# A shorter text at the border of two windows may be the same by chance.
_MIN_BORDER_LENGTH = 12


@dataclass(frozen=True)
class Utterance:
    """A turn of the person, or a message of somebody else, merged as in training."""

    speaker: str
    """`PERSON`, or the id of somebody else: `p1`, `p2`, …"""

    text: str = field(repr=False)
    is_forwarded: bool = False
    label: str | None = field(default=None, repr=False)
    """The name that models read before the text, as in training."""

    @property
    def as_read(self) -> str:
        """The text with its label, if it has one: what models read."""
        return f"{self.label}: {self.text}" if self.label else self.text


@dataclass(frozen=True)
class Dialogue:
    """A conversation with the person.

    Attributes:
        lines: The utterances, oldest first; no two neighbors are the person's.
        system: The system prompt of its training examples.
        participants: Names of those who take part.
    """

    lines: tuple[Utterance, ...] = field(repr=False)
    system: str | None = field(default=None, repr=False)
    participants: frozenset[str] = field(default=frozenset(), repr=False)

    @classmethod
    def of(
        cls,
        lines: Iterable[Utterance],
        *,
        system: str | None = None,
        participants: Iterable[str] = (),
    ) -> Dialogue:
        """Return a dialogue in which the person's neighboring lines are one turn.

        Others' lines stay as they are: the model was trained on each as a message.
        """
        joined: list[Utterance] = []
        for line in lines:
            if joined and line.speaker == PERSON == joined[-1].speaker:
                last = joined.pop()
                text = f"{last.text}{_BUBBLES}{line.text}"
                is_forwarded = last.is_forwarded or line.is_forwarded
                joined.append(Utterance(PERSON, text, is_forwarded))
            else:
                joined.append(line)
        return cls(tuple(joined), system, frozenset(participants))

    def replies(self) -> list[str]:
        """Return what the person wrote in reply to others."""
        return [
            line.text
            for line in self.lines[1:]
            if line.speaker == PERSON and not line.is_forwarded
        ]


@dataclass(frozen=True)
class HeldOutData:
    """Conversations that a model was trained on, and others that it was not.

    Attributes:
        training: The training half, oldest first.
        held_out: Later conversations, oldest first.
        names: Names of the export's people; `None` where they are not known.
        person: Identifies the person; only its hash is stored in results.
    """

    training: Sequence[Dialogue] = field(repr=False)
    held_out: Sequence[Dialogue] = field(repr=False)
    names: frozenset[str] | None = field(default=None, repr=False)
    person: str | None = field(default=None, repr=False)


class _SpeakerIds:
    """Ids in place of names, numbered in order of appearance."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}

    def id_of(self, name: str) -> str:
        return self._ids.setdefault(name, f"p{len(self._ids) + 1}")


def data_from_sessions(
    sessions: Iterable[ChatSession],
    parts: Mapping[str, str],
    *,
    person: str | None = None,
    prompts: Mapping[str, str] | None = None,
    labels_groups: bool = False,
) -> HeldOutData:
    """Return both halves of an export.

    Args:
        sessions: Conversations, merged and with the AI's messages mapped.
        parts: `train` or `test` by session id; other sessions are left out.
        person: Identifies the person; only its hash is stored in results.
        prompts: The system prompts of the training examples, by session id.
        labels_groups: Whether the examples have names before texts in groups.

    Returns:
        The two halves, with the names of all who take part.
    """
    ids = _SpeakerIds()
    names: set[str] = set()
    halves: dict[str, list[tuple[int, Dialogue]]] = {"train": [], "test": []}
    for session in sessions:
        metadata = cast("Mapping[str, Any]", session).get("metadata", {})
        messages = session.get("messages", ())
        participants = {*map(str, metadata.get("participants") or ())}
        participants.update(filter(None, map(_sender, messages)))
        names |= participants
        session_id = str(metadata.get("id"))
        half = halves.get(parts.get(session_id, ""))
        if half is not None:
            is_labeled = labels_groups and has_several_others(session)
            lines = (_utterance(m, ids, is_labeled=is_labeled) for m in messages)
            found = Dialogue.of(
                filter(None, lines),
                system=(prompts or {}).get(session_id),
                participants=participants,
            )
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
    """Return both halves as examples have them; overlapping windows are joined again.

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
    ids = _SpeakerIds()
    before, after = (
        [_dialogue(items, own, ids) for items in _overlapping(half)] for half in halves
    )
    names = {name for o in origins for name in (*o.senders, *o.participants)}
    is_known = bool(origins) and len(known) == len(origins)
    return HeldOutData(before, after, names=frozenset(names) if is_known else None)


def _utterance(
    message: BaseMessage, ids: _SpeakerIds, *, is_labeled: bool
) -> Utterance | None:
    text = message.text
    if isinstance(message, SystemMessage) or not text.strip():
        return None
    is_own = isinstance(message, AIMessage)
    sender = _sender(message)
    return Utterance(
        PERSON if is_own else ids.id_of(sender),
        text,
        bool(message.additional_kwargs.get("forwarded")),
        label=sender if is_labeled and not is_own and sender else None,
    )


def _sender(message: BaseMessage) -> str:
    return str(message.additional_kwargs.get("sender") or "")


def _time(messages: Sequence[BaseMessage]) -> int:
    times = (message.additional_kwargs.get("message_time") for message in messages)
    return min((time for time in times if isinstance(time, int)), default=0)


def _by_time(half: list[tuple[int, Dialogue]]) -> list[Dialogue]:
    return [found for _, found in sorted(half, key=lambda item: item[0])]


def _overlapping(half: Sequence[TracedExample]) -> Iterator[list[TracedExample]]:
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
    first, second = _chat(before), _chat(after)
    for count in range(min(len(first), len(second)), 0, -1):
        if first[-count:] == second[:count]:
            is_sure = after.origin.session_id is not None or count > 1
            is_long = len(message_text(second[0])) >= _MIN_BORDER_LENGTH
            return count if is_sure or is_long else 0
    return 0


def _chat(item: TracedExample) -> list[TrainingMessage]:
    # Overlapping windows may weigh the same message differently.
    return [
        cast("TrainingMessage", {**message, "weight": 1})
        for message in item.example["messages"]
        if message["role"] not in PROMPT_ROLES
    ]


def _dialogue(
    items: Sequence[TracedExample], own: set[str], ids: _SpeakerIds
) -> Dialogue:
    lines: list[Utterance] = []
    participants: set[str] = set()
    for number, item in enumerate(items):
        shared = _shared(items[number - 1], item) if number else 0
        others = [name for name in item.origin.senders if name not in own]
        participants.update(item.origin.senders, item.origin.participants)
        for message in _chat(item)[shared:]:
            text = message_text(message)
            if text.strip():
                lines.append(_line(message, text, others, ids))
    first = items[0].example["messages"][0]
    # The replies that it shows belong to one window, and are found again.
    is_prompt = first["role"] in PROMPT_ROLES
    system = without_replies(message_text(first))[0] if is_prompt else None
    return Dialogue.of(lines, system=system, participants=participants)


def _line(
    message: TrainingMessage, text: str, others: Sequence[str], ids: _SpeakerIds
) -> Utterance:
    if message["role"] == "assistant":
        return Utterance(PERSON, text)
    if name := message.get("name"):
        return Utterance(ids.id_of(name), text)
    for name in others:
        if text.startswith(f"{name}: "):
            said = text.removeprefix(f"{name}: ")
            return Utterance(ids.id_of(name), said, label=name)
    if len(others) > 1:
        return Utterance(UNKNOWN_SPEAKER, text)
    return Utterance(ids.id_of(others[0] if others else ""), text)
