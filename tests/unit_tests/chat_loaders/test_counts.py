from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

from langchain_chatexports.chat_loaders.counts import (
    Counts,
    ExportSummary,
    Reading,
    read_counted,
    total_of,
)
from langchain_chatexports.steps import ChunkSessions, MergeChatRuns
from tests.unit_tests.builders.sessions import (
    START,
    ListLoader,
    said,
    talk,
)

RACES = [talk("Hare: Speed", "Hare: is key!", "Tortoise: No."), talk("Tortoise: Go!")]


def summary_of(
    sessions: Iterable[Any], reading: Reading | None = None, steps: Any = ()
) -> ExportSummary:
    if reading is None:
        return read_counted(sessions, "races", steps).finish()
    return reading.start(sessions, steps).finish()


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
    assert str(summary_of(ListLoader(RACES).lazy_load(), steps=steps)) == TABLE


def test_table_says_how_local_times_and_dates_were_read() -> None:
    reading = Reading("races")
    reading.details["time_zone"] = ["this machine's (CET)"]
    reading.details["date_orders"] = {"day first (a guess)": 2, "year first": 1}
    lines = str(summary_of(RACES, reading)).splitlines()
    assert lines[4:6] == [
        "zone      this machine's (CET); the export has none",
        "dates     day first (a guess), year first",
    ]


def test_table_says_what_was_left_out_and_who_the_owner_is() -> None:
    reading = Reading("races")
    reading.owner, reading.owner_found_by = "Hare", "profile"
    reading.counts = Counts(found=5000, kept=3766, skipped=Counter(system=1234))
    table = str(summary_of(RACES, reading))
    assert "owner     Hare (by profile)" in table
    assert "messages  5,000 found, 3,766 kept" in table
    assert "          1,234 skipped: system" in table


def test_first_and_last_are_the_outermost_times_of_all_sessions() -> None:
    sessions = [
        {"messages": [said("a", "x", at=50), said("a", "y", at=-50), said("a", "z")]},
        {"messages": [said("a", "x", at=0)]},
    ]
    summary = summary_of(sessions)
    moments = [moment for moment in (summary.first, summary.last) if moment]
    assert [m.timestamp() for m in moments] == [START - 50, START + 50]


@pytest.mark.parametrize("moment", [7 * 10**17, "2023-08-28", None])
def test_what_is_no_unix_time_gives_none(moment: int | str | None) -> None:
    """langchain-community's `message_time` is in nanoseconds since 2001."""
    sessions = [{"messages": [said("a", "x", message_time=moment)]}]
    assert summary_of(sessions).first is None


def test_summary_of_a_stopped_pass_covers_what_was_read() -> None:
    counted = read_counted(RACES, "races", [MergeChatRuns()])
    next(iter(counted))
    summary = counted.summary()
    assert (summary.sessions, summary.kept) == (1, 3)
    assert (summary.steps[0].found, summary.steps[0].kept) == (3, 2)


def test_stages_that_do_not_follow_on_each_other_have_no_total() -> None:
    assert total_of([Counts("a", found=3, kept=3), Counts("b", found=2)]) is None
    assert total_of([Counts("a", "sessions", found=3, kept=3)]) is None
