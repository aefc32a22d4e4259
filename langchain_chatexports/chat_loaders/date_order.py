"""Detect the order of day, month and year in a file, and parse its dates."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date
from itertools import pairwise
from typing import Literal, NamedTuple, TypeAlias

DateOrder: TypeAlias = Literal["dmy", "mdy", "ymd"]

ORDERS: dict[str, str] = {"dmy": "day first", "mdy": "month first", "ymd": "year first"}
"""Descriptions of the date orders that phones use."""

YearPosition: TypeAlias = Literal["first", "last"]
_ORDERS_BY_YEAR_POSITION: dict[YearPosition | None, tuple[str, ...]] = {
    "first": ("ymd",),
    "last": ("dmy", "mdy"),
    None: ("dmy", "mdy", "ymd"),
}

_EPOCH = date(1970, 1, 1).toordinal()
_FIRST_YEAR = 2009  # WhatsApp's first year.
_BUDDHIST_YEARS = range(2400, 2700)
_BUDDHIST_SHORT_YEARS = range(52, 100)  # 2552 was 2009.
_BUDDHIST_OFFSET = 543
# 2009 to 2050 in the Persian calendar, and in the Islamic one.
_UNSUPPORTED_YEARS = range(1388, 1476)
_MAX_UNSUPPORTED_DAY = 31
_MONTHS = 12
_CENTURY = 2000
_MAX_SHORT_YEAR = 99
_ERAS = {"R": 2018, "令和": 2018}

_NUMBER = re.compile(r"\d+")
_ERA = re.compile(r"[^\W\d_]+")
# Up to one line in ten may be pasted; with more, the file is from two phones.
_MAX_FOREIGN_SHARE = 0.1


class DateFormat(NamedTuple):
    """The date format of a file."""

    year_position: YearPosition | None = None
    is_year_first_likely: bool = False
    """Whether only languages with the year first use this format."""

    is_month_first_likely: bool = False
    """Whether this format is mostly American, if numbers have no leading zero."""


class DateStamp(NamedTuple):
    """A date as written in a file."""

    first: int
    second: int
    third: int
    era: str
    is_padded: bool | None
    """Whether numbers below ten have a leading zero; `None` without such numbers."""

    line: int
    """The first line with this date."""

    @classmethod
    def parse(cls, text: str, line: int) -> DateStamp:
        """Read the three numbers of a date, and its era if it has one."""
        numbers = _NUMBER.findall(text)
        era = _ERA.search(text)
        # Leave out years, such as `0009`.
        paddings = [len(n) > 1 for n in numbers if int(n) < 10 and len(n) < 4]  # noqa: PLR2004
        first, second, third = map(int, numbers)
        is_padded = paddings[0] if paddings else None
        return cls(first, second, third, era[0].upper() if era else "", is_padded, line)


class Order(NamedTuple):
    """The order of day, month and year in a file."""

    order: str
    """`dmy`, `mdy` or `ymd`."""

    is_guess: bool
    """Whether the dates also fit another order."""

    invalid: frozenset[int] = frozenset()
    """Indexes of dates that are invalid in this order."""

    conflict: tuple[int, int] | None = None
    """Two lines with different orders, in a file from two phones."""


class _Evidence(NamedTuple):
    """The evidence against an order; the order with the least is chosen."""

    invalid: int
    implausible: int
    backward_steps: int
    span: int


def validate_order(order: str | None) -> str | None:
    """Return the order, or raise a `ValueError` if it is unknown."""
    if order is not None and order not in ORDERS:
        msg = f"Unknown date_order {order!r}. Use one of {', '.join(ORDERS)}."
        raise ValueError(msg)
    return order


def other_order(order: str) -> DateOrder:
    """Return the order to suggest if a guess is wrong."""
    return "mdy" if order == "dmy" else "dmy"


def days_since_1970(stamp: DateStamp, order: str) -> int | None:
    """Return the days since 1970; `None` in the Persian and Islamic calendars.

    Raises:
        ValueError: If the day does not exist.
    """
    numbers = stamp[:3]
    year, month, day = (numbers[order.index(part)] for part in "ymd")
    if not stamp.era and year in _UNSUPPORTED_YEARS:
        if not (1 <= month <= _MONTHS and 1 <= day <= _MAX_UNSUPPORTED_DAY):
            msg = "not a day in any calendar"
            raise ValueError(msg)
        return None
    return date(_to_gregorian_year(year, stamp.era), month, day).toordinal() - _EPOCH


def find_order(
    stamps: Sequence[DateStamp],
    runs: Sequence[int],
    date_format: DateFormat,
    counts: Mapping[int, int],
    chosen: str | None = None,
) -> Order:
    """Detect the order of day, month and year in a file.

    Args:
        stamps: The distinct dates in the file.
        runs: Indexes in `stamps` in file order, one for each change of date.
        date_format: The format of the dates.
        counts: Number of messages per date, by index.
        chosen: The user's order, ignored if it makes more dates invalid.
    """
    orders = _ORDERS_BY_YEAR_POSITION[date_format.year_position]
    indexes = set(runs)
    days = {order: _parse_days(stamps, indexes, order) for order in orders}
    impossible = {
        index for index in indexes if all(index not in d for d in days.values())
    }
    evidence = {
        order: _collect_evidence(days_by_index, runs, counts, impossible)
        for order, days_by_index in days.items()
    }
    ranked = sorted(orders, key=lambda order: evidence[order][:3])
    best = ranked[0]
    tied = [order for order in orders if evidence[order][:3] == evidence[best][:3]]
    is_guess = False
    if chosen in orders and evidence[str(chosen)].invalid == evidence[best].invalid:
        best = str(chosen)
    elif len(tied) > 1:
        dates = [stamps[index] for index in indexes]
        best, is_guess = _break_tie(tied, evidence, dates, date_format)
    invalid = frozenset(indexes - days[best].keys())
    conflict = _find_conflict(best, days, impossible, counts, stamps)
    return Order(best, is_guess, invalid, conflict)


def _to_gregorian_year(year: int, era: str) -> int:
    if era:
        if era not in _ERAS:
            msg = "unknown era"
            raise ValueError(msg)
        return year + _ERAS[era]
    if year in _BUDDHIST_YEARS:
        return year - _BUDDHIST_OFFSET
    if year in _BUDDHIST_SHORT_YEARS:
        return 2500 + year - _BUDDHIST_OFFSET
    return year + _CENTURY if year <= _MAX_SHORT_YEAR else year


def _parse_days(
    stamps: Sequence[DateStamp], indexes: Iterable[int], order: str
) -> dict[int, int | None]:
    days: dict[int, int | None] = {}
    for index in indexes:
        with suppress(ValueError):
            days[index] = days_since_1970(stamps[index], order)
    return days


def _collect_evidence(
    days: Mapping[int, int | None],
    runs: Sequence[int],
    counts: Mapping[int, int],
    impossible: Collection[int],
) -> _Evidence:
    invalid = sum(
        counts[index]
        for index in set(runs)
        if index not in days and index not in impossible
    )
    known_days = [day for index in runs if (day := days.get(index)) is not None]
    first = date(_FIRST_YEAR, 1, 1).toordinal() - _EPOCH
    # Allow tomorrow, since the phone may have been in another time zone.
    last = date.today().toordinal() - _EPOCH + 1  # noqa: DTZ011 - see above
    return _Evidence(
        invalid=invalid,
        implausible=sum(not first <= day <= last for day in known_days),
        backward_steps=sum(day < before for before, day in pairwise(known_days)),
        span=max(known_days) - min(known_days) if known_days else 0,
    )


def _break_tie(
    tied: Sequence[str],
    evidence: Mapping[str, _Evidence],
    stamps: Sequence[DateStamp],
    date_format: DateFormat,
) -> tuple[str, bool]:
    """Return the most likely of several orders, and whether it is a guess."""
    if "ymd" in tied:
        # In the wrong order, consecutive days are years apart.
        span = evidence["ymd"].span
        others = [order for order in tied if order != "ymd"]
        nearest = min(evidence[order].span for order in others)
        if span < nearest:
            return "ymd", False
        if span == nearest and date_format.is_year_first_likely:
            return "ymd", True
        tied = others
    if len(tied) == 1:
        return tied[0], False
    is_month_first = date_format.is_month_first_likely and not any(
        stamp.is_padded for stamp in stamps
    )
    return "mdy" if is_month_first else "dmy", True


def _find_conflict(
    best: str,
    days: Mapping[str, Mapping[int, int | None]],
    impossible: Collection[int],
    counts: Mapping[int, int],
    stamps: Sequence[DateStamp],
) -> tuple[int, int] | None:
    """Find two lines with different orders, unless one was probably pasted."""
    valid = days[best]
    foreign_dates = [
        index for index in counts if index not in valid and index not in impossible
    ]
    others = [order for order in days if order != best]
    certain = [
        index
        for index in counts
        if index in valid and any(index not in days[order] for order in others)
    ]
    foreign = sum(counts[index] for index in foreign_dates)
    total = foreign + sum(counts[index] for index in certain)
    native_dates = certain or [index for index in counts if index in valid]
    if not foreign_dates or foreign <= _MAX_FOREIGN_SHARE * total or not native_dates:
        return None
    lines = [
        min(stamps[index].line for index in dates)
        for dates in (native_dates, foreign_dates)
    ]
    return lines[0], lines[1]
