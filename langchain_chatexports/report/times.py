"""Counts of messages by day, weekday and hour in one time zone."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone, tzinfo

from langchain_chatexports.chat_loaders import local_times
from langchain_chatexports.report.figures import TimeFigures, TimePoint, TimeUnit

LOCAL = "local"
"""The name of this machine's time zone."""

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


def moment_of(seconds: float, zone: tzinfo | None) -> datetime | None:
    """Return a datetime in a zone; `None` outside the years 1 to 9999."""
    try:
        # `fromtimestamp` refuses moments before 1970 on Windows.
        return (_EPOCH + timedelta(seconds=seconds)).astimezone(zone)
    except (OverflowError, OSError):  # `OSError` in the local zone.
        return None


@dataclass
class TimeCounts:
    """Counts of messages by day, and by weekday and hour."""

    zone: tzinfo | None
    first: datetime | None = None
    last: datetime | None = None
    without_time: int = 0
    # By ordinal of the day, and by hour of the week.
    ai_days: Counter[int] = field(default_factory=Counter)
    other_days: Counter[int] = field(default_factory=Counter)
    hours: Counter[int] = field(default_factory=Counter)

    def add(self, seconds: object, *, is_ai: bool) -> None:
        """Count a message by its Unix time, if it has one."""
        is_time = isinstance(seconds, (int, float))
        moment = moment_of(seconds, self.zone) if is_time else None  # type: ignore[arg-type] # checked a line before
        if moment is None:
            self.without_time += 1
            return
        if self.first is None or moment < self.first:
            self.first = moment
        if self.last is None or moment > self.last:
            self.last = moment
        (self.ai_days if is_ai else self.other_days)[moment.toordinal()] += 1
        self.hours[moment.weekday() * 24 + moment.hour] += 1

    def figures(self) -> TimeFigures:
        """Return the counts."""
        week = [[self.hours[day * 24 + hour] for hour in range(24)] for day in range(7)]
        days = self.ai_days.keys() | self.other_days.keys()
        unit = _unit_for(max(days) - min(days) + 1 if days else 0)
        return TimeFigures(
            zone=local_times.name_of_zone(self.zone) if self.zone else LOCAL,
            first=self.first,
            last=self.last,
            active_days=len(days),
            without_time=self.without_time,
            unit=unit,
            points=tuple(self._points(unit)),
            by_hour=tuple(map(sum, zip(*week, strict=True))),
            by_weekday=tuple(map(sum, week)),
        )

    def _points(self, unit: TimeUnit) -> Iterator[TimePoint]:
        ai, others = Counter[date](), Counter[date]()
        for days, starts in ((self.ai_days, ai), (self.other_days, others)):
            for day, count in days.items():
                starts[_start_of(unit, date.fromordinal(day))] += count
        known = ai.keys() | others.keys()
        if not known:
            return
        start, end = min(known), max(known)
        while start <= end:
            yield TimePoint(start=start, ai=ai[start], others=others[start])
            following = _after(unit, start)
            if following is None:
                return
            start = following


def _unit_for(days: int) -> TimeUnit:
    return next((unit for unit, most in _MAX_DAYS if days <= most), "year")


def _start_of(unit: TimeUnit, day: date) -> date:
    if unit == "day":
        return day
    if unit == "week":
        return date.fromordinal(max(1, day.toordinal() - day.weekday()))
    return day.replace(day=1) if unit == "month" else day.replace(month=1, day=1)


def _after(unit: TimeUnit, start: date) -> date | None:
    """Return the start of the next unit; `None` after the year 9999."""
    days = {"day": 1, "week": 7, "month": 31, "year": 366}[unit]
    try:
        return _start_of(unit, start + timedelta(days=days))
    except OverflowError:
        return None
