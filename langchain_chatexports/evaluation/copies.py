"""Copies of the training half, beside the person's own: people repeat themselves.

Style cannot see copying: replies drawn from the training half score 1 everywhere.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from langchain_chatexports.evaluation.intervals import (
    ratio,
    ratio_difference,
    resampled,
)
from langchain_chatexports.evaluation.results import Copies, CopyRates
from langchain_chatexports.evaluation.text_features import SPACED, UNSPACED, bubbles

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Words = tuple[str, ...]

__all__ = ["Copied", "CopyIndex", "compare_copies"]

# Where a script puts no spaces between words, each letter stands for itself.
_WORD = re.compile(rf"{UNSPACED}|{SPACED}+")
_RUN = 6
_STEM = 3


@dataclass(frozen=True)
class Copied:
    """What of a bubble stands in the training half."""

    is_exact: bool
    """The whole of it."""

    is_unique: bool
    """Six words running that occur in one training conversation only."""

    longest: int
    """The longest run of words."""


class CopyIndex:
    """The words of the training half, in their order."""

    def __init__(self, conversations: Iterable[Iterable[str]]) -> None:
        """Take in the texts of conversations, the person's and the others'."""
        self._bubbles: list[Words] = []
        self._places: defaultdict[Words, list[tuple[int, int]]] = defaultdict(list)
        self._short: set[Words] = set()
        self._homes: defaultdict[Words, set[int]] = defaultdict(set)
        for number, texts in enumerate(conversations):
            for text in texts:
                for bubble in bubbles(text):
                    self._add(number, _words(bubble))

    def _add(self, conversation: int, said: Words) -> None:
        number = len(self._bubbles)
        self._bubbles.append(said)
        for at in range(len(said)):
            self._short.update((said[at : at + 1], said[at : at + 2]))
            if at + _STEM <= len(said):
                self._places[said[at : at + _STEM]].append((number, at))
            if at + _RUN <= len(said):
                self._homes[said[at : at + _RUN]].add(conversation)

    def check(self, bubble: str) -> Copied | None:
        """Say what of a bubble is copied; `None` of fewer than six words."""
        said = _words(bubble)
        if len(said) < _RUN:
            return None
        runs = (said[at : at + _RUN] for at in range(len(said) - _RUN + 1))
        longest = self._longest(said)
        return Copied(
            is_exact=longest == len(said),
            is_unique=any(len(self._homes.get(run, ())) == 1 for run in runs),
            longest=longest,
        )

    def _longest(self, said: Words) -> int:
        best = max(
            (
                size
                for size in (1, 2)
                for at in range(len(said) - size + 1)
                if said[at : at + size] in self._short
            ),
            default=0,
        )
        for at in range(len(said) - _STEM + 1):
            if len(said) - at <= best:
                break
            for number, place in self._places.get(said[at : at + _STEM], ()):
                other = self._bubbles[number]
                size = _STEM
                limit = min(len(said) - at, len(other) - place)
                while size < limit and said[at + size] == other[place + size]:
                    size += 1
                best = max(best, size)
        return best


def compare_copies(
    index: CopyIndex,
    person: Sequence[Sequence[str]],
    contestants: Mapping[str, Sequence[Sequence[str]]],
    *,
    rounds: int = 500,
    seed: int = 0,
) -> list[Copies]:
    """Return the copies in contestants' replies beside those in the person's own.

    Args:
        index: The training half.
        person: The person's replies, conversation by conversation.
        contestants: The models' replies to the same.
        rounds: How often conversations are drawn anew.
        seed: Where chance begins.
    """
    weights = resampled(len(person), rounds, np.random.default_rng(seed))
    own = [_checked(index, replies) for replies in person]
    own_rates, own_ratio = _rates(own), ratio(*_exact(own), weights)
    found = []
    for name, conversations in contestants.items():
        checked = [_checked(index, replies) for replies in conversations]
        rates = _rates(checked)
        excess = interval = None
        if rates.bubbles and own_rates.bubbles:
            excess, interval = ratio_difference(
                ratio(*_exact(checked), weights), own_ratio
            )
        values = {**dict(rates), "reason": rates.reason or own_rates.reason}
        found.append(
            Copies(
                contestant=name,
                **values,
                person=own_rates,
                excess=excess,
                interval=interval,
            )
        )
    return found


def _checked(index: CopyIndex, replies: Sequence[str]) -> list[Copied]:
    checked = (index.check(bubble) for reply in replies for bubble in bubbles(reply))
    return [found for found in checked if found is not None]


def _exact(
    conversations: Sequence[Sequence[Copied]],
) -> tuple[list[float], list[float]]:
    exact = [float(sum(c.is_exact for c in found)) for found in conversations]
    return exact, [float(len(found)) for found in conversations]


def _rates(conversations: Sequence[Sequence[Copied]]) -> CopyRates:
    every = [copied for found in conversations for copied in found]
    if not every:
        return CopyRates(
            bubbles=0,
            exact=None,
            unique6=None,
            longest_run=None,
            reason=f"no message has {_RUN} words",
        )
    longest = [copied.longest for copied in every]
    middle, high = np.quantile(longest, [0.5, 0.95], method="nearest")
    return CopyRates(
        bubbles=len(every),
        exact=sum(copied.is_exact for copied in every) / len(every),
        unique6=sum(copied.is_unique for copied in every) / len(every),
        longest_run=(int(middle), int(high), max(longest)),
    )


def _words(text: str) -> Words:
    return tuple(_WORD.findall(text.lower()))
