"""When a message was sent: Unix time, or local time of the computer that exported."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from langchain_chatexports.chat_loaders.local_times import HOUR, LocalClock

if TYPE_CHECKING:
    from datetime import tzinfo

__all__ = ["Clock"]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MAX_DIGITS = 15  # Far after the year 9999.
_SECOND = timedelta(seconds=1)


class Clock:
    """Reads the times of one chat's messages, and notes how."""

    def __init__(self, zone: tzinfo | None) -> None:
        """Initialize the clock.

        Args:
            zone: Where the computer was that exported; without it, an offset in the
                file counts, and where there is none, this machine's zone.
        """
        self.used_zone = False
        """Whether a local time was read in the zone."""

        self.used_offset = False
        """Whether an offset in HTML was used, which may ignore daylight saving."""

        self._has_zone = zone is not None
        self._local = LocalClock(zone)

    def seconds(self, raw: dict[str, Any]) -> int | None:
        """Return when a message was sent, in Unix seconds."""
        stamp = raw.get("date_unixtime")
        if type(stamp) is int:  # Of other programs that write this format.
            return stamp
        if isinstance(stamp, str) and len(stamp) <= _MAX_DIGITS:
            try:
                return int(stamp)
            except ValueError:
                pass
        date = raw.get("date")
        return self._of_date(date) if isinstance(date, str) and date else None

    def _of_date(self, date: str) -> int | None:
        try:
            moment = datetime.fromisoformat(date.replace("Z", "+00:00"))
            if moment.tzinfo is not None and not self._has_zone:
                self.used_offset = True
                return (moment - _EPOCH) // _SECOND
        except (OverflowError, ValueError):
            return None
        self.used_zone = True
        local = (moment.replace(tzinfo=timezone.utc) - _EPOCH) // _SECOND
        offset = self._local.offsets.get(local // HOUR)
        return self._local.utc(local) if offset is None else local - offset
