"""The blind test: which of two replies to the same messages did the person write?"""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from langchain_chatexports.evaluation.answers import Answers
from langchain_chatexports.evaluation.conversations import Utterance
from langchain_chatexports.evaluation.results import BlindFinding, GuessCount
from langchain_chatexports.evaluation.talk_measures import (
    TalkReply,
    bubbles,
    is_looping,
    is_repeating,
)
from langchain_chatexports.redaction.patterns import EMAIL, LINK

_LINES_BEFORE = 4
_MAX_CHARACTERS = 600
_PARTS = 3


@dataclass(frozen=True)
class BlindPair:
    """Two answers to the same messages: one is real."""

    before: tuple[Utterance, ...] = field(repr=False)
    answers: tuple[str, str] = field(repr=False)
    real: int
    """The index of the person's answer, chosen at random: 0 or 1."""


class BlindGuess(NamedTuple):
    """A guess at one pair."""

    is_right: bool
    size: int
    """Number of characters of both answers."""


def blind_pairs(
    answers: Answers,
    contestant: str,
    known: Collection[str],
    *,
    max_pairs: int,
    seed: int,
) -> list[BlindPair]:
    """Choose pairs without an obvious solution, one of each conversation.

    Pairs are skipped if a reply is empty, cut off, very long, looping, the same as the
    other one, a copy from the training half, or has a link. Lengths are not matched,
    because length is a part of style.
    """
    rng = random.Random(seed)  # noqa: S311 - reproducible, no secret
    answered = list(zip(answers.turns, answers.replies[contestant], strict=True))
    rng.shuffle(answered)
    found: dict[int, BlindPair] = {}
    for turn, reply in answered:
        # Use the same format: different separators would reveal the model.
        shown = ("\n".join(bubbles(turn.reply)), "\n".join(bubbles(reply.text)))
        if reply.is_cut or not _is_fair(*shown, known):
            continue
        real = rng.randrange(2)
        first, second = shown if real == 0 else shown[::-1]
        pair = BlindPair(turn.history[-_LINES_BEFORE:], (first, second), real)
        found.setdefault(turn.conversation, pair)
    return list(found.values())[:max_pairs]


def _is_fair(real: str, model: str, known: Collection[str]) -> bool:
    return (
        bool(real and model)
        and real != model
        and max(len(real), len(model)) <= _MAX_CHARACTERS
        and not is_looping(model)
        and not any(LINK.search(text) or EMAIL.search(text) for text in (real, model))
        and not is_repeating(TalkReply(model), known)
    )


def blind_result(guesses: Sequence[BlindGuess]) -> BlindFinding:
    """Return the result of a blind test.

    A result that is not significant does not prove that nobody can see a difference.
    """
    from scipy.stats import binomtest

    right = sum(guess.is_right for guess in guesses)
    test = binomtest(right, len(guesses), alternative="greater")
    both = binomtest(right, len(guesses))
    ends = both.proportion_ci()
    by_size = sorted(guesses, key=lambda guess: guess.size)
    borders = [round(part * len(guesses) / _PARTS) for part in range(_PARTS + 1)]
    parts = [by_size[start:end] for start, end in pairwise(borders)]
    return BlindFinding(
        pairs=len(guesses),
        right=right,
        interval=(float(ends.low), float(ends.high)),
        p=float(test.pvalue),
        by_length=[*map(_counted, parts)] if len(guesses) >= _PARTS else [],
    )


def _counted(guesses: Sequence[BlindGuess]) -> GuessCount:
    return GuessCount(pairs=len(guesses), right=sum(g.is_right for g in guesses))


class BlindTest:
    """Pairs that are shown one by one; their number is fixed before the first."""

    def __init__(self, pairs: Sequence[BlindPair], most: int) -> None:
        """Initialize the test before its first pair."""
        self.pairs = tuple(pairs[:most])
        self.guesses: list[BlindGuess] = []

    @property
    def pair(self) -> BlindPair | None:
        """The pair to guess; `None` after the last."""
        index = len(self.guesses)
        return self.pairs[index] if index < len(self.pairs) else None

    def guess(self, chosen: int) -> None:
        """Record a guess for the current pair."""
        if (pair := self.pair) is not None:
            size = sum(map(len, pair.answers))
            self.guesses.append(BlindGuess(chosen == pair.real, size))

    @property
    def result(self) -> BlindFinding | None:
        """The result; `None` before the last guess.

        A part of the pairs has no result, because people may stop while they are lucky.
        """
        is_over = self.pairs and self.pair is None
        return blind_result(self.guesses) if is_over else None
