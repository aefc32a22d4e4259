"""Find the order of day, month and year in a file's dates, and read them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date
from itertools import pairwise
from typing import Literal, NamedTuple, TypeAlias

DateOrder: TypeAlias = Literal["dmy", "mdy", "ymd"]

ORDERS: dict[str, str] = {
    "dmy": "day first",
    "mdy": "month first",
    "ymd": "year first",
}
"""The orders of day, month and year that phones write, with a description."""

_POSSIBLE: dict[str | None, tuple[str, ...]] = {
    "first": ("ymd",),
    "last": ("dmy", "mdy"),
    None: ("dmy", "mdy", "ymd"),
}
"""The possible orders, by the position of the year."""

_EPOCH = date(1970, 1, 1).toordinal()
_FIRST_YEAR = 2009  # WhatsApp appeared in it.
_BUDDHIST_YEARS = range(2400, 2700)
_BUDDHIST_SHORT_YEARS = range(52, 100)  # 2552 was 2009.
_BUDDHIST_OFFSET = 543
# 2009 to 2050 in the Persian calendar, and in the Islamic one.
_UNREAD_YEARS = range(1388, 1476)
_MAX_UNREAD_DAY = 31
_MONTHS = 12
_CENTURY = 2000
_MAX_SHORT_YEAR = 99
_ERAS = {"R": 2018, "令和": 2018}

_NUMBER = re.compile(r"\d+")
_ERA = re.compile(r"[^\W\d_]+")
# One foreign line in ten was pasted; more of them show a file of several phones.
_MAX_FOREIGN_SHARE = 0.1


class DateForm(NamedTuple):
    """The written form of a file's dates."""

    # The position of the year, `first` or `last`; `None` if unknown.
    year: str | None = None
    # Whether only languages that put the year first have this form.
    is_year_first_likely: bool = False
    # Whether mostly Americans use this form, if numbers have no leading zero.
    is_month_first_likely: bool = False


class DateStamp(NamedTuple):
    """A date as written in a file."""

    first: int
    second: int
    third: int
    era: str
    # Whether numbers below ten have a leading zero; `None` if there are none.
    is_padded: bool | None
    line: int  # The number of the first line with this date.

    @classmethod
    def parse(cls, text: str, line: int) -> DateStamp:
        """Read the three numbers of a date, and its era if it has one."""
        digits = [found[0] for found in _NUMBER.finditer(text)]
        era = _ERA.search(text)
        small = [len(one) > 1 for one in digits if int(one) < 10 and len(one) < 4]  # noqa: PLR2004 - one digit; a year
        first, second, third = map(int, digits)
        is_padded = small[0] if small else None
        return cls(first, second, third, era[0].upper() if era else "", is_padded, line)


class Order(NamedTuple):
    """The order of day, month and year in a file."""

    order: str  # `dmy`, `mdy` or `ymd`.
    is_guess: bool  # Whether the file does not show the order.
    # The indexes of dates that do not exist in this order.
    foreign: tuple[int, ...] = ()
    # The numbers of two lines with different orders, in a file of several phones.
    conflict: tuple[int, int] | None = None


class _Reading(NamedTuple):
    """The evidence against an order; the order with the least is right."""

    foreign: int
    implausible: int
    steps_back: int
    span: int


def checked_order(order: str | None) -> str | None:
    """Return the user's order; an unknown one is a `ValueError`."""
    if order is not None and order not in ORDERS:
        msg = f"date_order is one of {', '.join(ORDERS)}, not {order!r}."
        raise ValueError(msg)
    return order


def day_of(stamp: DateStamp, order: str) -> int | None:
    """Return the days since 1970; `None` in the Persian and Islamic calendars.

    A day that does not exist is a `ValueError`.
    """
    numbers = stamp[:3]
    year, month, day = (numbers[order.index(part)] for part in "ymd")
    if not stamp.era and year in _UNREAD_YEARS:
        if not (1 <= month <= _MONTHS and 1 <= day <= _MAX_UNREAD_DAY):
            msg = "not a day in any calendar"
            raise ValueError(msg)
        return None
    return date(_common_year(year, stamp.era), month, day).toordinal() - _EPOCH


