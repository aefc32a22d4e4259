"""Numbers and durations as pages and terminals show them."""

_DURATIONS = (
    (7 * 86_400, "wk"),
    (86_400, "d"),
    (3600, "h"),
    (60, "min"),
    (0, "s"),
)


def number(value: float, digits: int | None = None) -> str:
    """Return a number; without `digits` it has as many as it needs."""
    if digits is not None:
        return f"{value:,.{digits}f}"
    return f"{value:,}" if isinstance(value, int) else f"{value:,g}"


def duration(seconds: float) -> str:
    """Return a duration in a suitable unit: `45 s`, `37 min`, `1.5 h`."""
    size, unit = next(one for one in _DURATIONS if seconds >= one[0])
    value = seconds / (size or 1)
    digits = 1 if value < 10 and round(value, 1) % 1 else 0  # noqa: PLR2004 - two digits are enough
    return f"{number(value, digits)} {unit}"
