"""The style measures: what each one counts, and its distance between two counts.

To add a measure, add a function that counts, and an entry of `MEASURES`. A measure is
a vector of counts for each conversation; vectors add up, so that a bootstrap sample of
conversations costs one sum.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from langchain_chatexports.evaluation.text_features import (
    HABITS,
    bubbles,
    first_emoji,
    habits,
    trigrams,
    words,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    Counts = NDArray[np.int64]
    Distance = Callable[[Counts, Counts], float]

__all__ = [
    "MEASURES",
    "Measure",
    "Vocabulary",
    "jensen_shannon",
    "mean_cohens_h",
    "subsample",
    "wasserstein",
]

_LENGTH_BINS = 20
_MAX_BURST = 6
_TOTAL = "bubbles"


@dataclass(frozen=True)
class Measure:
    """One aspect of style."""

    name: str
    unit: str
    """The unit of its distances."""

    meaning: str
    """What it compares, in plain words."""

    count: Callable[[Sequence[str], frozenset[str]], Counter[Hashable]]
    """Counts features of a conversation's replies, given the function words."""

    distance: Distance
    fixed: tuple[Hashable, ...] | None = None
    """The features, where they do not come from the texts."""

    limit: int | None = None
    """How many features have a column of their own; all others share the last one."""

    needs_spaces: bool = False
    """Whether it needs a language that puts spaces between words."""

    needs_breaks: bool = False
    """Whether it needs turns of several messages."""

    has_total: bool = False
    """Whether the last column counts the units, and the others are shares of them."""

    def units(self, counts: Counts) -> int:
        """Return the units that a vector of counts holds."""
        return int(counts[-1] if self.has_total else counts.sum())

    def sampled(self, counts: Counts, units: int, rng: np.random.Generator) -> Counts:
        """Return a sample without replacement; all units, if there are not more."""
        if not self.has_total:
            return subsample(counts, units, rng)
        total = int(counts[-1])
        if total <= units:
            return counts
        kept = rng.hypergeometric(counts[:-1], total - counts[:-1], units)
        return np.append(kept, units)


class Vocabulary:
    """The features of one measure as columns, from the person and the other people.

    Other features that a model writes share the last column.
    """

    def __init__(
        self, measure: Measure, conversations: Iterable[Mapping[Hashable, int]]
    ) -> None:
        self._has_rest = measure.fixed is None
        if measure.fixed is not None:
            features: Sequence[Hashable] = measure.fixed
        else:
            held: Counter[Hashable] = Counter()
            for counted in conversations:
                held.update(counted.keys())
            features = sorted(held, key=lambda feature: (-held[feature], str(feature)))
            features = features[: measure.limit]
        self._columns = {feature: at for at, feature in enumerate(features)}

    def matrix(self, conversations: Sequence[Mapping[Hashable, int]]) -> Counts:
        """Return the counts of conversations, a row each."""
        rest = len(self._columns)
        found = np.zeros((len(conversations), rest + self._has_rest), dtype=np.int64)
        for row, counted in enumerate(conversations):
            for feature, count in counted.items():
                found[row, self._columns.get(feature, rest)] += count
        return found


def subsample(counts: Counts, units: int, rng: np.random.Generator) -> Counts:
    """Return a sample without replacement; all units, if there are not more."""
    if int(counts.sum()) <= units:
        return counts
    return rng.multivariate_hypergeometric(counts, units, method="marginals")


def jensen_shannon(some: Counts, others: Counts) -> float:
    """Return the Jensen-Shannon divergence: 0 the same shares, 1 nothing in common."""
    p, q = some / some.sum(), others / others.sum()
    middle = (p + q) / 2

    def divergence(share: NDArray[np.float64]) -> float:
        is_there = share > 0
        ratio = share[is_there] / middle[is_there]
        return float(np.sum(share[is_there] * np.log2(ratio)))

    return (divergence(p) + divergence(q)) / 2


def wasserstein(step: float) -> Distance:
    """Return the Wasserstein distance of counts in bins of this width."""

    def distance(some: Counts, others: Counts) -> float:
        apart = np.cumsum(some / some.sum()) - np.cumsum(others / others.sum())
        return float(np.abs(apart).sum() * step)

    return distance


