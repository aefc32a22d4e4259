"""Convert local times to UTC: many exports do not name their time zone."""

import warnings
from datetime import datetime, timedelta, timezone, tzinfo
from pathlib import Path

HOUR = 3600
"""Seconds."""

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a local time
# Up to this many seconds back, messages are out of order and the clock unchanged.
_MAX_SWAP = 300


def find_time_zone(name: str | tzinfo | None) -> tzinfo | None:
    """Return a time zone by name; `None` is this machine's."""
    if name is None or isinstance(name, tzinfo):
        return name
    if name == "UTC":
        return timezone.utc  # Works without the system's list of zones.
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        msg = (
            f"There is no time zone {name!r}. Use a name such as Europe/Berlin; if the "
            "system has no list of time zones, install tzdata."
        )
        raise ValueError(msg) from error


def name_of_zone(zone: tzinfo | None) -> str:
    """Return the name of a time zone; `None` is this machine's."""
    if zone is None:
        here = datetime.now(timezone.utc).astimezone()
        return f"this machine's ({here.tzname()})"
    return getattr(zone, "key", None) or str(zone)


def warn_of_local_times(path: Path) -> None:
    """Warn that times without a zone are read in this machine's zone."""
    msg = (
        f"Times in {path} have no zone, and are read as {name_of_zone(None)}. For "
        "another zone, use for example --export-zone Europe/Berlin "
        "(timezone='Europe/Berlin')."
    )
    warnings.warn(msg, stacklevel=3)


class LocalClock:
    """Converts the local times of a chat to UTC, in the order of the chat.

    When clocks are set back, the repeated hour is read as the first one until times
    step back. When clocks are set forward, times in the skipped hour move on by it.
    """

    def __init__(self, zone: tzinfo | None) -> None:
        """Initialize the clock of a zone; `None` is this machine's."""
        self.is_used = False
        """Whether a time was converted."""

        self._zone = zone
        self.offsets: dict[int, int] = {}
        """The offset of each hour of local time converted so far, in seconds, without
        the hours in which clocks change."""

        self._changes: set[int] = set()
        self._last: int | None = None
        self._is_second = False

    def utc(self, local: int) -> int | None:
        """Return Unix seconds; `None` for years that Python cannot convert."""
        self.is_used = True
        hour = local // HOUR
        if hour not in self.offsets and hour not in self._changes:
            offset = self._offset_of_hour(hour)
            if offset is None:
                self._changes.add(hour)
            else:
                self.offsets[hour] = offset
        if hour in self.offsets:
            return local - self.offsets[hour]
        return self._at_change(local)

    def _offset_of_hour(self, hour: int) -> int | None:
        """Return the offset of an hour; `None` if it changes within the hour."""
        edges = (hour * HOUR, hour * HOUR + HOUR - 1)
        found = {self._offset(edge, fold) for edge in edges for fold in (0, 1)}
        return found.pop() if len(found) == 1 else None

    def _at_change(self, local: int) -> int | None:
        first, second = self._offset(local, 0), self._offset(local, 1)
        if first is None or second is None:
            return None
        if self._last is None or abs(local - self._last) > 2 * HOUR:
            self._is_second = False
        elif local < self._last - _MAX_SWAP:
            self._is_second = True
        self._last = local
        is_twice = first > second
        return local - (second if is_twice and self._is_second else first)

    def _offset(self, local: int, fold: int) -> int | None:
        try:
            moment = (_EPOCH + timedelta(seconds=local)).replace(fold=fold)
            if self._zone is None:
                # `astimezone` would keep a skipped time.
                return local - int(moment.timestamp())
            offset = self._zone.utcoffset(moment)
        except (OverflowError, OSError, ValueError):
            return None
        return None if offset is None else int(offset.total_seconds())