def find_order(
    stamps: Sequence[DateStamp],
    runs: Sequence[int],
    form: DateForm,
    counts: Mapping[int, int],
    chosen: str | None = None,
) -> Order:
    """Find the order of day, month and year in a file.

    `runs` are the indexes in `stamps` in the order of the file, one for each change of
    the date. `counts` are the messages of each date. The order `chosen` by the user is
    used, unless dates do not exist in it.
    """
    orders = _POSSIBLE[form.year]
    indexes = set(runs)
    days = {order: _days(stamps, indexes, order) for order in orders}
    never = {index for index in indexes if all(index not in d for d in days.values())}
    readings = {
        order: _reading(found, runs, counts, never) for order, found in days.items()
    }
    ranked = sorted(orders, key=lambda order: readings[order][:3])
    best = ranked[0]
    tied = [order for order in orders if readings[order][:3] == readings[best][:3]]
    is_guess = False
    if chosen in orders and readings[str(chosen)].foreign == readings[best].foreign:
        best = str(chosen)
    elif len(tied) > 1:
        dates = [stamps[index] for index in indexes]
        best, is_guess = _tie(tied, readings, dates, form)
    foreign = tuple(sorted(indexes - days[best].keys()))
    conflict = _conflict(best, days, never, counts, stamps)
    return Order(best, is_guess, foreign, conflict)


def _common_year(year: int, era: str) -> int:
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


def _days(
    stamps: Sequence[DateStamp], indexes: Iterable[int], order: str
) -> dict[int, int | None]:
    days: dict[int, int | None] = {}
    for index in indexes:
        with suppress(ValueError):
            days[index] = day_of(stamps[index], order)
    return days


def _reading(
    days: Mapping[int, int | None],
    runs: Sequence[int],
    counts: Mapping[int, int],
    never: Collection[int],
) -> _Reading:
    foreign = sum(
        counts[index] for index in set(runs) if index not in days and index not in never
    )
    known = [day for index in runs if (day := days.get(index)) is not None]
    first = date(_FIRST_YEAR, 1, 1).toordinal() - _EPOCH
    # Allow tomorrow: the phone may be in another time zone than this machine.
    last = date.today().toordinal() - _EPOCH + 1  # noqa: DTZ011 - see above
    return _Reading(
        foreign=foreign,
        implausible=sum(not first <= day <= last for day in known),
        steps_back=sum(day < before for before, day in pairwise(known)),
        span=max(known) - min(known) if known else 0,
    )


def _tie(
    tied: Sequence[str],
    readings: Mapping[str, _Reading],
    stamps: Sequence[DateStamp],
    form: DateForm,
) -> tuple[str, bool]:
    """Return the most likely of several orders, and whether it is a guess."""
    if "ymd" in tied:
        # In the wrong order, neighboring days are years apart.
        span = readings["ymd"].span
        others = [order for order in tied if order != "ymd"]
        nearest = min(readings[order].span for order in others)
        if span < nearest:
            return "ymd", False
        if span == nearest and form.is_year_first_likely:
            return "ymd", True
        tied = others
    if len(tied) == 1:
        return tied[0], False
    is_month_first = form.is_month_first_likely and not any(
        stamp.is_padded for stamp in stamps
    )
    return "mdy" if is_month_first else "dmy", True


def _conflict(
    best: str,
    days: Mapping[str, Mapping[int, int | None]],
    never: Collection[int],
    counts: Mapping[int, int],
    stamps: Sequence[DateStamp],
) -> tuple[int, int] | None:
    """Find two lines of different orders, if neither of them was pasted."""
    own = days[best]
    against = [one for one in counts if one not in own and one not in never]
    others = [order for order in days if order != best]
    certain = [
        one
        for one in counts
        if one in own and any(one not in days[order] for order in others)
    ]
    foreign = sum(counts[one] for one in against)
    total = foreign + sum(counts[one] for one in certain)
    first = certain or [one for one in counts if one in own]
    if not against or foreign <= _MAX_FOREIGN_SHARE * total or not first:
        return None
    lines = [min(stamps[one].line for one in of_order) for of_order in (first, against)]
    return lines[0], lines[1]
