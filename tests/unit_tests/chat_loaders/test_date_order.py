"""The order of day, month and year, and calendars."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta

import pytest

from langchain_chatexports.chat_loaders import date_order
from langchain_chatexports.chat_loaders.date_order import (
    DateStamp,
    Order,
    days_since_1970,
)
from langchain_chatexports.chat_loaders.whatsapp.phrases import to_plain_text
from langchain_chatexports.chat_loaders.whatsapp.records import parse_records

EPOCH = date(1970, 1, 1)


def find_order(dates: Iterable[str], chosen: str | None = None) -> Order:
    lines = [f"{date_text}, 14:56 - Ann: Hi!" for date_text in dates]
    (order,) = parse_records(lines).orders(chosen)
    return order


def day(text: str, order: str) -> date | None:
    number = days_since_1970(DateStamp.parse(to_plain_text(text), 1), order)
    return None if number is None else EPOCH + timedelta(days=number)


@pytest.mark.parametrize(
    ("dates", "order"),
    [
        *((["12/03/2022", "13/03/2022"], "dmy"), (["3/12/22", "3/13/22"], "mdy")),
        *((["2022-03-12"], "ymd"), (["22/03/18", "22/03/19", "22/03/20"], "ymd")),
        *((["13/6/18"], "dmy"), (["31/12/20"], "dmy")),
    ],
)
def test_number_above_twelve_is_the_day(dates: list[str], order: str) -> None:
    assert find_order(dates)[:2] == (order, False)


@pytest.mark.parametrize(
    ("line", "order"),
    [
        ("3/4/22, 2:56 PM - Ann: Hi!", "mdy"),
        ("03/04/22, 2:56 PM - Ann: Hi!", "dmy"),
        ("3/4/22, 14:56 - Ann: Hi!", "dmy"),
        ("3/4/2022, 2:56 PM - Ann: Hi!", "dmy"),
        ("3.4.22, 2:56 PM - Ann: Hi!", "dmy"),
        # In Korean and Basque, short years come first.
        ("[22. 3. 18. 오후 2:56:01] Ann: Hi!", "ymd"),
        ("[22/3/18 (14:56:01)] Ann: Hi!", "ymd"),
    ],
)
def test_ambiguous_order_is_a_guess(line: str, order: str) -> None:
    (found,) = parse_records([line]).orders(None)
    assert found[:2] == (order, True)


def test_impossible_chosen_order_is_ignored() -> None:
    order = find_order(["20/03/22", "21/03/22"], "mdy")
    assert (order.order, order.invalid) == ("dmy", frozenset())


def test_year_in_the_future_is_implausible(monkeypatch: pytest.MonkeyPatch) -> None:
    class Today(date):
        @classmethod
        def today(cls) -> Today:
            return cls(2026, 11, 21)

    monkeypatch.setattr(date_order, "date", Today)
    assert find_order(["26/01/30"])[:2] == ("ymd", False)
    assert find_order(["26/01/48"])[0] == "dmy"


@pytest.mark.parametrize(
    ("text", "order", "expected"),
    [
        ("18/3/22", "dmy", date(2022, 3, 18)),
        ("3/18/2565", "mdy", date(2022, 3, 18)),
        ("18/3/65", "dmy", date(2022, 3, 18)),
        ("1/2/52", "dmy", date(2009, 2, 1)),
        ("3/18/R4", "mdy", date(2022, 3, 18)),
        ("令和4/3/18", "ymd", date(2022, 3, 18)),
        ("٢٧/٣/٢٠٢٢", "dmy", date(2022, 3, 27)),
        ("1402/7/1", "ymd", None),  # Persian.
        ("1443/8/15", "ymd", None),  # Islamic.
    ],
)
def test_japanese_and_buddhist_years_are_converted(
    text: str, order: str, expected: date | None
) -> None:
    assert day(text, order) == expected


def test_order_is_found_in_simulated_months() -> None:
    start = datetime(2022, 1, 3)  # noqa: DTZ001 - local
    for offset in range(0, 700, 7):
        days = [start + timedelta(days=offset + number) for number in range(30)]
        day_first = [f"{d.day}/{d.month}/{d:%y}" for d in days]
        month_first = [f"{d.month}/{d.day}/{d:%y}" for d in days]
        assert find_order(day_first)[:2] == ("dmy", False)
        assert find_order(month_first)[:2] == ("mdy", False)
