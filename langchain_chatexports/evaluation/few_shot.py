"""The nearest pairs of the training half: what a prompt can do with the same data."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from langchain_chatexports.evaluation.held_out import PERSON
from langchain_chatexports.evaluation.text_features import trigrams

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from langchain_chatexports.evaluation.held_out import Conversation

__all__ = ["Pair", "PairIndex", "training_pairs"]

_MAX_PAIRS = 20_000


class Pair(NamedTuple):
    """What somebody said, and what the person answered."""

    message: str
    reply: str


def training_pairs(training: Iterable[Conversation]) -> list[Pair]:
    """Return the pairs of the training half; of very many the latest."""
    pairs = [
        Pair(before.text, line.text)
        for conversation in training
        for before, line in zip(
            conversation.lines, conversation.lines[1:], strict=False
        )
        if line.speaker == PERSON and not line.is_forwarded
    ]
    return pairs[-_MAX_PAIRS:]


class PairIndex:
    """Pairs that can be asked for those whose message is most like another one.

    Likeness is the cosine of character 3-grams, each the heavier the rarer it is.
    """

    def __init__(self, pairs: Sequence[Pair]) -> None:
        """Take the pairs in."""
        self._pairs = pairs
        held: Counter[str] = Counter()
        grams = [Counter(trigrams(pair.message.lower())) for pair in pairs]
        for counted in grams:
            held.update(counted.keys())
        self._rarity = {
            gram: math.log((1 + len(pairs)) / (1 + count)) + 1
            for gram, count in held.items()
        }
        places: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
        for place, counted in enumerate(grams):
            for gram, weight in self._weights(counted).items():
                places[gram].append((place, weight))
        self._places = {
            gram: (np.array([p for p, _ in found]), np.array([w for _, w in found]))
            for gram, found in places.items()
        }

    def nearest(self, message: str, count: int) -> list[Pair]:
        """Return the nearest pairs, the nearest one last, next to the question."""
        likeness = np.zeros(len(self._pairs))
        for gram, weight in self._weights(Counter(trigrams(message.lower()))).items():
            if gram in self._places:
                places, weights = self._places[gram]
                likeness[places] += weight * weights
        best = np.argsort(-likeness, kind="stable")[:count]
        return [self._pairs[place] for place in reversed(best.tolist())]

    def _weights(self, counted: Counter[str]) -> dict[str, float]:
        weights = {
            gram: count * self._rarity.get(gram, 1.0) for gram, count in counted.items()
        }
        norm = math.sqrt(sum(weight**2 for weight in weights.values())) or 1.0
        return {gram: weight / norm for gram, weight in weights.items()}
