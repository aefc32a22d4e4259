"""95% bootstrap intervals, which resample whole dialogues.

Messages in one dialogue are similar: resampling them would make the intervals too
narrow.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = "NDArray[np.float64]"
Interval: TypeAlias = tuple[float, float]


def resample(dialogues: int, rounds: int, seed: int) -> "NDArray[np.int64]":
    """Return how often each round draws each dialogue."""
    probabilities = np.full(dialogues, 1 / dialogues)
    return np.random.default_rng(seed).multinomial(
        dialogues, probabilities, size=rounds
    )


def percentiles(values: Floats) -> Interval:
    """Return the 95% interval of resampled values."""
    low, high = np.nanquantile(values, (0.025, 0.975))
    return float(low), float(high)


def ratio(
    numerators: Sequence[float],
    denominators: Sequence[float],
    groups: Sequence[int],
    weights: "NDArray[np.int64]",
) -> tuple[float, Floats]:
    """Return a ratio of two sums over turns and its resampled values."""
    dialogues = weights.shape[1]
    numerator_sums = np.bincount(groups, numerators, minlength=dialogues)
    denominator_sums = np.bincount(groups, denominators, minlength=dialogues)
    with np.errstate(invalid="ignore", divide="ignore"):
        values: Floats = (weights @ numerator_sums) / (weights @ denominator_sums)
        return float(numerator_sums.sum() / denominator_sums.sum()), values
