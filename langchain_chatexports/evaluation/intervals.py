"""95 % intervals by bootstrap: whole conversations are resampled.

Messages of one conversation are alike, so resampling them would make the intervals too
narrow.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = "NDArray[np.float64]"
Interval: TypeAlias = tuple[float, float]


def resampled(conversations: int, rounds: int, seed: int) -> "NDArray[np.int64]":
    """Return how often each conversation is drawn in each round."""
    shares = np.full(conversations, 1 / conversations)
    return np.random.default_rng(seed).multinomial(conversations, shares, size=rounds)


def percentiles(values: Floats) -> Interval:
    """Return the interval between the outer 2.5 % of resampled values."""
    low, high = np.nanquantile(values, (0.025, 0.975))
    return float(low), float(high)


def ratio(
    parts: Sequence[float],
    wholes: Sequence[float],
    groups: Sequence[int],
    weights: "NDArray[np.int64]",
) -> tuple[float, Floats]:
    """Return a ratio of two sums over turns, and its resampled values."""
    conversations = weights.shape[1]
    upper = np.bincount(groups, parts, minlength=conversations)
    lower = np.bincount(groups, wholes, minlength=conversations)
    with np.errstate(invalid="ignore", divide="ignore"):
        values: Floats = (weights @ upper) / (weights @ lower)
        return float(upper.sum() / lower.sum()), values
