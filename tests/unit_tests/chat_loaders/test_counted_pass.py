from __future__ import annotations

import weakref
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_chatexports.chat_loaders.counted_pass import CountedPass
from langchain_chatexports.chat_loaders.ledger import Tally
from langchain_chatexports.steps import ChunkSessions, MergeChatRuns
from tests.unit_tests.builders.passes import RACES, summary_of
from tests.unit_tests.builders.sessions import (
    START,
    ListLoader,
    closable,
    numbered,
    said,
    talk,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


def test_senders_are_listed_most_first_then_by_name() -> None:
    sessions = [{"messages": [said(name, "x") for name in "cbbaad"]}]
    assert [*summary_of(sessions).senders.items()] == [
        ("a", 2),
        ("b", 2),
        ("c", 1),
        ("d", 1),
    ]


def test_message_without_a_sender_is_counted_as_unknown() -> None:
    assert summary_of([{"messages": [said(None, "x")]}]).senders == {"unknown": 1}


def test_first_and_last_are_the_outermost_times_of_all_sessions() -> None:
    sessions = [
        {"messages": [said("a", "x", at=50), said("a", "y", at=-50), said("a", "z")]},
        {"messages": [said("a", "x", at=0)]},
    ]
    summary = summary_of(sessions)
    moments = [moment for moment in (summary.first, summary.last) if moment]
    assert [m.timestamp() for m in moments] == [START - 50, START + 50]


def test_times_before_1970_are_times() -> None:
    sessions = [{"messages": [said("a", "x", message_time=-1)]}]
    expected = datetime(1969, 12, 31, 23, 59, 59, tzinfo=timezone.utc)
    assert summary_of(sessions).first == expected


@pytest.mark.parametrize("moment", [7 * 10**17, "2023-08-28", None])
def test_what_is_no_unix_time_gives_none(moment: int | str | None) -> None:
    """langchain-community's `message_time` is in nanoseconds since 2001."""
    sessions = [{"messages": [said("a", "x", message_time=moment)]}]
    assert summary_of(sessions).first is None


def test_export_without_sessions_is_empty() -> None:
    summary = summary_of([])
    assert (summary.sessions, summary.found, summary.kept) == (0, 0, 0)
    assert (summary.first, summary.last, summary.senders) == (None, None, {})


def test_session_without_messages_counts_as_a_session() -> None:
    assert summary_of([{}]).sessions == 1


def test_details_of_the_tally_are_copied() -> None:
    tally = Tally()
    tally.details["files"] = 3
    summary = summary_of(RACES, tally)
    tally.details["files"] = 4
    assert summary.details == {"files": 3}


@settings(deadline=None)
@given(st.lists(st.integers(0, 30), max_size=5), st.booleans())
def test_step_rows_agree_with_what_the_steps_give(
    lengths: list[int], keep_tail: bool
) -> None:
    sessions = [numbered(length) for length in lengths]
    steps = (MergeChatRuns(), ChunkSessions(size=5, overlap=1, keep_tail=keep_tail))
    summary = summary_of(sessions, steps=steps)
    current = sessions
    for step, row in zip(steps, summary.steps, strict=True):
        output = step.invoke(current)
        assert (row.sessions_in, row.sessions_out) == (len(current), len(output))
        assert row.messages_in == sum(len(s["messages"]) for s in current)
        assert row.messages_out == sum(len(s["messages"]) for s in output)
        current = output


def test_counted_pass_gives_what_the_steps_give() -> None:
    steps = (MergeChatRuns(), ChunkSessions(size=2, overlap=0))
    counted = CountedPass(RACES, platform="races", tally=None, steps=steps)
    assert list(counted) == (steps[0] | steps[1]).invoke(RACES)


def test_pipeline_is_counted_step_by_step() -> None:
    steps = MergeChatRuns() | ChunkSessions(size=2, overlap=0)
    summary = summary_of(RACES, steps=[steps])
    assert summary == summary_of(RACES, steps=steps.flattened())
    assert len(summary.steps) == 2


def test_summary_of_a_stopped_pass_covers_what_was_read() -> None:
    counted = CountedPass(RACES, platform="races", tally=None, steps=[MergeChatRuns()])
    next(iter(counted))
    summary = counted.summary()
    assert (summary.sessions, summary.kept) == (1, 3)
    assert (summary.steps[0].messages_in, summary.steps[0].messages_out) == (3, 2)


def test_stopped_pass_closes_the_loader() -> None:
    loader = ListLoader(RACES)
    sessions = iter(
        CountedPass(
            loader.lazy_load(),
            platform="races",
            tally=None,
            steps=[MergeChatRuns(), ChunkSessions(size=2, overlap=0)],
        )
    )
    next(sessions)
    closable(sessions).close()
    assert loader.closed == 1


def test_counted_pass_forgets_sessions() -> None:
    refs = []

    def sessions() -> Iterator[Any]:
        for _ in range(3):
            session = talk("Hare: Speed", "Hare: is key!")
            refs.append(weakref.ref(session["messages"][0]))
            yield session
            del session
            assert refs[-1]() is None

    assert summary_of(sessions(), steps=[MergeChatRuns()]).sessions == 3
