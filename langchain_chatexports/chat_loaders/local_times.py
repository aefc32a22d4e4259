"""Local times in UTC: many exports have times of a clock without its zone."""

import warnings
from datetime import datetime, timedelta, timezone, tzinfo
from pathlib import Path

HOUR = 3600
"""Seconds."""

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a local time
# Two messages that arrived out of order, and not the clock that was set back.
_MAX_SWAP = 300


def find_time_zone(name: str | tzinfo | None) -> tzinfo | None:
    """Return a time zone by its name; `None` stands for this machine's."""
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


def name_of_zone(zone: tzinfo | None) -> str:
    """Return what to call a zone; `None` is this machine's."""
    if zone is None:
        here = datetime.now(timezone.utc).astimezone()
        return f"this machine's ({here.tzname()})"
    return getattr(zone, "key", None) or str(zone)


def warn_of_local_times(path: Path) -> None:
    """Warn that times without a zone are read in this machine's."""
    msg = (
        f"Times in {path} have no zone, and are read as {name_of_zone(None)}. If that "
        "is wrong, give it: timezone='Europe/Berlin' (--export-zone Europe/Berlin), "
        "for example."
    )
    warnings.warn(msg, stacklevel=3)


class LocalClock:
    """Turns local times of one chat into UTC, in the order of the chat.

    In the hour that comes twice in autumn, times are of the first one until they step
    back; a time of the hour that is left out in spring is moved on by that hour.
    """

    def __init__(self, zone: tzinfo | None) -> None:
        """Initialize the clock of a zone; `None` is this machine's."""
        self.is_used = False
        """Whether a time was read."""

        self._zone = zone
        self.offsets: dict[int, int] = {}
        """What to subtract in an hour of local time; of hours that were met, and
        without those in which the clock is changed."""

        self._changes: set[int] = set()
        self._last: int | None = None
        self._is_second = False

    def utc(self, local: int) -> int | None:
        """Return Unix seconds; `None` outside the years that can be converted."""
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
        """Return the offset of a whole hour; `None` if it has several."""
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
                # Not by `astimezone`, which keeps a time that spring leaves out.
                return local - int(moment.timestamp())
            offset = self._zone.utcoffset(moment)
        except (OverflowError, OSError, ValueError):
            return None
        return None if offset is None else int(offset.total_seconds())
