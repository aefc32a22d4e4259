from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import pytest

from langchain_chatexports.chat_loaders.ledger import (
    ExportSummary,
    Ledger,
    Stage,
    StepSummary,
    Tally,
    Total,
    add_summaries,
)
from langchain_chatexports.steps import ChunkSessions, MergeChatRuns
from tests.unit_tests.builders.passes import RACES, summary_of
from tests.unit_tests.builders.sessions import (
    ListLoader,
    said,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def test_stages_stand_in_the_order_in_which_data_passed() -> None:
    """In a chain of generators the last one begins first."""
    ledger = Ledger()

    def dropping(name: str, numbers: Iterable[int], dropped: int) -> Iterator[int]:
        stage = Stage(name)
        with ledger.entering(stage):
            for number in numbers:
                stage.taken += 1
                if number == dropped:
                    stage.leave_out(name)
                    continue
                stage.given += 1
                yield number

    assert list(dropping("b", dropping("a", range(5), 1), 2)) == [0, 3, 4]
    assert [(s.name, s.taken, s.given) for s in ledger.stages] == [
        ("a", 5, 4),
        ("b", 4, 3),
    ]
    assert ledger.total == Total(5, 3, {"a": 1, "b": 1}, {}, is_of_export=False)


def test_a_stage_is_entered_after_an_error() -> None:
    ledger, stage = Ledger(), Stage("a")
    with pytest.raises(ZeroDivisionError), ledger.entering(stage):
        stage.taken += 1 // 0
    assert ledger.stages == [stage]


def test_stages_of_one_name_and_unit_are_added_up() -> None:
    ledger = Ledger(
        [
            Stage("a", taken=3, given=2, left_out=Counter(x=1)),
            Stage("a", "sessions", taken=9, given=9),
            Stage("a", taken=1, given=3, added=Counter(y=2)),
        ]
    )
    both = Stage("a", taken=4, given=5, left_out=Counter(x=1), added=Counter(y=2))
    assert ledger.stage("a") == both
    assert both.adds_up
    assert ledger.stage("b") == Stage("b")


def test_stages_that_do_not_follow_on_each_other_have_no_total() -> None:
    assert Ledger([Stage("a", taken=3, given=3), Stage("b", taken=2)]).total is None
    assert Ledger([Stage("a", "sessions", taken=3, given=3)]).total is None


def test_a_stage_prints_as_a_line() -> None:
    stage = Stage(
        "a", "rows", 1000, 999, left_out=Counter(y=2), added=Counter({"x": 1})
    )
    assert str(stage) == "a: 1,000 rows -> 999; 1 added: x; 2 left out: y"
    assert Stage.from_dict(stage.to_dict()) == stage


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
          1 left out: tail"""


def test_summary_prints_as_a_table() -> None:
    steps = [MergeChatRuns(), ChunkSessions(size=2, overlap=0)]
    assert str(summary_of(ListLoader(RACES).lazy_load(), steps=steps)) == TABLE


def test_table_says_how_local_times_and_dates_were_read() -> None:
    tally = Tally()
    tally.details["time_zone"] = ["this machine's (CET)"]
    tally.details["date_orders"] = {"day first (a guess)": 2, "year first": 1}
    lines = str(summary_of(RACES, tally)).splitlines()
    assert lines[4:6] == [
        "zone      this machine's (CET); the export has none",
        "dates     day first (a guess), year first",
    ]


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
