"""When a message was sent: Unix time, or local time of the computer that exported."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Any

__all__ = ["Clock", "find_time_zone"]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MAX_DIGITS = 15  # Far after the year 9999.


def find_time_zone(name: str | tzinfo | None) -> tzinfo | None:
    """Return a time zone by its name.

    Args:
        name: A name such as `Europe/Berlin`, a zone itself, or `None`.

    Raises:
        ValueError: If there is no such zone.
    """
    if name is None or isinstance(name, tzinfo):
        return name
    if name == "UTC":
        return timezone.utc  # Known also where the system has no list of zones.
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        msg = (
            f"There is no time zone {name!r}. Give one such as Europe/Berlin; where "
            "the system has no list of them, install tzdata."
        )
        raise ValueError(msg) from error


class Clock:
    """Reads the times of messages, and notes whether one is not sure."""

    def __init__(self, zone: tzinfo | None) -> None:
        """Initialize the clock.

        Args:
            zone: Where the computer was that exported, if known.
        """
        self.lacks_zone = False
        """Whether a local time could not be used, for lack of a zone."""

        self.used_offset = False
        """Whether an offset in HTML was used, which may ignore daylight saving."""

        self._zone = zone
        self._local = lru_cache(maxsize=4096)(self._of_local)

    def seconds(self, raw: dict[str, Any]) -> int | None:
        """Return when a message was sent, in Unix seconds."""
        stamp = raw.get("date_unixtime")
        if isinstance(stamp, str) and len(stamp) <= _MAX_DIGITS:
            try:
                return int(stamp)
            except ValueError:
                pass
        date = raw.get("date")
        return self._local(date) if isinstance(date, str) and date else None

    def _of_local(self, date: str) -> int | None:
        try:
            moment = datetime.fromisoformat(date.replace("Z", "+00:00"))
        except ValueError:
            return None
        if self._zone is not None:
            moment = moment.replace(tzinfo=self._zone)
        elif moment.tzinfo is None:
            self.lacks_zone = True
            return None
        else:
            self.used_offset = True
        try:
            return (moment - _EPOCH) // timedelta(seconds=1)
        except (OverflowError, ValueError):
            return None
