"""Blind test: guess which of two replies to the same messages is the person's."""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from langchain_chatexports.evaluation.answers import Answers
from langchain_chatexports.evaluation.dialogues import Utterance
from langchain_chatexports.evaluation.results import BlindResult, GuessCount
from langchain_chatexports.evaluation.talk_measures import (
    TalkReply,
    is_looping,
    is_repeating,
    split_messages,
)
from langchain_chatexports.redaction.patterns import EMAIL, LINK

_LINES_BEFORE = 4
_MAX_CHARACTERS = 600
_PARTS = 3


class BlindGuess(NamedTuple):
    """A guess for one pair."""

    is_right: bool
    size: int
    """Number of characters in both replies."""


@dataclass(frozen=True)
class BlindPair:
    """Two replies to the same messages; one is real."""

    before: tuple[Utterance, ...] = field(repr=False)
    answers: tuple[str, str] = field(repr=False)
    real: int
    """Index of the person's reply, chosen at random: 0 or 1."""

    def guess(self, chosen: int) -> BlindGuess:
        """Return a guess that this reply is real."""
        return BlindGuess(chosen == self.real, sum(map(len, self.answers)))


def choose_blind_pairs(
    answers: Answers,
    contestant: str,
    known: Collection[str],
    *,
    max_pairs: int,
    seed: int,
) -> list[BlindPair]:
    """Choose pairs without an obvious solution, one from each dialogue.

    A pair is skipped if a reply is empty, cut off, very long, looping, the same as the
    other one, a copy from the training data, or contains a link. Lengths are not
    matched, because they are part of the style.
    """
    rng = random.Random(seed)  # noqa: S311 - reproducible, no secret
    answered = list(zip(answers.turns, answers.replies[contestant], strict=True))
    rng.shuffle(answered)
    pairs: dict[int, BlindPair] = {}
    for turn, reply in answered:
        # Use the same format: different separators would reveal the model.
        person = "\n".join(split_messages(turn.reply))
        model = "\n".join(split_messages(reply.text))
        if reply.is_cut or not _is_suitable(person, model, known):
            continue
        real = rng.randrange(2)
        replies = (person, model) if real == 0 else (model, person)
        pair = BlindPair(turn.history[-_LINES_BEFORE:], replies, real)
        pairs.setdefault(turn.dialogue, pair)
    return list(pairs.values())[:max_pairs]


def _is_suitable(real: str, model: str, known: Collection[str]) -> bool:
    return (
        bool(real and model)
        and real != model
        and max(len(real), len(model)) <= _MAX_CHARACTERS
        and not is_looping(model)
        and not any(LINK.search(text) or EMAIL.search(text) for text in (real, model))
        and not is_repeating(TalkReply(model), known)
    )


def blind_result(guesses: Sequence[BlindGuess]) -> BlindResult:
    """Return the result of a blind test.

    A result that is not significant does not prove that there is no difference.
    """
    from scipy.stats import binomtest

    right = sum(guess.is_right for guess in guesses)
    test = binomtest(right, len(guesses), alternative="greater")
    interval = binomtest(right, len(guesses)).proportion_ci()
    by_size = sorted(guesses, key=lambda guess: guess.size)
    bounds = [round(part * len(guesses) / _PARTS) for part in range(_PARTS + 1)]
    parts = [by_size[start:end] for start, end in pairwise(bounds)]
    return BlindResult(
        pairs=len(guesses),
        right=right,
        interval=(float(interval.low), float(interval.high)),
        p=float(test.pvalue),
        by_length=[*map(_count_right, parts)] if len(guesses) >= _PARTS else [],
    )


def _count_right(guesses: Sequence[BlindGuess]) -> GuessCount:
    return GuessCount(pairs=len(guesses), right=sum(g.is_right for g in guesses))


class BlindTest:
    """A fixed number of pairs, presented one at a time."""

    def __init__(self, pairs: Sequence[BlindPair], max_pairs: int) -> None:
        self.pairs = tuple(pairs[:max_pairs])
        self.guesses: list[BlindGuess] = []

    @property
    def pair(self) -> BlindPair | None:
        """The current pair; `None` after the last one."""
        index = len(self.guesses)
        return self.pairs[index] if index < len(self.pairs) else None

    def guess(self, chosen: int) -> None:
        """Record a guess for the current pair."""
        if (pair := self.pair) is not None:
            self.guesses.append(pair.guess(chosen))

    @property
    def result(self) -> BlindResult | None:
        """The result; `None` before the last guess, as stopping early would bias it."""
        is_over = self.pairs and self.pair is None
        return blind_result(self.guesses) if is_over else None
