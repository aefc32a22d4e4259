from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from langchain_core.chat_sessions import ChatSession

from langchain_chatexports.chat_loaders.counts import (
    Counts,
    ExportSummary,
    sum_counts,
)
from langchain_chatexports.chat_loaders.pipe import read_loader
from langchain_chatexports.chat_loaders.reading import Reading
from langchain_chatexports.steps import ChunkSessions, MergeChatRuns, SessionTransform
from tests.unit_tests.builders.sessions import START, ListLoader, said, talk

RACES = [talk("Hare: Speed", "Hare: is key!", "Tortoise: No."), talk("Tortoise: Go!")]


SUMMARY = ExportSummary("races", None, None, 2, {}, None, None, 4, 4, {})


def read(
    sessions: list[ChatSession], steps: Sequence[SessionTransform] = ()
) -> Reading:
    """Start a pass over a loader that does not count."""
    loader = ListLoader(sessions)
    vars(loader)["platform"] = "races"
    return read_loader(loader, steps)


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
ChunkSessions: 2 sessions, 3 messages -> 1 session, 2 messages
          1 skipped: tail"""


def test_summary_prints_as_a_table() -> None:
    steps = [MergeChatRuns(), ChunkSessions(size=2, overlap=0)]
    assert str(read(RACES, steps).inspect()) == TABLE


def test_table_shows_time_zone_and_date_order() -> None:
    details = {
        "time_zone": ["this machine's (CET)"],
        "date_orders": {"day first (a guess)": 2, "year first": 1},
    }
    lines = str(replace(SUMMARY, details=details)).splitlines()
    assert lines[3:5] == [
        "zone      this machine's (CET); the export has none",
        "dates     day first (a guess), year first",
    ]


def test_table_shows_skipped_messages_and_owner() -> None:
    counts: Any = {"found": 5000, "kept": 3766, "skipped": {"system": 1234}}
    table = str(replace(SUMMARY, owner="Hare", owner_found_by="profile", **counts))
    assert "owner     Hare (by profile)" in table
    assert "messages  5,000 found, 3,766 kept" in table
    assert "          1,234 skipped: system" in table


def test_first_and_last_span_all_sessions() -> None:
    sessions: list[ChatSession] = [
        {"messages": [said("a", "x", at=50), said("a", "y", at=-50), said("a", "z")]},
        {"messages": [said("a", "x", at=0)]},
    ]
    summary = read(sessions).inspect()
    moments = [moment for moment in (summary.first, summary.last) if moment]
    assert [m.timestamp() for m in moments] == [START - 50, START + 50]


@pytest.mark.parametrize("moment", [7 * 10**17, "2023-08-28", None])
def test_invalid_message_time_is_ignored(moment: int | str | None) -> None:
    """langchain-community's `message_time` is in nanoseconds since 2001."""
    sessions: list[ChatSession] = [{"messages": [said("a", "x", message_time=moment)]}]
    assert read(sessions).inspect().first is None


def test_partial_pass_has_a_summary() -> None:
    counted = read(RACES, [MergeChatRuns()])
    next(iter(counted))
    summary = counted.summary()
    assert (summary.sessions, summary.kept) == (1, 3)
    assert (summary.steps[0].found, summary.steps[0].kept) == (3, 2)


def test_unrelated_stages_have_no_total() -> None:
    assert sum_counts([Counts("a", found=3, kept=3), Counts("b", found=2)]) is None
    assert sum_counts([Counts("a", "sessions", found=3, kept=3)]) is None
