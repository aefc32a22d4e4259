"""Message counts by day, weekday and hour in one time zone."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo

from langchain_chatexports.chat_loaders import local_times
from langchain_chatexports.report.figures import TimeFigures, TimePoint, TimeUnit

LOCAL = "local"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The maximum period for each unit.
_MAX_DAYS: tuple[tuple[TimeUnit, int], ...] = (
    ("day", 45),
    ("week", 45 * 7),
    ("month", 120 * 31),
)


def find_time_zone(name: str) -> tzinfo | None:
    """Return a time zone by its name; `None` for this machine's."""
    return None if name == LOCAL else local_times.find_time_zone(name)


@dataclass
class TimeCounts:
    """Counts of messages by day, weekday and hour."""

    zone: tzinfo | None
    first: datetime | None = None
    last: datetime | None = None
    ai_days: Counter[int] = field(default_factory=Counter)
    """The person's messages by the ordinal of the day."""

    other_days: Counter[int] = field(default_factory=Counter)
    """The others' messages by the ordinal of the day."""

    hours: Counter[int] = field(default_factory=Counter)
    """All messages by the hour of the week."""

    ai_hours: Counter[int] = field(default_factory=Counter)
    """The person's messages by the hour of the day."""

    def add(self, seconds: object, *, is_ai: bool) -> None:
        """Count a message by its Unix time, if it has one."""
        if not isinstance(seconds, (int, float)):
            return
        try:
            # `fromtimestamp` does not support times before 1970 on Windows.
            time = (_EPOCH + timedelta(seconds=seconds)).astimezone(self.zone)
        except (OverflowError, OSError):  # `OSError` in the local zone.
            return
        self.first = min(time, self.first or time)
        self.last = max(time, self.last or time)
        (self.ai_days if is_ai else self.other_days)[time.toordinal()] += 1
        self.hours[time.weekday() * 24 + time.hour] += 1
        self.ai_hours[time.hour] += is_ai

    def figures(self) -> TimeFigures:
        """Return the counts of all messages."""
        week = [[self.hours[day * 24 + hour] for hour in range(24)] for day in range(7)]
        days = self.ai_days.keys() | self.other_days.keys()
        period = max(days) - min(days) + 1 if days else 0
        unit: TimeUnit = next(
            (unit for unit, max_days in _MAX_DAYS if period <= max_days), "year"
        )
        return TimeFigures(
            zone=local_times.zone_name(self.zone) if self.zone else LOCAL,
            first=self.first,
            last=self.last,
            active_days=len(days),
            unit=unit,
            points=self._points(unit),
            by_hour=tuple(map(sum, zip(*week, strict=True))),
            by_weekday=tuple(map(sum, week)),
            ai_by_hour=tuple(self.ai_hours[hour] for hour in range(24)),
        )

    def _points(self, unit: TimeUnit) -> tuple[TimePoint, ...]:
        ai, others = Counter[int](), Counter[int]()
        for days, counts in ((self.ai_days, ai), (self.other_days, others)):
            for day, count in days.items():
                counts[_unit_index(unit, day)] += count
        indexes = ai.keys() | others.keys()
        return tuple(
            TimePoint(
                start=_unit_start(unit, index), ai=ai[index], others=others[index]
            )
            for index in range(min(indexes, default=0), max(indexes, default=-1) + 1)
        )


def _unit_index(unit: TimeUnit, ordinal: int) -> int:
    """Return the index of the unit that contains a day."""
    if unit == "day":
        return ordinal
    if unit == "week":
        return (ordinal - 1) // 7  # The first ordinal is a Monday.
    day = date.fromordinal(ordinal)
    return day.year * 12 + day.month - 1 if unit == "month" else day.year


def _unit_start(unit: TimeUnit, index: int) -> date:
    if unit == "day":
        return date.fromordinal(index)
    if unit == "week":
        return date.fromordinal(index * 7 + 1)
    return (
        date(index // 12, index % 12 + 1, 1) if unit == "month" else date(index, 1, 1)
    )
