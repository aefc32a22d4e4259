"""Times in the forms that tables have them."""

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports.chat_loaders.local_times import LocalClock, find_time_zone
from langchain_chatexports.chat_loaders.table.times import microseconds

NOON = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)
SECONDS = int(NOON.timestamp())


def microseconds_of(value: str, order: str | None = None) -> int | None:
    return microseconds(value, LocalClock(timezone.utc), order)


@pytest.mark.parametrize(
    "value",
    [
        *(f"{SECONDS}", f"{SECONDS}.0", f"{SECONDS}000", f"{SECONDS}000000"),
        *(f"{SECONDS}000000000", "2024-05-01T12:00:00Z", "2024-05-01 12:00:00"),
        *("2024-05-01T14:00:00+02:00", "2024-05-01T14:00:00.0000000+0200"),
        *("2024-05-01 12:00:00 UTC", "2024-05-01 12:00:00.0", "2024-05-01 12:00:00+00"),
        "Wed, 01 May 2024 14:00:00 +0200",
        "1 May 2024 12:00 GMT",
        "Wed May 01 14:00:00 +0200 2024",
        *("20240501T120000Z", "20240501T140000.000+0200", "20240501120000"),
        *("45413.5", "45413.500001"),  # Excel's.
        *("May 1, 2024 12:00 PM", "May 1st 2024, 12:00", "Wednesday, 1 May 2024 12:00"),
        *("1-May-2024 12:00:00", "1. May 2024 12:00", "May 1, 2024 at 12:00:00 PM UTC"),
        # JavaScript's, with the zone's name in the browser's language.
        "Wed May 01 2024 14:00:00 GMT+0200 (CEST)",
        "Wed May 01 2024 14:00:00 GMT+0200 (Central European Summer Time)",
        # RFC 2822's comment and missing day of the week; Go's name of the zone.
        *("Wed, 1 May 2024 14:00:00 +0200 (CEST)", "1 May 2024 12:00:00 -0000"),
        *("2024-05-01 14:00:00.000 +0200 CEST", "2024-05-01T12:00:00.000Z"),
        *("Wed May  1 12:00:00 2024", "Wed May 1 12:00:00 UTC 2024"),
    ],
)
def test_a_moment_is_read_in_any_form(value: str) -> None:
    assert microseconds_of(value) == SECONDS * 1_000_000


@pytest.mark.parametrize("value", ["5/1/2024 12:00 AM", "45413", "2024-05-01"])
def test_midnight_is_read(value: str) -> None:
    midnight = NOON - timedelta(hours=12)
    assert microseconds_of(value, "mdy") == int(midnight.timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("value", "order"),
    [
        *(("01.05.2024 12:00", "dmy"), ("1.5.2024 12:00:00", "dmy")),
        *(("1. 5. 2024 12:00", None), ("01.05.24, 12:00", "dmy")),
        *(("01/05/2024 12:00:00.000", "dmy"), ("01-05-2024 12.00", "dmy")),
        *(("5/1/2024 12:00 PM", "mdy"), ("5/1/24 12:00 p.m.", "mdy")),
        *(("5/1/2024, 12:00:00\u202fPM", "mdy"), ("05/01/2024T12:00:00Z", "mdy")),
        *(("5/1/2024 2:00 PM +02:00", "mdy"), ("2024/05/01 12:00", "mdy")),
        ("2024.5.1 12:00:00", "dmy"),
    ],
)
def test_a_date_of_a_spreadsheet_is_read(value: str, order: str | None) -> None:
    assert microseconds_of(value, order) == SECONDS * 1_000_000


@pytest.mark.parametrize(
    ("value", "hour"),
    [("12:30 AM", 0), ("1:30 am", 1), ("12:30 PM", 12), ("1:30 PM", 13)],
)
def test_hours_of_the_12_hour_clock(value: str, hour: int) -> None:
    found = microseconds_of(f"5/1/2024 {value}", "mdy")
    assert found == (SECONDS + (hour - 12) * 3600 + 1800) * 1_000_000


@pytest.mark.parametrize(
    "value",
    [
        *("", "soon", "true", "nan", "inf", "31/13/24", "31/02/2024", "1/13/2024"),
        *("1.2.3", "1/2-2024", "2024/1/2024", "1.2.345"),
        *("5/1/2024 13:00 PM", "5/1/2024 0:30 AM", "5/1/2024 25:00", "5/1/2024 12:60"),
        *("5/1/2024 12:00 XM", "5/1/2024 12", "5/1/2024 12:00 and more"),
        *("20241399", "9" * 40, "9" * 5_000, "9" * 90 + ".5"),
        "9999-99-99T99:99:99+99:99",
        *("2024-01-01T00:00:00+99:99", "0001-01-01T00:00:00+99:99", "1 " * 100_000),
        "Mon, 01 Jan 99999999999 00:00:00 +0000",
        *("May 1, 2024 14:00 PM", "May 32, 2024 10:00", "Mayor 1, 2024 10:00"),
        # CST, for example, is in America and in China.
        *("Wed, 1 May 2024 12:00:00 CST", "1 May 2024 12:00:00 CEST"),
        *("1. Mai 2024 12:00", "May 2024", "1 May 24"),
        "Mon, 01 Jan 2024 00:00:00 +99999999999999",
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_is_no_time_is_none(value: str) -> None:
    assert microseconds_of(value) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *(("2024-05-01 14:00", SECONDS), ("01.05.2024 14:00", SECONDS)),
        # Excel's days are a clock's, without a zone.
        *(("45413.5833333333", SECONDS), ("2024-05-01 12:00Z", SECONDS)),
        (str(SECONDS), SECONDS),
        # Skipped in spring: moved on. Twice in autumn: the first.
        *(("2022-03-27 02:30", 1648344600), ("2022-10-30 02:30", 1667089800)),
    ],
)
def test_a_time_without_a_zone_is_of_the_zone_given(value: str, expected: int) -> None:
    clock = LocalClock(find_time_zone("Europe/Berlin"))
    assert microseconds(value, clock) == expected * 1_000_000
    assert clock.is_used is (value not in {str(SECONDS), "2024-05-01 12:00Z"})


def test_fractions_are_kept() -> None:
    assert microseconds_of("2024-05-01T12:00:00.25Z") == SECONDS * 1_000_000 + 250_000
    assert microseconds_of(f"{SECONDS}.5") == SECONDS * 1_000_000 + 500_000


@pytest.mark.parametrize(
    ("number", "microseconds"),
    [
        (10**11 - 1, (10**11 - 1) * 1_000_000),
        (10**11, 10**11 * 1000),
        (10**14 - 1, (10**14 - 1) * 1000),
        (10**14, 10**14),
        (10**17 - 1, 10**17 - 1),
        (10**17, 10**14),
    ],
)
def test_the_size_of_a_number_shows_its_unit(number: int, microseconds: int) -> None:
    assert microseconds_of(str(number)) == microseconds


@given(
    st.one_of(
        st.text(max_size=40),
        st.floats().map(str),
        st.integers().map(str),
        st.text(st.sampled_from("0123456789-:TZ+./ PM"), max_size=30),
        st.from_regex(r"\d{1,4}([./-])\d{1,4}\1\d{1,4} \d+:\d+( [AP]M)?"),
        st.from_regex(r"[A-Z][a-z]{2}, \d{1,30} [A-Z][a-z]{2} \d+ \d+:\d+:\d+ [+-]\d+"),
    )
)
def test_any_value_is_a_time_or_none(value: Any) -> None:
    assert isinstance(microseconds_of(value), (int, type(None)))
