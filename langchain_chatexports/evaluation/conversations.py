"""Conversations that a model was trained on, and others that its training held out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from langchain_chatexports.datasets.chat_prompts import PROMPT_ROLES, message_text
from langchain_chatexports.datasets.examples import TrainingExample
from langchain_chatexports.datasets.replies import EarlierReply, ReplyIndex
from langchain_chatexports.exceptions import TrainingDataError
from langchain_chatexports.local_server.storage.files import (
    held_out_examples,
    training_examples,
)
from langchain_chatexports.local_server.storage.models import TunedModel

PERSON = ""
"""The speaker of the imitated person's messages."""

OTHER = "other"

_BUBBLES = "\n\n"
# Shorter texts at the border of two windows may be equal by chance.
_MIN_BORDER_LENGTH = 12


@dataclass(frozen=True)
class Utterance:
    """A turn of the person (merged as in training), or a message of another person."""

    speaker: str
    text: str = field(repr=False)
    is_forwarded: bool = False
    """Whether it is a forwarded or quoted text, which the model does not learn."""


@dataclass(frozen=True)
class Dialogue:
    """A conversation with the person."""

    lines: tuple[Utterance, ...] = field(repr=False)
    """The utterances, oldest first; no two neighbors are the person's."""

    system: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, lines: Iterable[Utterance], *, system: str | None = None) -> "Dialogue":
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
        return cls(tuple(joined), system)

    def exchanges(self) -> Iterator[tuple[Utterance, Utterance]]:
        """Yield the person's own utterances, each with the one before it."""
        for before, line in pairwise(self.lines):
            if line.speaker == PERSON and not line.is_forwarded:
                yield before, line

    def replies(self) -> list[str]:
        """Return the person's replies to others."""
        return [line.text for _, line in self.exchanges()]


@dataclass(frozen=True)
class HeldOutData:
    """Conversations that a model was trained on, and held-out ones."""

    training: Sequence[Dialogue] = field(repr=False)
    held_out: Sequence[Dialogue] = field(repr=False)


def data_from_examples(
    training: Iterable[TrainingExample], held_out: Iterable[TrainingExample]
) -> HeldOutData:
    """Return examples as conversations; overlapping windows are joined again.

    Args:
        training: The examples that the model was trained on.
        held_out: The examples that the training held out.

    Returns:
        Both as conversations.

    Raises:
        TrainingDataError: If the person has no turn in one of them.
    """
    halves = {"trained on": training, "held out": held_out}
    found = []
    for what, examples in halves.items():
        found.append([_dialogue(group) for group in _overlapping(examples)])
        if not any(dialogue.replies() for dialogue in found[-1]):
            msg = (
                f"There is no turn of the person that was {what}, so there is nothing "
                "to compare. Train on more chats."
            )
            raise TrainingDataError(msg)
    return HeldOutData(*found)


def data_of_model(model: TunedModel) -> HeldOutData:
    """Return the training data and the held-out data of a model on this machine.

    Raises:
        TrainingDataError: If its training held nothing out, or the examples are gone.
    """
    examples, held_out = training_examples(model), held_out_examples(model)
    if not (examples and held_out):
        msg = (
            "There is nothing to compare the model with: its training held nothing "
            "out, or its examples were deleted. A comparison needs a training with at "
            "least 50 distinct examples: train on more chats."
        )
        raise TrainingDataError(msg)
    return data_from_examples(examples, held_out)


def replies_in(dialogues: Iterable[Dialogue]) -> ReplyIndex:
    """Index the person's replies in conversations."""
    return ReplyIndex(
        EarlierReply(before.text, line.text)
        for dialogue in dialogues
        for before, line in dialogue.exchanges()
    )


def _chat(example: Mapping[str, Any]) -> list[tuple[str, str, bool]]:
    """Return the role, text, and zero weight of messages with text."""
    return [
        (message["role"], text, message.get("weight") == 0)
        for message in example["messages"]
        if message["role"] not in PROMPT_ROLES
        and (text := message_text(message)).strip()
    ]


def _overlapping(
    examples: Iterable[TrainingExample],
) -> Iterator[list[TrainingExample]]:
    """Group windows that begin with the last messages of the one before."""
    group: list[TrainingExample] = []
    for example in examples:
        if group and not _shared(group[-1], example):
            yield group
            group = []
        group.append(example)
    if group:
        yield group


def _shared(before: TrainingExample, after: TrainingExample) -> int:
    # Overlapping windows may weigh the same message differently.
    first = [message[:2] for message in _chat(before)]
    second = [message[:2] for message in _chat(after)]
    for count in range(min(len(first), len(second)), 0, -1):
        if first[-count:] == second[:count]:
            is_long = len(second[0][1]) >= _MIN_BORDER_LENGTH
            return count if is_long or count > 1 else 0
    return 0


def _dialogue(windows: Sequence[TrainingExample]) -> Dialogue:
    lines: list[Utterance] = []
    for number, window in enumerate(windows):
        shared = _shared(windows[number - 1], window) if number else 0
        for role, text, has_no_weight in _chat(window)[shared:]:
            is_own = role == "assistant"
            speaker = PERSON if is_own else OTHER
            lines.append(Utterance(speaker, text, is_own and has_no_weight))
    first = windows[0]["messages"][0]
    is_prompt = first["role"] in PROMPT_ROLES
    system = message_text(first) or None if is_prompt else None
    return Dialogue.of(lines, system=system)
