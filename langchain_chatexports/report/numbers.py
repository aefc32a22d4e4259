"""Number and duration formatting for pages and terminals."""

_DURATIONS = (
    (7 * 86_400, "wk"),
    (86_400, "d"),
    (3600, "h"),
    (60, "min"),
    (0, "s"),
)


def number(value: float, digits: int | None = None) -> str:
    """Format a number; without `digits`, with as few decimals as needed."""
    if digits is not None:
        return f"{value:,.{digits}f}"
    return f"{value:,}" if isinstance(value, int) else f"{value:,g}"


def duration(seconds: float) -> str:
    """Format a duration in a suitable unit: `45 s`, `37 min`, `1.5 h`."""
    size, unit = next((size, unit) for size, unit in _DURATIONS if seconds >= size)
    value = seconds / (size or 1)
    digits = 1 if value < 10 and round(value, 1) % 1 else 0  # noqa: PLR2004 - two digits are enough
    return f"{number(value, digits)} {unit}"
