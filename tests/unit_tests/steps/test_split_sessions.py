from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from langchain_chatexports.steps.split_sessions import SplitSessions
from tests.unit_tests.builders.paces import make_session

HOUR = 3600


def _split(step: SplitSessions, *times: int | None, **replies: Any) -> list[list[int]]:
    session = make_session([*times])
    for message_id, answered in replies.items():
        message = session["messages"][int(message_id[1:])]
        message.additional_kwargs["reply_to"] = answered
    return [
        [int(str(message.content)) for message in part["messages"]]
        for part in step.invoke(session)
    ]


BY_HOUR = SplitSessions(gap=timedelta(hours=1))


def test_auto_gap_splits_a_fast_thread() -> None:
    talk = [start + 20 * i for start in (0, 5 * HOUR, 11 * HOUR) for i in range(30)]
    assert [len(part) for part in _split(SplitSessions(), *talk)] == [30, 30, 30]


def test_auto_gap_keeps_slow_conversations_together() -> None:
    week = 7 * 24 * HOUR
    talk = [start + HOUR * i for start in range(0, 9 * week, week) for i in range(12)]
    assert [len(part) for part in _split(SplitSessions(), *talk)] == [12] * 9


@pytest.mark.parametrize(
    "link", ["m1", {"id": "m1"}, {"message_id": "m1"}, {"guid": "m1"}], ids=repr
)
def test_reply_stays_with_the_answered_message(link: str | dict[str, Any]) -> None:
    assert _split(BY_HOUR, 0, 10, 5 * HOUR, 9 * HOUR, m2=link) == [[0, 1, 2], [3]]


def test_reply_keeps_messages_in_between() -> None:
    parts = _split(BY_HOUR, 0, 5 * HOUR, 9 * HOUR, 14 * HOUR, m2="m0")
    assert parts == [[0, 1, 2], [3]]


def test_reply_to_an_old_message_does_not_join() -> None:
    step = SplitSessions(gap=timedelta(hours=1), reply_within=timedelta(hours=8))
    parts = _split(step, 0, 5 * HOUR, 9 * HOUR, m1="m0", m2="m0")
    assert parts == [[0, 1], [2]]


@given(st.lists(st.integers(0, 10**6), max_size=60))
def test_parts_contain_all_messages(times: list[int]) -> None:
    parts = _split(SplitSessions(gap=timedelta(hours=3)), *sorted(times))
    assert [index for part in parts for index in part] == list(range(len(times)))


def test_session_without_times_is_not_changed() -> None:
    session = make_session([None] * 30, id="thread")
    (part,) = SplitSessions().invoke(session)
    assert part is session


def test_parts_have_ids_and_a_thread_id() -> None:
    parts: list[Any] = BY_HOUR.invoke(
        make_session([0, 5 * HOUR], id="thread", title="t")
    )
    assert [part["metadata"] for part in parts] == [
        {"id": "thread#1", "title": "t", "thread_id": "thread"},
        {"id": "thread#2", "title": "t", "thread_id": "thread"},
    ]


@pytest.mark.parametrize("gap", [timedelta(0), timedelta(minutes=-1), "often"])
def test_invalid_gap_is_refused(gap: timedelta | str) -> None:
    with pytest.raises(ValidationError):
        SplitSessions(gap=gap)
