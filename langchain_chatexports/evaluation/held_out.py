"""Held-out turns: how they are chosen, and what training has seen of them."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from langchain_chatexports._terminal import plural
from langchain_chatexports.datasets.message_text import message_text
from langchain_chatexports.evaluation.conversations import PERSON, UNKNOWN_SPEAKER
from langchain_chatexports.evaluation.text_features import words
from langchain_chatexports.exceptions import TrainingDataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from langchain_chatexports.datasets.examples import TrainingExample
    from langchain_chatexports.evaluation.conversations import (
        Dialogue,
        HeldOutData,
        Utterance,
    )

__all__ = [
    "Excerpt",
    "HeldOutTurn",
    "choose_excerpts",
    "excerpts_of",
    "replies_of_others",
    "require_turns",
    "unseen_conversations",
    "without_near_duplicates",
]

# What a model reads at most: two windows of training, or a page of text.
_MAX_LINES = 16
_MAX_CHARACTERS = 6000
# Near-duplicates share half of their runs of five words.
_SHINGLE = 5
_NEAR = 0.5
_MAX_SEEN = 0.5
# A shorter exchange ("ok?", "yes") occurs in any two conversations.
_MIN_SEEN_CHARACTERS = 40


@dataclass(frozen=True)
class Excerpt:
    """A part of a conversation that fits a model's context, with turns of the person.

    Attributes:
        conversation: The number of the conversation among the chosen ones.
        lines: The utterances; the first one is somebody else's.
        turns: Which of the lines are turns of the person that count.
    """

    conversation: int
    lines: tuple[Utterance, ...] = field(repr=False)
    turns: tuple[int, ...]
    system: str | None = field(default=None, repr=False)
    participants: frozenset[str] = field(default=frozenset(), repr=False)


@dataclass(frozen=True)
class HeldOutTurn:
    """A turn of the person: a line of an excerpt."""

    excerpt: Excerpt
    line: int

    @property
    def reply(self) -> str:
        """What the person wrote."""
        return self.excerpt.lines[self.line].text

    @property
    def history(self) -> tuple[Utterance, ...]:
        """The lines before it."""
        return self.excerpt.lines[: self.line]


def require_turns(data: HeldOutData) -> None:
    """Make sure that the person speaks in both halves, before something long begins.

    Raises:
        TrainingDataError: If there is nothing to compare, or nothing to compare with.
    """
    halves = {"trained on": data.training, "held out": data.held_out}
    for what, half in halves.items():
        if not any(found.replies() for found in half):
            msg = (
                f"There is no turn of the person that was {what}, so there is nothing "
                "to compare. Add conversations, or split them differently."
            )
            raise TrainingDataError(msg)


def choose_excerpts(
    conversations: Sequence[Dialogue],
    *,
    max_turns: int,
    min_conversations: int,
    seed: int,
) -> list[Excerpt]:
    """Choose whole conversations at random until there are enough turns.

    Where long conversations would use up the turns before there are enough
    conversations, each contributes a random stretch of its turns only: intervals
    depend on the number of conversations more than on that of turns.

    Args:
        conversations: The held-out ones.
        max_turns: How many turns to choose.
        min_conversations: How many conversations to choose from, if there are.
        seed: The random seed.

    Returns:
        Excerpts, whose conversations are numbered from 0 without gaps.
    """
    rng = random.Random(seed)  # noqa: S311 - reproducible, no secret
    order = [found for found in conversations if found.replies()]
    rng.shuffle(order)
    average = sum(len(found.replies()) for found in order) / max(len(order), 1)
    wanted = min(min_conversations, len(order))
    max_each = None
    if average * wanted > max_turns:
        max_each = max(1, max_turns // wanted)
    excerpts: list[Excerpt] = []
    left, number = max_turns, 0
    for found in order:
        if left <= 0:
            break
        made = list(excerpts_of(found, number))
        if max_each is not None:
            made = list(_stretch(made, max_each, rng))
        count = sum(len(excerpt.turns) for excerpt in made)
        if count:
            excerpts += made
            left, number = left - count, number + 1
    return excerpts


def excerpts_of(conversation: Dialogue, number: int = 0) -> Iterator[Excerpt]:
    """Cut a conversation into excerpts, each with a turn of the person."""
    lines: list[Utterance] = []
    size = 0
    for line in (*conversation.lines, None):
        is_full = len(lines) >= _MAX_LINES or size >= _MAX_CHARACTERS
        # An excerpt begins with somebody else: templates want the user first.
        if line is None or (is_full and line.speaker != PERSON):
            turns = tuple(
                at
                for at, said in enumerate(lines)
                if said.speaker == PERSON and not said.is_forwarded
            )
            if turns:
                yield Excerpt(
                    number,
                    tuple(lines),
                    turns,
                    conversation.system,
                    conversation.participants,
                )
            lines, size = [], 0
        if line is not None and (lines or line.speaker != PERSON):
            lines.append(line)
            size += len(line.as_read)


def _stretch(
    excerpts: list[Excerpt], max_turns: int, rng: random.Random
) -> Iterator[Excerpt]:
    total = sum(len(excerpt.turns) for excerpt in excerpts)
    start = rng.randint(0, max(0, total - max_turns))
    number = 0
    for excerpt in excerpts:
        numbered = enumerate(excerpt.turns, number)
        turns = tuple(at for n, at in numbered if start <= n < start + max_turns)
        number += len(excerpt.turns)
        if turns:
            # Lines after the last turn are not read.
            yield replace(excerpt, lines=excerpt.lines[: turns[-1] + 1], turns=turns)


def without_near_duplicates(
    excerpts: Sequence[Excerpt], training: Iterable[Dialogue]
) -> tuple[list[Excerpt], int]:
    """Leave out turns that, with the message before, are much like one of training.

    Returns:
        The excerpts without these turns, and how many turns were left out.
    """
    index = _ShingleIndex()
    for conversation in training:
        for before, line in pairwise(conversation.lines):
            if line.speaker == PERSON:
                index.add(f"{before.text} {line.text}")
    dropped = 0
    kept = []
    for excerpt in excerpts:
        lines = excerpt.lines
        turns = tuple(
            at
            for at in excerpt.turns
            if not index.has_near(f"{lines[at - 1].text} {lines[at].text}")
        )
        dropped += len(excerpt.turns) - len(turns)
        if turns:
            kept.append(replace(excerpt, turns=turns))
    order = dict.fromkeys(excerpt.conversation for excerpt in kept)
    numbers = {old: new for new, old in enumerate(order)}
    return [replace(e, conversation=numbers[e.conversation]) for e in kept], dropped


class _ShingleIndex:
    """Texts by their runs of five words."""

    def __init__(self) -> None:
        self._sizes: list[int] = []
        self._places: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)

    def add(self, text: str) -> None:
        shingles = _shingles(text)
        for shingle in shingles:
            self._places[shingle].append(len(self._sizes))
        self._sizes.append(len(shingles))

    def has_near(self, text: str) -> bool:
        shingles = _shingles(text)
        shared = Counter(
            place for shingle in shingles for place in self._places.get(shingle, ())
        )
        return any(
            count / (len(shingles) + self._sizes[place] - count) >= _NEAR
            for place, count in shared.items()
        )


def _shingles(text: str) -> set[tuple[str, ...]]:
    said = words(text)
    return {tuple(said[at : at + _SHINGLE]) for at in range(len(said) - _SHINGLE + 1)}


def unseen_conversations(
    held_out: Sequence[Dialogue],
    training: Iterable[Dialogue],
    examples: Iterable[TrainingExample],
) -> tuple[list[Dialogue], int]:
    """Leave out conversations half of which, or more, the model was trained on.

    Returns:
        The others, and how many were left out.

    Raises:
        TrainingDataError: If the model was trained on most of them.
    """
    known = {exchange for found in training for exchange in _exchanges(found)}
    known.update(
        _exchange(message_text(before), message_text(message))
        for example in examples
        for before, message in pairwise(example["messages"])
        if message["role"] == "assistant"
    )
    unseen = [found for found in held_out if not _is_seen(found, known)]
    seen = len(held_out) - len(unseen)
    if seen > _MAX_SEEN * len(held_out):
        msg = (
            f"The model was trained on {seen} of the "
            f"{plural(len(held_out), 'conversation')} that should be held out, so they "
            "say nothing about it. Split first (chatexports prepare --split) and train "
            "on train.jsonl, or add --finetune."
        )
        raise TrainingDataError(msg)
    return unseen, seen


def _is_seen(conversation: Dialogue, known: set[tuple[str, str]]) -> bool:
    sizes = {found: sum(map(len, found)) for found in _exchanges(conversation)}
    seen = sum(size for found, size in sizes.items() if found in known)
    return seen >= max(_MIN_SEEN_CHARACTERS, _MAX_SEEN * sum(sizes.values()))


def _exchanges(conversation: Dialogue) -> Iterator[tuple[str, str]]:
    for before, line in pairwise(conversation.lines):
        if line.speaker == PERSON:
            yield _exchange(before.as_read, line.text)


def _exchange(before: str, reply: str) -> tuple[str, str]:
    return " ".join(before.split()), " ".join(reply.split())


def replies_of_others(
    data: HeldOutData, *, conversations: int, min_turns: int, max_people: int
) -> dict[str, list[list[str]]]:
    """Return other people's turns, latest conversations first.

    Args:
        data: The conversations.
        conversations: From how many of them each person's turns are taken.
        min_turns: People with fewer turns are left out.
        max_people: How many people, those with the most turns first.

    Returns:
        For each person a list of turns for each conversation.
    """
    found: defaultdict[str, list[list[str]]] = defaultdict(list)
    latest_first = [*reversed(data.held_out), *reversed(data.training)]
    for conversation in latest_first:
        speakers = {line.speaker for line in conversation.lines}
        for speaker in sorted(speakers - {PERSON, UNKNOWN_SPEAKER}):
            # First lines count, too: people who begin conversations would have few.
            said = [
                line.text
                for line in conversation.lines
                if line.speaker == speaker and not line.is_forwarded
            ]
            if said and len(found[speaker]) < conversations:
                found[speaker].append(said)
    turns = {name: sum(map(len, said)) for name, said in found.items()}
    ranked = sorted(found, key=lambda name: (-turns[name], name))
    enough = [name for name in ranked if turns[name] >= min_turns]
    return {name: found[name] for name in enough[:max_people]}
