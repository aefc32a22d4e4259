"""Parse the times in tables: ISO 8601, numbers, and spreadsheet dates."""

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

from langchain_chatexports.chat_loaders.local_times import LocalClock
from langchain_chatexports.chat_loaders.times import MICROSECONDS, to_microseconds

# 2024-05-01T22:00:00.5+02:00, 01.05.2024 10:00, 5/1/24 10:00 PM, 2024/05/01. Zone names
# are not supported, since they are ambiguous: CST is used in America and in China.
_TIME = re.compile(
    r"(?P<first>\d{4}|\d\d?)(?P<separator>[./-]) ?(?P<middle>\d\d?)(?P=separator) ?"
    r"(?P<third>\d{4}|\d\d?)(?:(?:,?\s+|T)"
    r"(?P<hour>\d\d?)[:.](?P<minute>\d\d)"
    r"(?:[:.](?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?"
    r"(?:\s*(?P<period>[AP])\.?\s?M\.?)?"
    r" ?(?P<zone>(?P<sign>[+-])(?P<hours>\d\d):?(?P<minutes>\d\d)?|Z|UTC|GMT)?)?",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"-?\d{1,30}(?:\.\d{1,30})?")
_MAX_LENGTH = 100
# (limit, nanoseconds per unit). From each limit on, numbers are in the next smaller
# unit, since 10**11 seconds would be in the year 5138.
_UNITS = ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3), (10**20, 1))
# Excel's days since 1899-12-30, from 1970 to 2100. As Unix seconds, these numbers would
# all be on 1970-01-01.
_EXCEL_DAYS = range(25_569, 73_051)
_DAY_SECONDS = 86_400
_NOON = 12
_MONTHS = 12
_MIN_SHORT_YEAR = 70  # 1970; 69 is 2069.
_LONG_YEAR_DIGITS, _SHORT_YEAR_DIGITS = 4, 2


def detect_order(text: str) -> str | None:
    """Detect the order of day and month in a date.

    Empty if either number may be the month; `None` if the year comes first or it is not
    a date.
    """
    match = _TIME.fullmatch(text.strip()) if len(text) <= _MAX_LENGTH else None
    if match is None or len(match["first"]) == _LONG_YEAR_DIGITS:
        return None
    if int(match["first"]) > _MONTHS:
        return "dmy"
    return "mdy" if int(match["middle"]) > _MONTHS else ""


def parse_time(text: str, clock: LocalClock, order: str | None = None) -> int | None:
    """Convert a time to microseconds since 1970-01-01 UTC; `None` if it is not a time.

    Args:
        text: ISO 8601, a spreadsheet date, Excel's days, or a number of seconds,
            milliseconds, microseconds or nanoseconds since 1970 (guessed by magnitude).
        clock: The clock that converts times without a zone.
        order: The order of day, month and year; day first by default.
    """
    text = text.strip()
    if len(text) > _MAX_LENGTH:
        return None
    if _NUMBER.fullmatch(text):
        return _parse_number(Decimal(text), clock)
    with suppress(ValueError, OverflowError):
        if match := _TIME.fullmatch(text):
            return _to_microseconds(_parse_date(match, order), match, clock)
    return None


def _parse_number(value: Decimal, clock: LocalClock) -> int | None:
    if int(value) in _EXCEL_DAYS:
        seconds = (value - _EXCEL_DAYS.start) * _DAY_SECONDS
        return clock.to_utc(round(seconds))
    for limit, nanoseconds in _UNITS:
        if abs(value) < limit:
            return int(value * nanoseconds) // 1000
    return None


def _parse_date(match: re.Match[str], order: str | None) -> datetime:
    numbers = match.group("first", "middle", "third")
    order = "ymd" if len(numbers[0]) == _LONG_YEAR_DIGITS else order or "dmy"
    year, month, day = (numbers[order.index(part)] for part in "ymd")
    if (
        len(year) not in (_SHORT_YEAR_DIGITS, _LONG_YEAR_DIGITS)
        or max(map(len, (month, day))) > _SHORT_YEAR_DIGITS
    ):
        msg = "not a date in this order"
        raise ValueError(msg)
    century = 0
    if len(year) == _SHORT_YEAR_DIGITS:
        century = 1900 if int(year) >= _MIN_SHORT_YEAR else 2000
    return datetime(century + int(year), int(month), int(day), tzinfo=UTC)


def _to_microseconds(
    day: datetime, match: re.Match[str], clock: LocalClock
) -> int | None:
    names = ("hour", "minute", "second", "hours", "minutes")
    hour, minute, second, *offset = (int(match[name] or 0) for name in names)
    if period := match["period"]:
        if not 1 <= hour <= _NOON:
            return None
        hour = hour % _NOON + (_NOON if period in "Pp" else 0)
    moment = day.replace(hour=hour, minute=minute, second=second)
    fraction = int(f"{match['fraction'] or '':0<6}"[:6])
    if match["zone"]:
        difference = timedelta(hours=offset[0], minutes=offset[1])
        zone = timezone(-difference if match["sign"] == "-" else difference)
        return to_microseconds(moment.replace(tzinfo=zone)) + fraction
    utc = clock.to_utc(to_microseconds(moment) // MICROSECONDS)
    return None if utc is None else utc + fraction
