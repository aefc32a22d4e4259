"""Bits per byte against the arithmetic."""

from __future__ import annotations

import math

import pytest

from langchain_chatexports.evaluation.loss import (
    TurnPrice,
    bits_per_byte,
    compare_losses,
)
from langchain_chatexports.evaluation.replies import Price


def turn(
    nll: float, end: float | None = 1.0, size: int = 9, conversation: int = 0
) -> TurnPrice:
    return TurnPrice(conversation, Price(0, nll, end, size, size))


def test_the_end_pays_for_a_byte_of_its_own() -> None:
    turns = [turn(math.log(2) * 12, math.log(2) * 8), turn(0, 0, 9)]
    assert bits_per_byte(turns) == pytest.approx(20 / 20)


def test_a_template_without_an_end_has_no_byte_for_it() -> None:
    assert bits_per_byte([turn(math.log(2) * 9, None)]) == pytest.approx(1)


def test_differences_are_paired() -> None:
    """Hard conversations are hard for both, so the difference is sharper."""
    hard = [turn(5.0 * (n % 7 + 1), conversation=n) for n in range(40)]
    easier = [turn(5.0 * (n % 7 + 1) - 2, conversation=n) for n in range(40)]
    losses, (difference,) = compare_losses(
        {"base": hard, "tuned": easier}, conversations=40
    )
    assert (difference.a, difference.b) == ("tuned", "base")
    expected = bits_per_byte(easier) - bits_per_byte(hard)
    assert difference.value == pytest.approx(expected)
    low, high = difference.interval
    assert low <= difference.value <= high
    wide = losses[0].interval
    assert wide is not None
    assert high - low < (wide[1] - wide[0]) / 5


def test_intervals_hold_their_point_and_are_the_same_again() -> None:
    turns = [turn(5.0 * (n % 7 + 1), conversation=n) for n in range(40)]
    (loss,), _ = compare_losses({"base": turns}, conversations=40)
    assert loss.interval is not None
    assert loss.bits_per_byte is not None
    assert loss.interval[0] < loss.bits_per_byte < loss.interval[1]
    assert compare_losses({"base": turns}, conversations=40)[0] == [loss]


def test_bits_of_the_end_are_beside_it() -> None:
    turns = [turn(1, math.log(2) * 10), turn(1, math.log(2) * 11)]
    (loss,), _ = compare_losses({"base": turns}, conversations=1)
    assert loss.end_bits == pytest.approx(10.5)


def test_where_nothing_can_be_priced_there_is_a_reason_and_no_zero() -> None:
    (loss, _), differences = compare_losses(
        {"tuned": "this endpoint cannot score given text", "base": [turn(1)]},
        conversations=1,
    )
    assert (loss.bits_per_byte, loss.interval) == (None, None)
    assert loss.reason == "this endpoint cannot score given text"
    assert differences == []
