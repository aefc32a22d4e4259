"""Times in microseconds since 1970-01-01 UTC, as in `Message.time`."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECONDS = 1_000_000
"""Microseconds per second."""


def to_microseconds(moment: datetime) -> int:
    """Convert an aware datetime to microseconds since 1970."""
    return (moment - EPOCH) // timedelta(microseconds=1)
