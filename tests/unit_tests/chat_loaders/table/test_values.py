"""Times and ids in the forms that tables have them."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports.chat_loaders.local_times import find_time_zone
from langchain_chatexports.chat_loaders.table.values import TimeReader, text_of

if TYPE_CHECKING:
    from typing import Any


NOON = datetime(2024, 5, 1, 12, 0, tzinfo=timezone.utc)
SECONDS = int(NOON.timestamp())


def microseconds_of(value: Any, order: str | None = None) -> int | None:
    return TimeReader(date_order=order).microseconds(value)


@pytest.mark.parametrize(
    "value",
    [
        SECONDS,
        float(SECONDS),
        SECONDS * 1000,
        SECONDS * 1_000_000,
        SECONDS * 1_000_000_000,
        str(SECONDS),
        "2024-05-01T12:00:00Z",
        "2024-05-01 12:00:00",
        "2024-05-01T14:00:00+02:00",
        "2024-05-01T14:00:00.0000000+0200",
        "2024-05-01 12:00:00 UTC",
        "2024-05-01 12:00:00.0",
        "Wed, 01 May 2024 14:00:00 +0200",
        "Wed May 01 12:00:00 +0000 2024",
        "Wed May 01 2024 14:00:00 GMT+0200 (Central European Summer Time)",
        "May 1, 2024 12:00 PM",
        "Wednesday, May 1, 2024 12:00:00 p.m.",
        "20240501T120000Z",
        "20240501T140000.000+0200",
        "20240501120000",
        20240501120000,
        NOON,
        NOON.astimezone(timezone(timedelta(hours=-5))),
        datetime(2024, 5, 1, 12),  # noqa: DTZ001 - without a zone it is UTC
    ],
    ids=repr,
)
def test_a_moment_is_read_in_any_form(value: Any) -> None:
    assert microseconds_of(value) == SECONDS * 1_000_000


@pytest.mark.parametrize(
    "value",
    ["20240501", 20240501, "May 1, 2024 12:00 AM", "1 May 2024 12:00 am"],
)
def test_midnight_is_read(value: Any) -> None:
    midnight = NOON - timedelta(hours=12)
    assert microseconds_of(value) == int(midnight.timestamp()) * 1_000_000


@pytest.mark.parametrize("value", [20241399, "20241399"])
def test_a_number_that_is_no_day_is_a_number(value: Any) -> None:
    assert microseconds_of(value) == 20241399 * 1_000_000


@pytest.mark.parametrize(
    ("value", "order"),
    [
        ("01.05.2024 12:00", "dmy"),
        ("1.5.2024 12:00:00", "dmy"),
        ("1. 5. 2024 12:00", None),
        ("01.05.24, 12:00", "dmy"),
        ("01/05/2024 12:00:00.000", "dmy"),
        ("01-05-2024 12.00", "dmy"),
        ("5/1/2024 12:00 PM", "mdy"),
        ("5/1/24 12:00 p.m.", "mdy"),
        ("5/1/2024, 12:00:00\u202fPM", "mdy"),
        ("05/01/2024T12:00:00Z", "mdy"),
        ("5/1/2024 2:00 PM +02:00", "mdy"),
        ("2024/05/01 12:00", "mdy"),
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
        *("13:00 PM", "0:30 AM", "25:00", "12:60"),
        *("12:00 XM", "12", "12:00 and more"),
    ],
)
def test_a_spreadsheets_date_with_an_impossible_time_is_none(value: str) -> None:
    assert microseconds_of(f"5/1/2024 {value}", "mdy") is None


@pytest.mark.parametrize(
    "value", ["31/02/2024", "1/13/2024", "1.2.3", "1/2-2024", "2024/1/2024", "1.2.345"]
)
def test_a_date_that_is_none_in_the_order_is_none(value: str) -> None:
    assert microseconds_of(value, "dmy") is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2024-05-01 14:00", SECONDS),
        ("01.05.2024 14:00", SECONDS),
        (datetime(2024, 5, 1, 14), SECONDS),  # noqa: DTZ001 - the reader's zone
        ("2024-05-01 12:00Z", SECONDS),
        (SECONDS, SECONDS),
        # Left out in spring: moved on. Twice in autumn: the first.
        ("2022-03-27 02:30", 1648344600),
        ("2022-10-30 02:30", 1667089800),
    ],
)
def test_a_time_without_a_zone_is_of_the_zone_given(value: Any, expected: int) -> None:
    reader = TimeReader(find_time_zone("Europe/Berlin"))
    assert reader.microseconds(value) == expected * 1_000_000
    assert reader.used_zone is (value not in {SECONDS, "2024-05-01 12:00Z"})


def test_fractions_are_kept() -> None:
    assert microseconds_of("2024-05-01T12:00:00.25Z") == SECONDS * 1_000_000 + 250_000
    assert microseconds_of(SECONDS + 0.5) == SECONDS * 1_000_000 + 500_000


def test_a_date_is_its_midnight_in_utc() -> None:
    assert microseconds_of(date(2024, 5, 1)) == (SECONDS - 43_200) * 1_000_000


@pytest.mark.parametrize(
    "value",
    [None, "", "soon", True, float("nan"), float("inf"), [], {}, b"x", "31/13/24"],
)
def test_what_is_no_time_is_none(value: Any) -> None:
    assert microseconds_of(value) is None


@given(
    st.one_of(
        st.text(max_size=40),
        st.floats(),
        st.integers(),
        st.text(st.sampled_from("0123456789-:TZ+./ PM"), max_size=30),
        st.from_regex(r"\d{1,4}([./-])\d{1,4}\1\d{1,4} \d+:\d+( [AP]M)?"),
    )
)
def test_any_value_is_a_time_or_none(value: str | float) -> None:
    assert isinstance(microseconds_of(value), (int, type(None)))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7, "7"),
        (7.0, "7"),
        ("  a ", "a"),
        ("", None),
        (None, None),
        (b"\x0f", "0f"),
        (float("nan"), None),
        ({}, None),
        (7.5, "7.5"),
    ],
)
def test_ids_are_texts(value: Any, text: str | None) -> None:
    assert text_of(value) == text


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
def test_the_size_of_a_number_tells_its_unit(number: int, microseconds: int) -> None:
    assert microseconds_of(number) == microseconds


@pytest.mark.parametrize(
    "value",
    [
        10**400,
        -(10**400),
        "9" * 400,
        "9" * 5_000,
        "9" * 400 + ".5",
        1e300,
        "9999-99-99T99:99:99+99:99",
        "0001-01-01T00:00:00+99:99",
        "Mon, 01 Jan 99999999999 00:00:00 +0000",
        "Mon, 01 Jan 2024 00:00:00 +99999999999999",
        "Mon, 01 Jan 2024 00:00:00 +" + "9" * 5_000,
        "1 " * 100_000,
    ],
    ids=lambda value: repr(value)[:30],
)
def test_an_absurd_time_is_none(value: Any) -> None:
    assert microseconds_of(value) is None


@given(st.integers() | st.floats() | st.integers(-(10**400), 10**400) | st.text())
def test_whatever_stands_for_a_time_is_read_or_none(value: Any) -> None:
    found = microseconds_of(value)
    assert found is None or isinstance(found, int)


@given(st.from_regex(r"[A-Z][a-z]{2}, \d{1,30} [A-Z][a-z]{2} \d+ \d+:\d+:\d+ [+-]\d+"))
def test_a_time_like_one_of_an_email_is_read_or_none(value: str) -> None:
    found = microseconds_of(value)
    assert found is None or isinstance(found, int)
