"""Local times in UTC, across changes of the clock."""

from datetime import datetime, timezone

import pytest

from langchain_chatexports.chat_loaders.local_times import LocalClock, find_time_zone

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - local
BERLIN = find_time_zone("Europe/Berlin")


def in_utc(clock: LocalClock, text: str) -> str:
    local = datetime.fromisoformat(text)
    seconds = clock.utc(int((local - EPOCH).total_seconds()))
    assert seconds is not None
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%d %H:%M}"


def check_year(clock: LocalClock) -> None:
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
    check_year(LocalClock(BERLIN))


@pytest.mark.usefixtures("machine_in_berlin")
def test_times_of_this_machine() -> None:
    check_year(LocalClock(None))


def test_two_swapped_messages_are_no_change_of_the_clock() -> None:
    clock = LocalClock(BERLIN)
    assert in_utc(clock, "2022-10-30 02:11") == "2022-10-30 00:11"
    assert in_utc(clock, "2022-10-30 02:10") == "2022-10-30 00:10"


def test_zone_with_a_change_within_an_hour() -> None:
    # Lord Howe moves its clock by half an hour, Newfoundland did so at 0:01.
    clock = LocalClock(find_time_zone("Australia/Lord_Howe"))
    assert in_utc(clock, "2022-04-03 01:20") == "2022-04-02 14:20"
    assert in_utc(clock, "2022-04-03 01:40") == "2022-04-02 14:40"
    assert in_utc(clock, "2022-04-03 02:40") == "2022-04-02 16:10"


def test_a_year_that_cannot_be_converted_has_no_time() -> None:
    assert LocalClock(BERLIN).utc(10**12) is None


def test_an_unknown_zone_is_an_error_that_says_what_to_give() -> None:
    with pytest.raises(ValueError, match="Europe/Berlin"):
        find_time_zone("Berlin")
