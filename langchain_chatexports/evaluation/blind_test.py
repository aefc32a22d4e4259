"""The blind test: which of two replies to the same messages did the person write?"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import pairwise
from math import comb
from typing import TYPE_CHECKING

from langchain_chatexports.evaluation.intervals import exact_interval
from langchain_chatexports.evaluation.text_features import bubbles
from langchain_chatexports.redaction.patterns import EMAIL, LINK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_chatexports.evaluation.answers import CollectedAnswers
    from langchain_chatexports.evaluation.conversations import Utterance
    from langchain_chatexports.evaluation.memorization import CopyIndex

__all__ = [
    "BlindGuess",
    "BlindPair",
    "BlindResult",
    "BlindTest",
    "blind_pairs",
    "blind_result",
]

_LINES_BEFORE = 4
_MAX_CHARACTERS = 600
_PARTS = 3


@dataclass(frozen=True)
class BlindPair:
    """Two answers to the same messages: one is real."""

    before: tuple[Utterance, ...] = field(repr=False)
    answers: tuple[str, str] = field(repr=False)
    real: int
    """Which of them is the person's, chosen at random: 0 or 1."""


def blind_pairs(
    answers: CollectedAnswers,
    contestant: str,
    index: CopyIndex,
    *,
    max_pairs: int,
    seed: int,
) -> list[BlindPair]:
    """Choose pairs that do not give themselves away, one of each conversation.

    Left out are those where a reply is empty, cut off, very long, the same as the
    other one, a copy from the training half, or has a link. Lengths are not matched:
    length is style.
    """
    rng = random.Random(seed)  # noqa: S311 - reproducible, no secret
    places = list(zip(answers.turns, answers.replies[contestant], strict=True))
    rng.shuffle(places)
    found: dict[int, BlindPair] = {}
    for turn, reply in places:
        # In the same format: how bubbles are separated would tell them apart.
        shown = ("\n".join(bubbles(turn.reply)), "\n".join(bubbles(reply.text)))
        if reply.is_cut or not _is_fair(*shown, index):
            continue
        real = rng.randrange(2)
        first, second = shown if real == 0 else shown[::-1]
        pair = BlindPair(turn.history[-_LINES_BEFORE:], (first, second), real)
        found.setdefault(turn.excerpt.conversation, pair)
    return list(found.values())[:max_pairs]


def _is_fair(real: str, model: str, index: CopyIndex) -> bool:
    copied = [index.check(bubble) for bubble in model.splitlines()]
    return (
        bool(real and model)
        and real != model
        and max(len(real), len(model)) <= _MAX_CHARACTERS
        and not any(LINK.search(text) or EMAIL.search(text) for text in (real, model))
        and not any(found is not None and found.is_exact for found in copied)
    )


@dataclass(frozen=True)
class BlindGuess:
    """A guess at one pair."""

    is_right: bool
    size: int
    """Characters of both answers."""

    confidence: int
    """How sure the guess was: 1 a guess, 2, or 3 sure."""


@dataclass(frozen=True)
class BlindResult:
    """How often somebody told the person from the model."""

    pairs: int
    right: int
    interval: tuple[float, float]
    """Of the true rate, with 95 % confidence (Clopper-Pearson)."""

    p: float
    """The probability of at least as many right guesses by chance."""

    guesses: tuple[BlindGuess, ...] = field(default=(), repr=False)
    """Each guess, where they are known."""

    def __str__(self) -> str:
        """Return the result in two sentences, for people."""
        low, high = self.interval
        return (
            f"{self.right} of {self.pairs} told apart: a true rate of {low:.0%} to "
            f"{high:.0%}. By chance, at least as many would be with p = {self.p:.2f}."
        )

    def by_length(self) -> list[tuple[int, int]]:
        """Return pairs and right guesses among short, middle and long answers."""
        if len(self.guesses) < _PARTS:
            return []
        found = sorted(self.guesses, key=lambda guess: guess.size)
        ends = [round(part * len(found) / _PARTS) for part in range(_PARTS + 1)]
        return [_counted(found[start:end]) for start, end in pairwise(ends)]

    def by_confidence(self) -> dict[int, tuple[int, int]]:
        """Return pairs and right guesses by how sure the guess was."""
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
    """Return the result of a blind test.

    A result that is not significant does not prove that they cannot be told apart.

    Args:
        right: Pairs in which the real answer was found.
        pairs: Pairs that were shown; fixed before the start.
        guesses: Each guess, for the results by length and confidence.

    Raises:
        ValueError: If there were no pairs, or fewer than right ones.
    """
    if not 0 <= right <= pairs or not pairs:
        msg = f"{right} of {pairs} pairs cannot be right."
        raise ValueError(msg)
    p = sum(comb(pairs, k) for k in range(right, pairs + 1)) / 2**pairs
    return BlindResult(pairs, right, exact_interval(right, pairs), p, tuple(guesses))


class BlindTest:
    """Pairs that are shown one by one; their number is fixed before the first.

    Attributes:
        pairs: The pairs that are shown.
        guesses: The guesses so far.
    """

    def __init__(self, pairs: Sequence[BlindPair], most: int) -> None:
        """Initialize the test before its first pair.

        Args:
            pairs: The pairs that there are.
            most: How many are shown, if there are as many.
        """
        self.pairs = tuple(pairs[:most])
        self.guesses: list[BlindGuess] = []

    @property
    def pair(self) -> BlindPair | None:
        """The pair to guess; `None` after the last."""
        place = len(self.guesses)
        return self.pairs[place] if place < len(self.pairs) else None

    def guess(self, chosen: int, confidence: int) -> None:
        """Note a guess at the pair that is shown.

        Args:
            chosen: Which of its answers is said to be real: 0 or 1.
            confidence: How sure the guess is: 1 a guess, 2, or 3 sure.
        """
        pair = self.pair
        if pair is None:
            return
        size = sum(map(len, pair.answers))
        guess = BlindGuess(
            is_right=chosen == pair.real, size=size, confidence=confidence
        )
        self.guesses.append(guess)

    @property
    def result(self) -> BlindResult | None:
        """The result; `None` before the last guess.

        There is none of some of the pairs, as people stop at a moment that suits them.
        """
        if self.pair is not None or not self.pairs:
            return None
        right = sum(guess.is_right for guess in self.guesses)
        return blind_result(right, len(self.pairs), self.guesses)
