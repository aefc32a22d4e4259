"""A blind test: one context, two answers, which one is real, and how sure is that?"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import pairwise
from math import comb
from typing import TYPE_CHECKING

from langchain_chatexports.evaluation.text_features import bubbles
from langchain_chatexports.redaction.patterns import EMAIL, LINK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_chatexports.evaluation.answers import Gathered
    from langchain_chatexports.evaluation.copies import CopyIndex
    from langchain_chatexports.evaluation.held_out import Line

__all__ = [
    "BlindGuess",
    "BlindPair",
    "BlindResult",
    "blind_pairs",
    "blind_result",
    "exact_interval",
]

_STEPS = 60
_TAIL = 0.025
# The same number of messages before each pair; longer answers than this are dropped.
_LINES_BEFORE = 4
_MAX_CHARACTERS = 600
_PARTS = 3


@dataclass(frozen=True)
class BlindPair:
    """Two answers to the same messages: one is real."""

    before: tuple[Line, ...] = field(repr=False)
    answers: tuple[str, str] = field(repr=False)
    real: int
    """Which of them is the person's: 0 or 1, by a fair coin."""


def blind_pairs(
    gathered: Gathered, contestant: str, index: CopyIndex, *, most: int, seed: int
) -> list[BlindPair]:
    """Choose pairs that do not give themselves away, one of each conversation.

    Left out are those where an answer is empty, cut off, very long, the same as the
    other one, a copy from the training half, or has a link. Lengths are not made alike:
    length is style.

    Args:
        gathered: What was answered.
        contestant: Whose answers stand against the person's.
        index: The training half.
        most: How many pairs.
        seed: Where chance begins.
    """
    rng = random.Random(seed)  # noqa: S311 - chance that can be repeated
    places = list(zip(gathered.turns, gathered.replies[contestant], strict=True))
    rng.shuffle(places)
    found: dict[int, BlindPair] = {}
    for place, reply in places:
        # Both through one renderer: how bubbles are parted would tell them apart.
        answers = (_shown(place.turn.reply), _shown(reply.text))
        if reply.is_cut or not _is_fair(answers, index):
            continue
        real = rng.randrange(2)
        before = place.piece.lines[: place.turn.line][-_LINES_BEFORE:]
        shown = answers if real == 0 else answers[::-1]
        pair = BlindPair(before, (shown[0], shown[1]), real)
        found.setdefault(place.piece.conversation, pair)
    return list(found.values())[:most]


def _shown(reply: str) -> str:
    return "\n".join(bubbles(reply))


def _is_fair(answers: Sequence[str], index: CopyIndex) -> bool:
    real, model = answers
    copied = [index.check(bubble) for bubble in model.splitlines()]
    return (
        bool(real and model)
        and real != model
        and max(map(len, answers)) <= _MAX_CHARACTERS
        and not any(LINK.search(text) or EMAIL.search(text) for text in answers)
        and not any(found is not None and found.is_exact for found in copied)
    )


@dataclass(frozen=True)
class BlindGuess:
    """What somebody made of a pair."""

    is_right: bool
    size: int
    """Characters of both answers."""

    confidence: int
    """How sure the guess was: 1 by chance, 2, or 3 sure."""


@dataclass(frozen=True)
class BlindResult:
    """How often somebody told the person from the model."""

    pairs: int
    right: int
    interval: tuple[float, float]
    """Of the true rate, with 95 % confidence (Clopper and Pearson)."""

    p: float
    """How likely at least as many right guesses are by chance."""

    guesses: tuple[BlindGuess, ...] = field(default=(), repr=False)
    """Each guess, where they are known."""

    def by_length(self) -> list[tuple[int, int]]:
        """Return pairs and right guesses among short, middle and long contexts."""
        found = sorted(self.guesses, key=lambda guess: guess.size)
        ends = [round(part * len(found) / _PARTS) for part in range(_PARTS + 1)]
        return [
            _counted(found[start:end])
            for start, end in pairwise(ends)
            if len(found) >= _PARTS
        ]

    def by_confidence(self) -> dict[int, tuple[int, int]]:
        """Return pairs and right ones by how sure the guess was."""
        levels = sorted({guess.confidence for guess in self.guesses})
        return {
            level: _counted([g for g in self.guesses if g.confidence == level])
            for level in levels
        }


def _counted(guesses: Sequence[BlindGuess]) -> tuple[int, int]:
    return len(guesses), sum(guess.is_right for guess in guesses)


def blind_result(
    right: int, pairs: int, guesses: Sequence[BlindGuess] = ()
) -> BlindResult:
    """Return what a blind test says; that it is not significant proves no likeness.

    Args:
        right: Pairs in which the real answer was found.
        pairs: Pairs that were shown; fixed before the start.
        guesses: Each guess, for what length and confidence tell.

    Raises:
        ValueError: If there were no pairs, or fewer than right ones.
    """
    if not 0 <= right <= pairs or not pairs:
        msg = f"{right} of {pairs} pairs cannot be right."
        raise ValueError(msg)
    p = sum(comb(pairs, k) for k in range(right, pairs + 1)) / 2**pairs
    return BlindResult(pairs, right, exact_interval(right, pairs), p, tuple(guesses))


def exact_interval(hits: int, trials: int, tail: float = _TAIL) -> tuple[float, float]:
    """Return the interval of Clopper and Pearson of a rate.

    Args:
        hits: How often it happened.
        trials: How often it could.
        tail: The risk on either side.
    """
    low, high = 0.0, 1.0
    if hits:
        low = _rate_at(hits - 1, trials, 1 - tail)
    if hits < trials:
        high = _rate_at(hits, trials, tail)
    return low, high


def _rate_at(hits: int, trials: int, chance: float) -> float:
    # By bisection: the chance of at most so many hits falls as the rate grows.
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _at_most(hits, trials, middle) > chance:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _at_most(hits: int, trials: int, rate: float) -> float:
    return sum(
        comb(trials, k) * rate**k * (1 - rate) ** (trials - k) for k in range(hits + 1)
    )
