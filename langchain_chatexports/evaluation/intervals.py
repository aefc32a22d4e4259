"""95 % intervals: bootstrap over conversations, and the exact one of a rate.

Whole conversations are resampled, as messages of one conversation are alike.
"""

from __future__ import annotations

from math import comb
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "Interval",
    "centered",
    "exact_interval",
    "percentiles",
    "ratio",
    "ratio_difference",
    "resampled",
]

Interval = tuple[float, float]
"""The ends of a 95 % interval."""

_ENDS = (0.025, 0.975)
_BISECTIONS = 60


def resampled(
    conversations: int, rounds: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return how often each conversation is drawn in each bootstrap round."""
    shares = np.full(conversations, 1 / conversations)
    return rng.multinomial(conversations, shares, size=rounds)


def percentiles(values: Floats) -> Interval:
    """Return the interval between the outer 2.5 % of resampled values."""
    low, high = np.nanquantile(values, _ENDS)
    return float(low), float(high)


def centered(point: float, values: Floats) -> Interval:
    """Return the basic bootstrap interval of a distance.

    Resampled distances are biased upward: a conversation that is drawn twice makes a
    sample less like any other one.
    """
    low, high = percentiles(values)
    mean = float(np.nanmean(values))
    return point - (high - mean), point - (low - mean)


def ratio(
    parts: Sequence[float] | Floats,
    wholes: Sequence[float] | Floats,
    weights: NDArray[np.int64],
) -> tuple[float, Floats]:
    """Return a ratio of two sums over conversations, and its resampled values."""
    upper, lower = np.asarray(parts, dtype=float), np.asarray(wholes, dtype=float)
    with np.errstate(invalid="ignore", divide="ignore"):
        values: Floats = (weights @ upper) / (weights @ lower)
        return float(upper.sum() / lower.sum()), values


def ratio_difference(
    some: tuple[float, Floats], others: tuple[float, Floats]
) -> tuple[float, Interval]:
    """Return the difference of two ratios, with the interval of the same rounds."""
    return some[0] - others[0], percentiles(some[1] - others[1])


def exact_interval(hits: int, trials: int, tail: float = 0.025) -> tuple[float, float]:
    """Return the Clopper-Pearson interval of a rate.

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


def _rate_at(hits: int, trials: int, probability: float) -> float:
    # By bisection: the probability of at most so many hits falls as the rate grows.
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        rate = (low + high) / 2
        at_most = sum(
            comb(trials, k) * rate**k * (1 - rate) ** (trials - k)
            for k in range(hits + 1)
        )
        if at_most > probability:
            low = rate
        else:
            high = rate
    return (low + high) / 2
