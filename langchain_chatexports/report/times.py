"""Counts of messages by day, weekday and hour in one time zone."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone, tzinfo

from langchain_chatexports.chat_loaders import local_times
from langchain_chatexports.report.figures import TimeFigures, TimePoint, TimeUnit

LOCAL = "local"

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# The longest period for each unit.
_MAX_DAYS: tuple[tuple[TimeUnit, int], ...] = (
    ("day", 45),
    ("week", 45 * 7),
    ("month", 120 * 31),
)


def find_time_zone(name: str) -> tzinfo | None:
    """Return a time zone by its name."""
    return None if name == LOCAL else local_times.find_time_zone(name)


@dataclass
class TimeCounts:
    """Counts of messages by day, and by weekday and hour."""

    zone: tzinfo | None
    first: datetime | None = None
    last: datetime | None = None
    # By ordinal of the day, and by hour of the week.
    ai_days: Counter[int] = field(default_factory=Counter)
    other_days: Counter[int] = field(default_factory=Counter)
    hours: Counter[int] = field(default_factory=Counter)

    def add(self, seconds: object, *, is_ai: bool) -> None:
        """Count a message by its Unix time, if it has one."""
        if not isinstance(seconds, (int, float)):
            return
        try:
            # `fromtimestamp` refuses moments before 1970 on Windows.
            moment = (_EPOCH + timedelta(seconds=seconds)).astimezone(self.zone)
        except (OverflowError, OSError):  # `OSError` in the local zone.
            return
        self.first = min(moment, self.first or moment)
        self.last = max(moment, self.last or moment)
        (self.ai_days if is_ai else self.other_days)[moment.toordinal()] += 1
        self.hours[moment.weekday() * 24 + moment.hour] += 1

    def figures(self) -> TimeFigures:
        """Return the counts."""
        week = [[self.hours[day * 24 + hour] for hour in range(24)] for day in range(7)]
        days = self.ai_days.keys() | self.other_days.keys()
        period = max(days) - min(days) + 1 if days else 0
        unit: TimeUnit = next(
            (unit for unit, most in _MAX_DAYS if period <= most), "year"
        )
        return TimeFigures(
            zone=local_times.name_of_zone(self.zone) if self.zone else LOCAL,
            first=self.first,
            last=self.last,
            active_days=len(days),
            unit=unit,
            points=self._points(unit),
            by_hour=tuple(map(sum, zip(*week, strict=True))),
            by_weekday=tuple(map(sum, week)),
        )

    def _points(self, unit: TimeUnit) -> tuple[TimePoint, ...]:
        ai, others = Counter[int](), Counter[int]()
        for days, counts in ((self.ai_days, ai), (self.other_days, others)):
            for day, count in days.items():
                counts[_number(unit, day)] += count
        known = ai.keys() | others.keys()
        return tuple(
            TimePoint(start=_start(unit, number), ai=ai[number], others=others[number])
            for number in range(min(known, default=0), max(known, default=-1) + 1)
        )


def _number(unit: TimeUnit, ordinal: int) -> int:
    """Return the number of the day, week, month or year of a day."""
    if unit == "day":
        return ordinal
    if unit == "week":
        return (ordinal - 1) // 7  # The first of all days is a Monday.
    day = date.fromordinal(ordinal)
    return day.year * 12 + day.month - 1 if unit == "month" else day.year


def _start(unit: TimeUnit, number: int) -> date:
    if unit == "day":
        return date.fromordinal(number)
    if unit == "week":
        return date.fromordinal(number * 7 + 1)
    return (
        date(number // 12, number % 12 + 1, 1)
        if unit == "month"
        else date(number, 1, 1)
    )
