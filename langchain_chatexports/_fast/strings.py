"""Format times from precomputed strings."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ISO_MINUTES = [f"T{minute // 60:02}:{minute % 60:02}:" for minute in range(24 * 60)]
_ISO_SECONDS = [f"{second:02}" for second in range(60)]
_THREE_DIGITS = [f"{value:03}" for value in range(1000)]
_ISO_SUFFIXES = ["+00:00", *(f".{digits}000+00:00" for digits in _THREE_DIGITS[1:])]
_DAY_SECONDS = 86_400


def format_iso_time(microseconds: int) -> str | None:
    """Format a time in ISO 8601.

    `None` if the year is not between 1 and 9999.
    """
    seconds = microseconds // 1_000_000
    date = _iso_date(seconds // _DAY_SECONDS)
    if date is None:
        return None
    second_of_day = seconds % _DAY_SECONDS
    millisecond, microsecond = microseconds // 1000 % 1000, microseconds % 1000
    if microsecond:
        suffix = f".{_THREE_DIGITS[millisecond]}{_THREE_DIGITS[microsecond]}+00:00"
    else:
        suffix = _ISO_SUFFIXES[millisecond]
    clock = f"{_ISO_MINUTES[second_of_day // 60]}{_ISO_SECONDS[second_of_day % 60]}"
    return f"{date}{clock}{suffix}"


@lru_cache(maxsize=4096)
def _iso_date(days: int) -> str | None:
    try:
        return (_EPOCH + timedelta(days=days)).date().isoformat()
    except OverflowError:
        return None
