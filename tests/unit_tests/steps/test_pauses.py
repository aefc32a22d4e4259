"""The automatic gap on threads with known conversations."""

import random
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage

from langchain_chatexports.steps.pauses import (
    MAX_GAP_SECONDS,
    MIN_GAP_SECONDS,
    automatic_gap,
    pauses_before,
)
from tests.unit_tests.builders.paces import PACES, make_thread


@pytest.mark.parametrize("name", PACES)
def test_automatic_gap_finds_conversations(name: str) -> None:
    correct = found = expected = 0
    rng = random.Random(11)
    for _ in range(4):
        thread = make_thread(PACES[name], rng, conversations=60)
        pauses = [after - before for before, after in pairwise(thread.times)]
        gap = automatic_gap(pauses)
        borders = {i for i, pause in enumerate(pauses, 1) if pause > gap}
        correct += len(borders & set(thread.borders))
        found += len(borders)
        expected += len(thread.borders)
    assert 2 * correct / (found + expected) > 0.9  # The F1 score.


@given(st.lists(st.floats(0, 1e10)))
def test_automatic_gap_is_within_bounds(pauses: list[float]) -> None:
    assert MIN_GAP_SECONDS <= automatic_gap(pauses) <= MAX_GAP_SECONDS


def _message(time: int | None, *events: str | None) -> HumanMessage:
    kwargs: dict[str, Any] = {"events": [{"message_time": event} for event in events]}
    if time is not None:
        kwargs["message_time"] = time
    return HumanMessage(content="", additional_kwargs=kwargs)


def test_pause_begins_at_the_last_event() -> None:
    merged = _message(0, "1970-01-01T00:00:00+00:00", "1970-01-01T00:10:00+00:00")
    assert pauses_before([merged, _message(700)]) == [None, 100]


def test_messages_without_a_time_are_ignored() -> None:
    times = [None, 10, None, 50]
    assert pauses_before([_message(t) for t in times]) == [None, None, None, 40]


FUTURE = 2**31  # A phone without a clock: January 2038.
DAY = 86_400


@pytest.mark.parametrize("in_future", [1, 4])
def test_future_message_does_not_affect_later_pauses(in_future: int) -> None:
    times = [0, 60, *[FUTURE] * in_future, 120, 180, DAY, DAY + 60, 3 * DAY]
    pauses = pauses_before([_message(t) for t in times])
    assert pauses[2 + in_future :] == [0, 0, DAY - 180, 60, 2 * DAY - 60]


def test_future_event_does_not_affect_later_pauses() -> None:
    merged = _message(0, "1970-01-01T00:00:00+00:00", "2038-01-01T00:00:00+00:00")
    others = [_message(t) for t in (60, 120, 180, DAY)]
    assert pauses_before([_message(0), merged, *others])[2:] == [0, 0, 60, DAY - 180]
