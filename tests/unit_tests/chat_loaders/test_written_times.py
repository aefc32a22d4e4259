"""The formats of times in tables."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports.chat_loaders.local_times import LocalClock, find_time_zone
from langchain_chatexports.chat_loaders.written_times import parse_time

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
SECONDS = int(NOON.timestamp())


def parse(value: str, order: str | None = None) -> int | None:
    return parse_time(value, LocalClock(UTC), order)


@pytest.mark.parametrize(
    ("value", "order"),
    [
        *((f"{SECONDS}{end}", None) for end in ("", ".0", "000", "0" * 6, "0" * 9)),
        *(("2024-05-01T12:00:00Z", None), ("2024-05-01 12:00:00", None)),
        *(("2024-05-01T14:00:00+02:00", None), ("2024-05-01 12:00:00 UTC", None)),
        *(("2024-05-01T14:00:00.0000000+0200", None), ("2024-05-01 12:00:00+00", None)),
        *(("45413.5", None), ("45413.500001", None)),  # Excel's.
        *(("01.05.2024 12:00", "dmy"), ("1.5.2024 12:00:00", "dmy")),
        *(("1. 5. 2024 12:00", None), ("01.05.24, 12:00", "dmy")),
        *(("01/05/2024 12:00:00.000", "dmy"), ("01-05-2024 12.00", "dmy")),
        *(("5/1/2024 12:00 PM", "mdy"), ("5/1/24 12:00 p.m.", "mdy")),
        *(("5/1/2024, 12:00:00\u202fPM", "mdy"), ("05/01/2024T12:00:00Z", "mdy")),
        *(("5/1/2024 2:00 PM +02:00", "mdy"), ("2024/05/01 12:00", "mdy")),
    ],
)
def test_time_formats_are_parsed(value: str, order: str | None) -> None:
    assert parse(value, order) == SECONDS * 1_000_000


@pytest.mark.parametrize("value", ["5/1/2024 12:00 AM", "45413", "2024-05-01"])
def test_midnight_is_parsed(value: str) -> None:
    midnight = NOON - timedelta(hours=12)
    assert parse(value, "mdy") == int(midnight.timestamp()) * 1_000_000


@pytest.mark.parametrize(
    "value",
    [
        *("", "soon", "true", "nan", "inf", "31/13/24", "31/02/2024", "1/13/2024"),
        *("1.2.3", "1/2-2024", "2024/1/2024", "1.2.345"),
        *("5/1/2024 13:00 PM", "5/1/2024 0:30 AM", "5/1/2024 25:00", "5/1/2024 12:60"),
        *("5/1/2024 12:00 XM", "5/1/2024 12", "5/1/2024 12:00 and more"),
        *("9" * 40, "9" * 5_000, "9" * 90 + ".5", "9999-99-99T99:99:99+99:99"),
        *("2024-01-01T00:00:00+99:99", "0001-01-01T00:00:00+99:99", "1 " * 100_000),
        # Ambiguous: CST is in America and in China.
        "2024-05-01 12:00:00 CST",
    ],
    ids=lambda value: repr(value)[:30],
)
def test_invalid_times_are_none(value: str) -> None:
    assert parse(value) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *(("2024-05-01 14:00", SECONDS), ("01.05.2024 14:00", SECONDS)),
        # Excel's days have no time zone.
        *(("45413.5833333333", SECONDS), ("2024-05-01 12:00Z", SECONDS)),
        (str(SECONDS), SECONDS),
        # The skipped hour in spring, and the repeated one in autumn.
        *(("2022-03-27 02:30", 1648344600), ("2022-10-30 02:30", 1667089800)),
    ],
)
def test_times_without_zone_use_the_clock(value: str, expected: int) -> None:
    clock = LocalClock(find_time_zone("Europe/Berlin"))
    assert parse_time(value, clock) == expected * 1_000_000
    assert clock.is_used is (value not in {str(SECONDS), "2024-05-01 12:00Z"})


def test_fractions_are_kept() -> None:
    assert parse("2024-05-01T12:00:00.25Z") == SECONDS * 1_000_000 + 250_000
    assert parse(f"{SECONDS}.5") == SECONDS * 1_000_000 + 500_000


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (10**11 - 1, (10**11 - 1) * 1_000_000),
        (10**11, 10**11 * 1000),
        (10**14 - 1, (10**14 - 1) * 1000),
        (10**14, 10**14),
        (10**17 - 1, 10**17 - 1),
        (10**17, 10**14),
    ],
)
def test_unit_of_number_is_found_by_size(number: int, expected: int) -> None:
    assert parse(str(number)) == expected


@given(
    st.one_of(
        st.text(max_size=40),
        st.floats().map(str),
        st.integers().map(str),
        st.text(st.sampled_from("0123456789-:TZ+./ PM"), max_size=30),
        st.from_regex(r"\d{1,4}([./-])\d{1,4}\1\d{1,4} \d+:\d+( [AP]M)?"),
    )
)
def test_any_value_is_a_time_or_none(value: Any) -> None:
    assert isinstance(parse(value), (int, type(None)))
