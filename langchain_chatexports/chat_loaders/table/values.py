"""Times and ids in the cells of a table, in their many forms."""

from __future__ import annotations

import math
import re
from datetime import date, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any

__all__ = ["microseconds_of", "text_of"]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# ISO 8601 as tables have it. Python's own reader takes other forms in each version.
_ISO = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d\d?)-(?P<day>\d\d?)"
    r"(?:[T ]+(?P<hour>\d\d?):(?P<minute>\d\d)"
    r"(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?"
    r" ?(?:Z|UTC|GMT|(?P<sign>[+-])(?P<hours>\d\d):?(?P<minutes>\d\d)?)?)?",
    re.IGNORECASE,
)
_PARTS = ("year", "month", "day", "hour", "minute", "second")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
# Numbers of this size and more are in the next smaller unit: in seconds, 10**11 is in
# the year 5138.
_UNITS = ((10**11, 1_000_000.0), (10**14, 1000.0), (10**17, 1.0))
_PER_NANOSECOND = 0.001
# Far after the year 9999 in any unit, and still exact as microseconds.
_MAX_NUMBER = 10**30
_MAX_TIME_LENGTH = 100  # Python refuses to read a number of 4,301 digits.


def microseconds_of(value: Any) -> int | None:
    """Read a time.

    Args:
        value: Seconds, milliseconds, microseconds or nanoseconds since 1970 (told by
            their size), ISO 8601, the form of e-mail headers, a datetime or a date.
            Without a zone it is UTC.

    Returns:
        Microseconds since 1970-01-01 UTC, or `None` for what is no time.
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, (int, float)):
        return _of_number(value)
    if isinstance(value, str):
        return _of_string(value.strip())
    if isinstance(value, datetime):
        return _of_datetime(value)
    if isinstance(value, date):
        return _of_datetime(datetime(value.year, value.month, value.day))  # noqa: DTZ001 - UTC next
    return None


def text_of(value: Any) -> str | None:
    """Read an id or a name: numbers as they are counted, `None` for an empty cell."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # A column of whole numbers with gaps.
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (dict, list)):
        return None
    return str(value)


def _of_number(value: float) -> int | None:
    if not -_MAX_NUMBER < value < _MAX_NUMBER:  # Nor is it for NaN.
        return None
    factor = next((f for limit, f in _UNITS if abs(value) < limit), _PER_NANOSECOND)
    # Whole numbers stay exact.
    if isinstance(value, int):
        return value * int(factor) if factor >= 1 else value // 1000
    return math.floor(value * factor)


def _of_string(text: str) -> int | None:
    if len(text) > _MAX_TIME_LENGTH:
        return None
    if _NUMBER.fullmatch(text):
        return _of_number(float(text) if "." in text else int(text))
    iso = _ISO.fullmatch(text)
    if iso is not None:
        return _of_iso(iso)
    try:
        return _of_datetime(parsedate_to_datetime(text))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _of_iso(iso: re.Match[str]) -> int | None:
    year, month, day, hour, minute, second = (int(iso[part] or 0) for part in _PARTS)
    fraction = int(f"{iso['fraction'] or '':0<6}"[:6])
    offset = timedelta(hours=int(iso["hours"] or 0), minutes=int(iso["minutes"] or 0))
    try:
        zone = timezone(-offset if iso["sign"] == "-" else offset)
        moment = datetime(year, month, day, hour, minute, second, fraction, zone)
    except ValueError:
        return None
    return _of_datetime(moment)


def _of_datetime(moment: datetime) -> int | None:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    try:
        return (moment - _EPOCH) // timedelta(microseconds=1)
    except OverflowError:
        return None
