"""How pages write numbers, durations, times and reasons; the same in every locale."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from langchain_chatexports.report.figures import Bin, TimePoint, TimeUnit

_TIME_UNITS = ((7 * 86_400, "wk"), (86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def duration(seconds: float) -> str:
    """Return a duration in its largest fitting unit: `45 s`, `37 min`, `1.5 h`."""
    for size, unit in _TIME_UNITS:
        if seconds >= size:
            number = seconds / size
            digits = 1 if number < 10 and round(number, 1) % 1 else 0  # noqa: PLR2004 - two digits are enough
            return f"{number:,.{digits}f} {unit}"
    return f"{seconds:.0f} s"


def day(moment: datetime | None) -> str:
    """Return the ISO 8601 date of a moment."""
    return "not known" if moment is None else f"{moment:%Y-%m-%d}"


def number_range(entry: Bin) -> str:
    """Return the whole numbers of a bin: `1`, `2 to 3`, `20 and more`."""
    if entry.below is None:
        return f"{entry.least:,} and more"
    if entry.below == entry.least + 1:
        return f"{entry.least:,}"
    return f"{entry.least:,} to {entry.below - 1:,}"


def short_range(entry: Bin) -> str:
    """Return the whole numbers of a bin in a label: `1`, `2-3`, `20+`."""
    if entry.below is None:
        return f"{entry.least}+"
    last = entry.below - 1
    return str(entry.least) if last == entry.least else f"{entry.least}-{last}"


def time_range(entry: Bin) -> str:
    """Return the durations of a bin: `10 s to 30 s`, `4 wk and more`."""
    if entry.below is None:
        return f"{duration(entry.least)} and more"
    return f"{duration(entry.least)} to {duration(entry.below)}"


def time_label(unit: TimeUnit, points: Sequence[TimePoint]) -> list[str]:
    """Return short labels for the points of a time line."""
    if unit in {"day", "week"}:
        years = {point.start.year for point in points}
        form = "{:%m-%d}" if len(years) == 1 else "{:%Y-%m-%d}"
        return [form.format(point.start) for point in points]
    if unit == "month":
        return [f"{point.start:%Y-%m}" for point in points]
    if unit == "quarter":
        return [
            f"{point.start.year} Q{(point.start.month + 2) // 3}" for point in points
        ]
    return [str(point.start.year) for point in points]
