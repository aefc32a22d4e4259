"""Bits per byte of replies."""

import math

import pytest

from langchain_chatexports.evaluation.loss import compare_losses
from langchain_chatexports.evaluation.model_server import ScoredReply


def turn(nll: float, end: float = 1.0, size: int = 9) -> ScoredReply:
    return ScoredReply(0, nll, end, size, size)


HARD = [turn(5.0 * (n % 7 + 1)) for n in range(40)]
EASIER = [turn(5.0 * (n % 7 + 1) - 2) for n in range(40)]


def bits_per_byte(turns: list[ScoredReply]) -> float:
    (loss,) = compare_losses({"tuned": turns}, [0] * len(turns))[0].values()
    return loss.value


def test_end_counts_as_one_byte() -> None:
    turns = [turn(math.log(2) * 12, math.log(2) * 8), turn(0, 0, 9)]
    assert bits_per_byte(turns) == pytest.approx(20 / 20)


def test_differences_are_paired() -> None:
    """Hard conversations are hard for both models, which narrows the interval."""
    losses, (difference,) = compare_losses(
        {"tuned": EASIER, "base": HARD}, [*range(40)]
    )
    assert (difference.a, difference.b) == ("tuned", "base")
    expected = bits_per_byte(EASIER) - bits_per_byte(HARD)
    assert difference.value == pytest.approx(expected)
    low, high = difference.interval
    assert low <= difference.value <= high
    loss = losses["tuned"]
    assert loss.interval[0] < loss.value < loss.interval[1]
    assert high - low < (loss.interval[1] - loss.interval[0]) / 5


def test_turns_of_one_conversation_are_resampled_together() -> None:
    losses, _ = compare_losses({"base": HARD}, [0] * 40)
    low, high = losses["base"].interval
    assert low == high
