"""A blind test: one context, two answers, which one is real?"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

__all__ = ["BlindResult", "blind_result", "exact_interval"]

_STEPS = 60
_TAIL = 0.025


@dataclass(frozen=True)
class BlindResult:
    """How often somebody told the person from the model."""

    pairs: int
    right: int
    interval: tuple[float, float]
    """Of the true rate, with 95 % confidence (Clopper and Pearson)."""

    p: float
    """How likely at least as many right guesses are by chance."""


def blind_result(right: int, pairs: int) -> BlindResult:
    """Give what a blind test says; that it is not significant proves no likeness.

    Args:
        right: Pairs in which the real answer was found.
        pairs: Pairs that were shown; fixed before the start.

    Raises:
        ValueError: If there were no pairs, or fewer than right ones.
    """
    if not 0 <= right <= pairs or not pairs:
        msg = f"{right} of {pairs} pairs cannot be right."
        raise ValueError(msg)
    p = sum(comb(pairs, k) for k in range(right, pairs + 1)) / 2**pairs
    return BlindResult(pairs, right, exact_interval(right, pairs), p)


def exact_interval(hits: int, trials: int, tail: float = _TAIL) -> tuple[float, float]:
    """Give the interval of Clopper and Pearson of a rate.

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


def _rate_at(hits: int, trials: int, chance: float) -> float:
    # By bisection: the chance of at most so many hits falls as the rate grows.
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _at_most(hits, trials, middle) > chance:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _at_most(hits: int, trials: int, rate: float) -> float:
    return sum(
        comb(trials, k) * rate**k * (1 - rate) ** (trials - k) for k in range(hits + 1)
    )
