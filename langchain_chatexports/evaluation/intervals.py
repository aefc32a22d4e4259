"""Intervals by resampling conversations: messages of one conversation are not alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "Interval",
    "centered",
    "percentiles",
    "ratio",
    "ratio_difference",
    "resampled",
]

Interval = tuple[float, float]
"""The ends of a 95 % interval."""

_ENDS = (0.025, 0.975)


def resampled(
    conversations: int, rounds: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw conversations with putting back: how often each is in each round."""
    shares = np.full(conversations, 1 / conversations)
    return rng.multinomial(conversations, shares, size=rounds)


def percentiles(values: Floats) -> Interval:
    """Return the interval between the outer 2.5 % of resampled values."""
    low, high = np.nanquantile(values, _ENDS)
    return float(low), float(high)


def centered(point: float, values: Floats) -> Interval:
    """Return the interval of a distance, whose resampled values all lie too high.

    A conversation that is drawn twice makes a sample less like any other one.
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
    """Return the difference of two ratios with the interval of the same rounds."""
    return some[0] - others[0], percentiles(some[1] - others[1])