def mean_cohens_h(some: Counts, others: Counts) -> float:
    """Return the mean of Cohen's h over the columns; the last one counts the units."""

    def angle(counts: Counts) -> NDArray[np.float64]:
        # Half a unit is added so that a share of 0 is no certainty.
        angles: NDArray[np.float64] = 2 * np.arcsin(
            np.sqrt((counts[:-1] + 0.5) / (counts[-1] + 1))
        )
        return angles

    return float(np.abs(angle(some) - angle(others)).mean())


def _lengths(replies: Sequence[str], _: frozenset[str]) -> Counter[Hashable]:
    return Counter(
        min(math.floor(2 * math.log2(1 + len(bubble))), _LENGTH_BINS - 1)
        for reply in replies
        for bubble in bubbles(reply)
    )


def _bursts(replies: Sequence[str], _: frozenset[str]) -> Counter[Hashable]:
    return Counter(min(len(bubbles(reply)), _MAX_BURST) for reply in replies)


def _marks(replies: Sequence[str], _: frozenset[str]) -> Counter[Hashable]:
    counts: Counter[Hashable] = Counter()
    for reply in replies:
        for bubble in bubbles(reply):
            counts[_TOTAL] += 1
            for name, is_there in zip(HABITS, habits(bubble), strict=True):
                counts[name] += is_there
    return counts


def _emoji(replies: Sequence[str], _: frozenset[str]) -> Counter[Hashable]:
    return Counter(
        first_emoji(bubble) for reply in replies for bubble in bubbles(reply)
    )


def _frames(
    replies: Sequence[str], function_words: frozenset[str]
) -> Counter[Hashable]:
    counts: Counter[Hashable] = Counter()
    for reply in replies:
        for bubble in bubbles(reply):
            # The word list has plain apostrophes; char3 tells which ones people type.
            said = words(bubble.replace("\u2019", "'"))
            kept = (word if word in function_words else "_" for word in said)
            frame = ["^", *kept, "$"]
            counts.update(pairwise(frame))
    return counts


def _trigrams(replies: Sequence[str], _: frozenset[str]) -> Counter[Hashable]:
    counts: Counter[Hashable] = Counter()
    for reply in replies:
        for bubble in bubbles(reply):
            counts.update(trigrams(bubble))
    return counts


def _openings(replies: Sequence[str], _: frozenset[str]) -> Counter[Hashable]:
    return Counter(next(iter(words(reply)), "") for reply in replies)


MEASURES = (
    Measure(
        name="length",
        unit="doublings",
        meaning="how long the messages are",
        count=_lengths,
        distance=wasserstein(0.5),
        fixed=tuple(range(_LENGTH_BINS)),
    ),
    Measure(
        name="burst",
        unit="messages",
        meaning="how many messages come in a row",
        count=_bursts,
        distance=wasserstein(1.0),
        fixed=tuple(range(1, _MAX_BURST + 1)),
        needs_breaks=True,
    ),
    Measure(
        name="marks",
        unit="Cohen's h",
        meaning="punctuation, capitals, stretched letters",
        count=_marks,
        distance=mean_cohens_h,
        fixed=(*HABITS, _TOTAL),
        has_total=True,
    ),
    Measure(
        name="emoji",
        unit="bits",
        meaning="which emoji and emoticons, and how often",
        count=_emoji,
        distance=jensen_shannon,
    ),
    Measure(
        name="frame",
        unit="bits",
        meaning="how sentences are built: the small words and their order",
        count=_frames,
        distance=jensen_shannon,
        needs_spaces=True,
    ),
    Measure(
        name="char3",
        unit="bits",
        meaning="spelling and wording, three letters at a time",
        count=_trigrams,
        distance=jensen_shannon,
        limit=1000,
    ),
    Measure(
        name="opening",
        unit="bits",
        meaning="the first word of an answer",
        count=_openings,
        distance=jensen_shannon,
        limit=200,
        needs_spaces=True,
    ),
)
"""All measures, in the order in which they are shown."""
