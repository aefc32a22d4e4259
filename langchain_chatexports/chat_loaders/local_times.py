"""Convert local times to UTC, for exports that contain no time zone."""

from datetime import UTC, datetime, timedelta, tzinfo

from langchain_chatexports._translation import Sentence
from langchain_chatexports.chat_loaders.files import ExportFiles
from langchain_chatexports.chat_loaders.times import EPOCH, MICROSECONDS
from langchain_chatexports.exceptions import ExportWarning

_HOUR = 3600
# Smaller steps back are messages out of order, not a clock change.
_MAX_DISORDER_SECONDS = 300


def find_time_zone(name: str | tzinfo | None) -> tzinfo | None:
    """Look up a time zone by name; `None` stands for the local zone."""
    if name is None or isinstance(name, tzinfo):
        return name
    if name == "UTC":
        return UTC  # Works without a time zone database.
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        msg = (
            f"Unknown time zone {name!r}. Use a name such as Europe/Berlin; if the "
            "system has no time zone database, install tzdata."
        )
        raise ValueError(msg) from error


def zone_name(zone: tzinfo | None) -> str:
    """Return the name of a time zone; `None` stands for the local zone."""
    if zone is None:
        local_now = datetime.now(UTC).astimezone()
        return Sentence("this machine's ({zone})", zone=local_now.tzname())
    return getattr(zone, "key", None) or str(zone)


def report_local_times(zone: tzinfo | None, files: ExportFiles) -> None:
    """Add the zone of local times to the details, and warn if it is a guess."""
    files.details["time_zone"] = [zone_name(zone)]
    if zone is None:
        msg = Sentence(
            "Times in {path} have no time zone, and are read as {zone}.",
            path=files.path,
            zone=zone_name(None),
        )
        files.warn(ExportWarning(msg, guess=("timezone", "Europe/Berlin")))


class LocalClock:
    """Converts local times to UTC, in message order.

    When clocks are set back, times in the repeated hour belong to its first occurrence
    until a time is earlier than the previous one. When clocks are set forward, times in
    the skipped hour are moved later by the length of the change.
    """

    def __init__(self, zone: tzinfo | None) -> None:
        """Initialize the clock; `None` stands for the local zone."""
        self.is_used = False
        """Whether any time was converted."""

        self._zone = zone
        # UTC offsets in seconds by local hour; `None` if the clocks change.
        self._offsets: dict[int, int | None] = {}
        self._last: int | None = None
        self._is_second_occurrence = False

    def to_utc(self, local: int) -> int | None:
        """Convert seconds of local time since 1970 to microseconds in UTC.

        `None` for a time that Python does not support.
        """
        self.is_used = True
        hour = local // _HOUR
        if hour not in self._offsets:
            self._offsets[hour] = self._get_hour_offset(hour)
        offset = self._offsets[hour]
        if offset is None:
            offset = self._get_offset_near_change(local)
        return None if offset is None else (local - offset) * MICROSECONDS

    def _get_hour_offset(self, hour: int) -> int | None:
        """Return the UTC offset of an hour; `None` if it changes within the hour."""
        ends = (hour * _HOUR, hour * _HOUR + _HOUR - 1)
        offsets = {self._get_offset(edge, fold) for edge in ends for fold in (0, 1)}
        return offsets.pop() if len(offsets) == 1 else None

    def _get_offset_near_change(self, local: int) -> int | None:
        first, second = self._get_offset(local, 0), self._get_offset(local, 1)
        if first is None or second is None:
            return None
        if self._last is None or abs(local - self._last) > 2 * _HOUR:
            self._is_second_occurrence = False
        elif local < self._last - _MAX_DISORDER_SECONDS:
            self._is_second_occurrence = True
        self._last = local
        is_repeated = first > second
        return second if is_repeated and self._is_second_occurrence else first

    def _get_offset(self, local: int, fold: int) -> int | None:
        try:
            moment = EPOCH + timedelta(seconds=local)
            moment = moment.replace(tzinfo=None, fold=fold)
            if self._zone is None:
                # `astimezone` does not move times in the skipped hour.
                return local - int(moment.timestamp())
            offset = self._zone.utcoffset(moment)
        except (OverflowError, OSError, ValueError):
            return None
        return None if offset is None else int(offset.total_seconds())
