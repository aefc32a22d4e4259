"""Read the times of a table: ISO 8601, numbers, and the dates of spreadsheets."""

import re
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from decimal import Decimal

from langchain_chatexports.chat_loaders.local_times import LocalClock

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
_MONTHS = 12
_FIRST_SHORT_YEAR = 70  # 1970; 69 is 2069.
_LONG, _SHORT = 4, 2  # Digits of a year.


def order_shown_by(text: str) -> str | None:
    """Return the order of day and month that a date shows.

    It is empty if both numbers may be the month, and `None` if nothing depends on the
    order.
    """
    written = _WRITTEN.fullmatch(text.strip()) if len(text) <= _MAX_LENGTH else None
    if written is None or len(written["first"]) == _LONG:
        return None
    if int(written["first"]) > _MONTHS:
        return "dmy"
    return "mdy" if int(written["middle"]) > _MONTHS else ""


def microseconds(text: str, clock: LocalClock, order: str | None = None) -> int | None:
    """Return a time in microseconds since 1970-01-01 UTC; `None` if it is not a time.

    The text may be a number of seconds, milliseconds, microseconds or nanoseconds since
    1970 (depending on its size) or Excel's days, ISO 8601, or a date in the form of
    spreadsheets (in `order`, or else day first). The clock converts times without a
    zone.
    """
    text = text.strip()
    if len(text) > _MAX_LENGTH:
        return None
    if _NUMBER.fullmatch(text):
        return _of_number(Decimal(text), clock)
    with suppress(ValueError, OverflowError):
        if written := _WRITTEN.fullmatch(text):
            return _timestamp(_day(written, order), written, clock)
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


def _day(written: re.Match[str], order: str | None) -> datetime:
    numbers = written.group("first", "middle", "third")
    order = "ymd" if len(numbers[0]) == _LONG else order or "dmy"
    year, month, day = (numbers[order.index(part)] for part in "ymd")
    if len(year) not in (_SHORT, _LONG) or max(map(len, (month, day))) > _SHORT:
        msg = "not a date in this order"
        raise ValueError(msg)
    century = 0
    if len(year) == _SHORT:
        century = 1900 if int(year) >= _FIRST_SHORT_YEAR else 2000
    return datetime(century + int(year), int(month), int(day), tzinfo=timezone.utc)


def _timestamp(day: datetime, written: re.Match[str], clock: LocalClock) -> int | None:
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
