"""Read the times of a table: ISO 8601, numbers, and the dates of spreadsheets."""

import re
from collections import Counter
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

from langchain_chatexports.chat_loaders.date_order import (
    DateForm,
    DateStamp,
    Order,
    day_of,
    find_order,
)
from langchain_chatexports.chat_loaders.local_times import LocalClock
from langchain_chatexports.exceptions import ExportFormatError

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# 2024-05-01T22:00:00.5+02:00, 01.05.2024 10:00, 5/1/24 10:00 PM, 2024/05/01. Names of
# zones are not read: CST is a zone in America and in China.
_WRITTEN = re.compile(
    r"(?P<first>\d{4}|\d\d?)(?P<mark>[./-]) ?(?P<middle>\d\d?)(?P=mark) ?"
    r"(?P<third>\d{4}|\d\d?)(?:(?:,?\s+|T)"
    r"(?P<hour>\d\d?)[:.](?P<minute>\d\d)"
    r"(?:[:.](?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?"
    r"(?:\s*(?P<period>[AP])\.?\s?M\.?)?"
    r" ?(?P<zone>(?P<sign>[+-])(?P<hours>\d\d):?(?P<minutes>\d\d)?|Z|UTC|GMT)?)?",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"-?\d{1,30}(?:\.\d{1,30})?")
_MAX_LENGTH = 100
# Numbers from each limit on are in the next smaller unit: in seconds, 10**11 is in the
# year 5138.
_UNITS = ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3), (10**20, 1))
# Excel's days since 1899-12-30, from 1970 to 2100; as seconds, all are on one day.
_EXCEL_DAYS = range(25_569, 73_051)
_DAY_SECONDS = 86_400
_NOON = 12
_TEN = 10
_MAX_DAY = 31
_FIRST_SHORT_YEAR = 70  # 1970; 69 is 2069.
_LONG, _SHORT = 4, 2  # Digits of a year.


def microseconds(text: str, clock: LocalClock, order: str | None = None) -> int | None:
    """Return a time in microseconds since 1970-01-01 UTC; `None` if it is not a time.

    The text may be a number of seconds, milliseconds, microseconds or nanoseconds since
    1970 (depending on its size) or Excel's days, ISO 8601, or a date in the form of
    spreadsheets (in `order`). The clock converts times without a zone.
    """
    text = text.strip()
    if len(text) > _MAX_LENGTH:
        return None
    if _NUMBER.fullmatch(text):
        return _of_number(Decimal(text), clock)
    with suppress(ValueError, OverflowError):
        written = _WRITTEN.fullmatch(text)
        if written and (stamp := _stamp(written, 0, order)):
            return _of_parts(_day(stamp, order), written, clock)
    return None


def _of_number(value: Decimal, clock: LocalClock) -> int | None:
    if int(value) in _EXCEL_DAYS:
        seconds = (value - _EXCEL_DAYS.start) * _DAY_SECONDS
        return _of_local(round(seconds), clock)
    for limit, nanoseconds in _UNITS:
        if abs(value) < limit:
            return int(value * nanoseconds) // 1000
    return None


def _of_local(seconds: int, clock: LocalClock) -> int | None:
    found = clock.utc(seconds)
    return None if found is None else found * 1_000_000


def _day(stamp: DateStamp, order: str | None) -> datetime:
    order = "mdy" if order == "mdy" else "dmy"
    days = day_of(stamp, "ymd" if stamp.first > _MAX_DAY else order)
    if days is None:
        msg = "unsupported calendar"
        raise ValueError(msg)
    return _EPOCH + timedelta(days=days)


def _of_parts(day: datetime, written: re.Match[str], clock: LocalClock) -> int | None:
    names = ("hour", "minute", "second", "hours", "minutes")
    hour, minute, second, *offset = (int(written[name] or 0) for name in names)
    if period := written["period"]:
        if not 1 <= hour <= _NOON:
            return None
        hour = hour % _NOON + (_NOON if period in "Pp" else 0)
    moment = day.replace(hour=hour, minute=minute, second=second)
    fraction = int(f"{written['fraction'] or '':0<6}"[:6])
    if written["zone"]:
        ahead = timedelta(hours=offset[0], minutes=offset[1])
        zone = timezone(-ahead if written["sign"] == "-" else ahead)
        since = moment.replace(tzinfo=zone) - _EPOCH
        return since // timedelta(microseconds=1) + fraction
    found = _of_local((moment - _EPOCH) // timedelta(seconds=1), clock)
    return None if found is None else found + fraction


class DateOrders:
    """Finds the order of day and month in a file, from its rows."""

    def __init__(self, chosen: str | None) -> None:
        self._chosen = chosen
        self._stamps: list[DateStamp] = []
        self._indexes: dict[tuple[int, ...], int] = {}
        self._runs: list[int] = []
        self._counts: Counter[int] = Counter()
        self._has_slashes = False

    def note(self, time: str, row: int) -> None:
        """Note the time of a row."""
        written = _WRITTEN.fullmatch(time.strip()) if len(time) <= _MAX_LENGTH else None
        stamp = _stamp(written, row, self._chosen) if written else None
        if stamp is None or stamp.first > _MAX_DAY:
            return
        self._has_slashes = self._has_slashes or "/" in time
        index = self._indexes.setdefault(stamp[:3], len(self._stamps))
        if index == len(self._stamps):
            self._stamps.append(stamp)
        self._counts[index] += 1
        if not self._runs or self._runs[-1] != index:
            self._runs.append(index)

    def find(self, path: Path) -> Order | None:
        """Return the order; `None` if no time needs it.

        A file that mixes two orders is an `ExportFormatError`.
        """
        if not self._stamps:
            return None
        form = DateForm("last", is_month_first_likely=self._has_slashes)
        order = find_order(
            self._stamps, self._runs, form, self._counts, self._chosen, may_descend=True
        )
        if order.conflict is not None:
            first, second = sorted(order.conflict)
            msg = (
                f"{path} mixes two orders of day and month: see the times in the rows "
                f"{first:,} and {second:,}. Write all in one form, such as 2024-05-31."
            )
            raise ExportFormatError(msg, path=path)
        return order


def _stamp(written: re.Match[str], row: int, order: str | None) -> DateStamp | None:
    texts = (written["first"], written["middle"], written["third"])
    first, middle, third = map(int, texts)
    is_year_first, is_year_last = (len(texts[at]) == _LONG for at in (0, 2))
    if is_year_first and is_year_last:
        return None
    if not is_year_first and not is_year_last:
        if len(texts[2]) != _SHORT:
            return None
        if order == "ymd":
            first = _long_year(first)
        else:
            third = _long_year(third)
    small = [len(one) > 1 for one in texts[:2] if int(one) < _TEN]
    return DateStamp(first, middle, third, "", small[0] if small else None, row)


def _long_year(year: int) -> int:
    return year + (1900 if year >= _FIRST_SHORT_YEAR else 2000)
