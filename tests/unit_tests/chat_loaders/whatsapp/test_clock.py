"""Local times in UTC, across changes of the clock."""

from __future__ import annotations

import os
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import pytest

from langchain_chatexports.chat_loaders.whatsapp.clock import (
    Clock,
    HourSeconds,
    PartSeconds,
    find_time_zone,
    name_of_zone,
)
from langchain_chatexports.chat_loaders.whatsapp.day_periods import add_to_hour

if TYPE_CHECKING:
    from collections.abc import Iterator

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - local
BERLIN = find_time_zone("Europe/Berlin")


def in_utc(clock: Clock, text: str) -> str:
    local = datetime.fromisoformat(text)
    seconds = clock.utc(int((local - EPOCH).total_seconds()))
    assert seconds is not None
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%d %H:%M}"


@pytest.fixture
def machine_in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if not hasattr(time, "tzset"):
        pytest.skip("needs time.tzset (POSIX)")
    monkeypatch.setitem(os.environ, "TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def check_year(clock: Clock) -> None:
    assert in_utc(clock, "2022-03-26 12:00") == "2022-03-26 11:00"
    # The hour that is left out is moved on by it.
    assert in_utc(clock, "2022-03-27 02:30") == "2022-03-27 01:30"
    assert in_utc(clock, "2022-07-01 12:00") == "2022-07-01 10:00"
    # The hour that comes twice: the first one until the clock steps back.
    assert in_utc(clock, "2022-10-30 02:10") == "2022-10-30 00:10"
    assert in_utc(clock, "2022-10-30 02:58") == "2022-10-30 00:58"
    assert in_utc(clock, "2022-10-30 02:05") == "2022-10-30 01:05"
    assert in_utc(clock, "2022-10-30 02:59") == "2022-10-30 01:59"
    assert in_utc(clock, "2022-10-30 03:00") == "2022-10-30 02:00"


def test_times_of_a_named_zone() -> None:
    check_year(Clock(BERLIN))


@pytest.mark.usefixtures("machine_in_berlin")
def test_times_of_this_machine() -> None:
    check_year(Clock(None))


def test_two_swapped_messages_are_no_change_of_the_clock() -> None:
    clock = Clock(BERLIN)
    assert in_utc(clock, "2022-10-30 02:11") == "2022-10-30 00:11"
    assert in_utc(clock, "2022-10-30 02:10") == "2022-10-30 00:10"


def test_the_next_year_begins_with_the_first_hour_again() -> None:
    clock = Clock(BERLIN)
    for stamp in ("2022-10-30 02:50", "2022-10-30 02:10", "2022-10-30 12:00"):
        in_utc(clock, stamp)
    assert in_utc(clock, "2023-10-29 02:10") == "2023-10-29 00:10"


def test_zone_with_a_change_within_an_hour() -> None:
    # Lord Howe moves its clock by half an hour, Newfoundland did so at 0:01.
    clock = Clock(find_time_zone("Australia/Lord_Howe"))
    assert in_utc(clock, "2022-04-03 01:20") == "2022-04-02 14:20"
    assert in_utc(clock, "2022-04-03 01:40") == "2022-04-02 14:40"
    assert in_utc(clock, "2022-04-03 02:40") == "2022-04-02 16:10"


def test_a_year_that_cannot_be_converted_has_no_time() -> None:
    assert Clock(BERLIN).utc(10**12) is None


def test_an_unknown_zone_is_an_error_that_says_what_to_give() -> None:
    with pytest.raises(ValueError, match="Europe/Berlin"):
        find_time_zone("Berlin")


def test_zones_have_names() -> None:
    assert name_of_zone(BERLIN) == "Europe/Berlin"
    assert name_of_zone(timezone.utc) == "UTC"
    assert name_of_zone(None).startswith("this machine's")


@pytest.mark.parametrize(
    ("hour", "word", "expected"),
    [
        (12, "AM", 0),
        (12, "PM", 12),
        (1, "下午", 13),
        (12, "오후 ", 12),
        (12, "凌晨", 0),
        (12, "中午", 12),
        (7, "晚上", 19),
        (6, "清晨", 6),
        (8, "早上", 8),
        (2, " p. m.", 14),
        (2, "\u202fp.m.", 14),
        (2, "_pm", 14),
        (2, "ÖS", 14),
        (2, "Ö.S.", 14),
        (2, "م", 14),
        (2, "ب.ظ.", 14),
        (2, "μ.μ.", 14),
        (2, "ap.", 2),
        (2, "ip.", 14),
        (2, "dop.", 2),
        (2, "odp.", 14),
        (2, "du.", 14),
        (2, "nm.", 14),
        (2, "PTG", 14),
        (2, "CH", 14),
        (14, "PM", 14),
        (24, "PM", None),
        (2, "o'clock", None),
    ],
)
def test_words_of_the_12_hour_clock(hour: int, word: str, expected: int | None) -> None:
    assert add_to_hour(hour, word) == expected


def test_parts_of_a_time() -> None:
    hours, minutes = HourSeconds(has_period=False), PartSeconds(60)
    assert hours["23"] + minutes["59"] == 86_340
    assert hours["٩"] + minutes["٠٥"] == 9 * 3600 + 300
    assert hours["24"] == 0  # Some locales begin the day with it.
    assert hours["25"] + minutes["59"] < 0
    assert hours["0"] + minutes["60"] < 0
    assert HourSeconds(has_period=True)["2"] < 0
