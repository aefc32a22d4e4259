"""The time that is left of an evaluation, by a clock that the test sets."""

from __future__ import annotations

import pytest

from langchain_chatexports.evaluation import EvaluationSettings
from langchain_chatexports.evaluation.comparison import Passes
from langchain_chatexports.evaluation.time_left import TimeLeft


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def left(clock: Clock) -> TimeLeft:
    return TimeLeft(Passes(scoring=2, writing=2), clock=clock)


def _go_on(left: TimeLeft, clock: Clock, what: str, each: float, turns: int) -> None:
    for turn in range(turns):
        clock.now += each
        left.note(what, turn + 1, 10)


def test_nothing_is_estimated_of_nothing(left: TimeLeft) -> None:
    assert left.seconds() is None


def test_what_was_not_measured_is_guessed_from_what_was(
    left: TimeLeft, clock: Clock
) -> None:
    _go_on(left, clock, "scoring replies: base model", 1, 5)
    # 15 turns to score, and twice ten to write, three times as long.
    assert left.seconds() == 15 + 3 * 20
    _go_on(left, clock, "scoring replies: tuned model", 3, 10)
    assert left.seconds() == pytest.approx((5 + 3 * 20) * 35 / 15)


def test_what_was_measured_counts(left: TimeLeft, clock: Clock) -> None:
    _go_on(left, clock, "scoring replies: base model", 1, 10)
    _go_on(left, clock, "writing replies: base model", 4, 10)
    # Whatever could not be scored will not be scored any more.
    assert left.seconds() == 40
    _go_on(left, clock, "writing replies: tuned model", 2, 10)
    assert left.seconds() == 0


def test_other_work_takes_nothing_of_it(left: TimeLeft, clock: Clock) -> None:
    clock.now += 500
    left.note("probing secrets", 1, 4000)
    assert left.seconds() is None
    _go_on(left, clock, "scoring replies: base model", 1, 10)
    assert left.seconds() == 10 + 3 * 20


def test_a_training_before_it_is_not_measured(left: TimeLeft, clock: Clock) -> None:
    assert left.seconds_after_training(2, 10) == (2 + 3 * 2) * 10
    clock.now += 500
    left.start(Passes(1, 0))
    _go_on(left, clock, "scoring replies: base model", 1, 4)
    assert left.seconds() == 6


def test_the_passes_are_those_of_the_contestants() -> None:
    settings = EvaluationSettings((1.0, 0.7))
    assert settings.passes() == (5, 6)
    assert settings.passes(has_wrong_person=True) == (7, 8)
    hybrid = EvaluationSettings((1.0,), contestants=("base", "hybrid", "persona"))
    assert hybrid.passes() == (6, 4)
    assert hybrid.stages == 10
