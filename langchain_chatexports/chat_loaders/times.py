"""Times in microseconds since 1970-01-01 UTC, as in `Message.time`."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECONDS = 1_000_000
"""Microseconds per second."""

_NO_TIME = -(2**80)


def sort_key(time: int | None) -> int:
    """Return the key for sorting by time; `None` comes first."""
    return _NO_TIME if time is None else time


def to_microseconds(moment: datetime) -> int:
    """Convert an aware datetime to microseconds since 1970."""
    return (moment - EPOCH) // timedelta(microseconds=1)
