"""Held-out conversations that the model has read: they say nothing about it."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from langchain_chatexports.datasets.deduplication import message_text
from langchain_chatexports.evaluation.held_out import PERSON
from langchain_chatexports.exceptions import TrainingDataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from langchain_chatexports.datasets.examples import TrainingExample
    from langchain_chatexports.evaluation.held_out import Conversation

__all__ = ["unread_conversations"]

_MAX_READ = 0.5
# Somebody asks "ok?" and is told "yes" in any two conversations.
_SURE_CHARACTERS = 40


class _Pair(NamedTuple):
    before: str
    reply: str


def unread_conversations(
    held_out: Sequence[Conversation],
    training: Iterable[Conversation],
    examples: Iterable[TrainingExample],
) -> tuple[list[Conversation], int]:
    """Leave out conversations of which training has read the half or more.

    Args:
        held_out: The held-out conversations.
        training: The training half.
        examples: What the model was trained on, as far as that is known.

    Returns:
        The others, and how many were left out.

    Raises:
        TrainingDataError: If training has read most of them.
    """
    known = {pair for found in training for pair in _pairs(found)}
    known.update(pair for example in examples for pair in _pairs_of(example))
    unread = [found for found in held_out if not _is_read(found, known)]
    read = len(held_out) - len(unread)
    if read > _MAX_READ * len(held_out):
        msg = (
            f"The model was trained on {read} of the {len(held_out)} conversations "
            "that should be held out, so they say nothing about it. Split first "
            "(chatexports prepare --split) and train on train.jsonl, or add --finetune."
        )
        raise TrainingDataError(msg)
    return unread, read


def _is_read(conversation: Conversation, known: set[_Pair]) -> bool:
    sizes = {pair: len(pair.before) + len(pair.reply) for pair in _pairs(conversation)}
    read = sum(size for pair, size in sizes.items() if pair in known)
    return read >= max(_SURE_CHARACTERS, _MAX_READ * sum(sizes.values()))


def _pairs(conversation: Conversation) -> Iterator[_Pair]:
    for before, line in pairwise(conversation.lines):
        if line.speaker == PERSON:
            yield _pair(before.text, line.text)


def _pairs_of(example: TrainingExample) -> Iterator[_Pair]:
    for before, message in pairwise(example["messages"]):
        if message["role"] == "assistant":
            yield _pair(message_text(before), message_text(message))


def _pair(before: str, reply: str) -> _Pair:
    return _Pair(" ".join(before.split()), " ".join(reply.split()))
