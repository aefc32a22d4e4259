from __future__ import annotations

import weakref
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports.chat_loaders.counted_pass import CountedPass
from langchain_chatexports.chat_loaders.ledger import (
    ExportSummary,
    StepSummary,
    Tally,
    add_summaries,
)
from langchain_chatexports.steps import ChunkSessions, MergeChatRuns
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

RACES = [talk("Hare: Speed", "Hare: is key!", "Tortoise: No."), talk("Tortoise: Go!")]


def summary_of(
    sessions: list[Any] | Iterator[Any],
    tally: Tally | None = None,
    steps: Any = (),
) -> ExportSummary:
    counted = CountedPass(sessions, platform="races", tally=tally, steps=steps)
    for session in counted:
        del session
    return counted.summary()


def test_skip_adds_up_by_reason() -> None:
    tally = Tally()
    tally.skip("empty")
    tally.skip("system", 3)
    tally.skip("empty", 2)
    assert tally.skipped == {"empty": 3, "system": 3}


def test_skip_of_nothing_names_no_reason() -> None:
    tally = Tally()
    tally.skip("empty", 0)
    assert not tally.skipped


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


TABLE = """\
platform  races
owner     not found
sessions  2
time      2023-08-28 to 2023-08-28 (UTC)
messages  4 found, 4 kept
senders          2  Hare
                 2  Tortoise
MergeChatRuns: 2 sessions, 4 messages -> 2 sessions, 3 messages
          1 merged
ChunkSessions: 2 sessions, 3 messages -> 1 sessions, 2 messages
          1 left out: tail"""


def test_summary_prints_as_a_table() -> None:
    steps = [MergeChatRuns(), ChunkSessions(size=2, overlap=0)]
    assert str(summary_of(ListLoader(RACES).lazy_load(), steps=steps)) == TABLE


def test_table_says_what_was_left_out_and_who_the_owner_is() -> None:
    tally = Tally()
    tally.found, tally.owner, tally.owner_found_by = 5000, "Hare", "profile"
    tally.skip("system", 1234)
    table = str(summary_of(RACES, tally))
    assert "owner     Hare (by profile)" in table
    assert "messages  5,000 found, 4 kept" in table
    assert "          1,234 left out: system" in table


def test_long_lists_of_senders_are_cut_in_the_table() -> None:
    sessions = [{"messages": [said(f"s{n:02}", "x") for n in range(25)]}]
    table = str(summary_of(sessions))
    assert "s19" in table
    assert "s20" not in table
    assert "5  more senders" in table


def test_summaries_add_up() -> None:
    step = StepSummary("ChunkSessions", 2, 3, 7, 9, {"short": 1}, {"repeated": 3})
    one = ExportSummary(
        platform="imessage",
        owner="Ann",
        owner_found_by="is_from_me",
        sessions=2,
        senders={"Ann": 4, "Bo": 3},
        first=datetime(2020, 1, 2, tzinfo=timezone.utc),
        last=datetime(2020, 1, 3, tzinfo=timezone.utc),
        found=10,
        kept=7,
        skipped={"empty": 1, "system": 2},
        steps=(step,),
        details={"files": 1, "services": {"SMS": 7}, "owner_addresses": ["b"]},
    )
    other = replace(
        one,
        platform="facebook_messenger",
        owner_found_by="option",
        senders={"Bo": 7},
        first=None,
        last=datetime(2021, 1, 3, tzinfo=timezone.utc),
        skipped={"empty": 3},
        details={"files": 2, "services": {"RCS": 1}, "owner_addresses": ["a", "b"]},
    )

    assert add_summaries([one, other]) == ExportSummary(
        platform="several",
        owner="Ann",
        owner_found_by=None,
        sessions=4,
        senders={"Bo": 10, "Ann": 4},
        first=one.first,
        last=other.last,
        found=20,
        kept=14,
        skipped={"empty": 4, "system": 2},
        steps=(
            StepSummary("ChunkSessions", 4, 6, 14, 18, {"short": 2}, {"repeated": 6}),
        ),
        details={
            "files": 3,
            "services": {"RCS": 1, "SMS": 7},
            "owner_addresses": ["a", "b"],
        },
    )


def test_summaries_of_other_steps_are_not_added_up() -> None:
    with pytest.raises(ValueError, match="same steps"):
        add_summaries([summary_of(RACES), summary_of(RACES, None, [MergeChatRuns()])])


def test_no_summary_is_no_sum() -> None:
    with pytest.raises(ValueError, match="no summary"):
        add_summaries([])
