"""Read the times of a table, in many forms."""

import re
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

from langchain_chatexports.chat_loaders.date_order import (
    DateStamp,
    Order,
    day_of,
    find_order,
)
from langchain_chatexports.chat_loaders.local_times import LocalClock
from langchain_chatexports.exceptions import ExportFormatError

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_FRACTION = r"(?:[.,](?P<fraction>\d+))?"
# The name of a zone may follow an offset: `+0200 (CEST)`. Without an offset, only UTC
# is read: CST is a zone in America and in China.
_ZONE = (
    r" ?(?P<zone>(?:UTC|GMT)?(?P<sign>[+-])(?P<hours>\d\d):?(?P<minutes>\d\d)?"
    r"(?: \(.*\)| [A-Z]{3,5})?|Z|UTC|GMT)?"
)
_CLOCK = (
    rf"(?P<hour>\d\d?)[:.](?P<minute>\d\d)(?:[:.](?P<second>\d\d){_FRACTION})?"
    r"(?:\s*(?P<period>[AP])\.?\s?M\.?)?"
)
# ISO 8601 as in tables. Python's own parser accepts other forms in each version.
_ISO = (
    r"(?P<year>\d{4})-(?P<month>\d\d?)-(?P<day>\d\d?)"
    rf"(?:[T ]+{_CLOCK}{_ZONE})?"
)
# The same without separators. As a number, it would be a time in 1970.
_BASIC = (
    r"(?P<year>(?:19|20)\d\d)(?P<month>\d\d)(?P<day>\d\d)(?:[T ]?(?P<hour>\d\d)"
    rf"(?P<minute>\d\d)(?P<second>\d\d){_FRACTION}{_ZONE})?"
)
# Spreadsheets: 01.05.2024 10:00, 5/1/24 10:00 PM, 2024/05/01.
_WRITTEN = re.compile(
    r"(?P<first>\d{4}|\d\d?)(?P<mark>[./-]) ?(?P<middle>\d\d?)(?P=mark) ?"
    rf"(?P<third>\d{{4}}|\d\d?)(?:(?:,?\s+|T){_CLOCK}{_ZONE})?",
    re.IGNORECASE,
)
# People, e-mails and JavaScript: May 1, 2024 10:00 PM.
_IN_WORDS = (
    r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,? +)?"
    r"(?:(?P<month>[a-z]{3,9})\.? +)?(?P<day>\d\d?)(?:\.|st|nd|rd|th)?(?:,? +|-)"
    r"(?:(?P<month_second>[a-z]{3,9})\.?(?:,? +|-))?(?P<year>\d{4})"
    rf"(?:,? +(?:at +)?{_CLOCK}{_ZONE})?"
)
_FORMS = [re.compile(form, re.IGNORECASE) for form in (_BASIC, _ISO, _IN_WORDS)]
# Unix and Twitter: Wed May  1 22:10:47 +0000 2024.
_YEAR_LAST = re.compile(r"(\D+\d\d?) (\d\d:\d\d:\d\d.*) (\d{4})", re.ASCII)
_MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july", "august"),
    *("september", "october", "november", "december"),
)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_MAX_LENGTH = 100
# Numbers from each limit on are in the next smaller unit: in seconds, 10**11 is in the
# year 5138.
_UNITS = ((10**11, 1_000_000.0), (10**14, 1000.0), (10**17, 1.0), (10**30, 0.001))
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
    1970 (depending on its size) or Excel's days, ISO 8601, a date in the form of
    spreadsheets (in `order`), or one with an English month. The clock converts times
    without a zone.
    """
    text = text.strip()
    if len(text) > _MAX_LENGTH:
        return None
    with suppress(ValueError, OverflowError):
        moved = _YEAR_LAST.sub(r"\1 \3 \2", text)
        for form in _FORMS:
            if found := form.fullmatch(moved):
                return _of_parts(_day(found), found.groupdict(), clock)
        if _NUMBER.fullmatch(text):
            return _of_number(text, clock)
        written = _WRITTEN.fullmatch(text)
        if written and (stamp := _stamp(written, 0, order)):
            return _of_parts(_day_of(stamp, order), written.groupdict(), clock)
    return None


def _of_number(text: str, clock: LocalClock) -> int | None:
    value = float(text) if "." in text else int(text)
    if int(value) in _EXCEL_DAYS:
        return _of_local((value - _EXCEL_DAYS.start) * _DAY_SECONDS, clock)
    factor = next((factor for limit, factor in _UNITS if abs(value) < limit), 0.0)
    if isinstance(value, int) and factor:  # Whole numbers stay exact.
        return value * int(factor) if factor >= 1 else value // 1000
    return int(value * factor // 1) if factor else None


def _of_local(seconds: float, clock: LocalClock) -> int | None:
    found = clock.utc(round(seconds))
    return None if found is None else found * 1_000_000


def _of_parts(
    day: datetime, parts: Mapping[str, str | None], clock: LocalClock
) -> int | None:
    hour, minute, second = (
        int(parts[name] or 0) for name in ("hour", "minute", "second")
    )
    if period := parts.get("period"):
        hour = _hour_of_24(hour, period)
    moment = day.replace(hour=hour, minute=minute, second=second)
    fraction = int(f"{parts['fraction'] or '':0<6}"[:6])
    if not parts["zone"]:
        found = _of_local((moment - _EPOCH).total_seconds(), clock)
        return None if found is None else found + fraction
    hours, minutes = int(parts["hours"] or 0), int(parts["minutes"] or 0)
    offset = timedelta(hours=hours, minutes=minutes)
    zone = timezone(-offset if parts["sign"] == "-" else offset)
    since = moment.replace(tzinfo=zone) - _EPOCH
    return since // timedelta(microseconds=1) + fraction


def _day_of(stamp: DateStamp, order: str | None) -> datetime:
    order = "mdy" if order == "mdy" else "dmy"
    days = day_of(stamp, "ymd" if stamp.first > _MAX_DAY else order)
    if days is None:
        msg = "unsupported calendar"
        raise ValueError(msg)
    return _EPOCH + timedelta(days=days)


def _day(found: re.Match[str]) -> datetime:
    """Return the day of a time in a form with an unambiguous month."""
    parts = found.groupdict()
    names = [name for name in (parts["month"], parts.get("month_second")) if name]
    if len(names) != 1:
        msg = "not one month"
        raise ValueError(msg)
    if names[0].isdecimal():
        month = int(names[0])
    else:
        plain = names[0].casefold()
        is_named = [one.startswith(plain) for one in _MONTHS]
        month = is_named.index(True) + 1
    year, day = int(parts["year"] or 0), int(parts["day"] or 0)
    return datetime(year, month, day, tzinfo=timezone.utc)


class _Form(NamedTuple):
    """The written form of a file's dates, for `find_order`."""

    is_month_first_likely: bool
    year: str | None = "last"
    is_year_first_likely: bool = False


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
        form = _Form(is_month_first_likely=self._has_slashes)
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


def _hour_of_24(hour: int, period: str) -> int:
    if not 1 <= hour <= _NOON:
        msg = "not an hour of the 12-hour clock"
        raise ValueError(msg)
    return hour % _NOON + (_NOON if period in "Pp" else 0)
