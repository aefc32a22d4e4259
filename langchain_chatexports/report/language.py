"""The language of a report: English, unless the page in the browser shows it.

The page's languages override what is language here (`page/languages.py`). `make
catalogs` collects the sentences of `_` and `ngettext`, also from the templates.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any

_DURATIONS = (
    (7 * 86_400, "week"),
    (86_400, "day"),
    (3600, "hour"),
    (60, "minute"),
    (1, "second"),
)
_SHORT = {"week": "wk", "day": "d", "hour": "h", "minute": "min", "second": "s"}


class English:
    """English with its formats, as files and terminals have it."""

    @property
    def tag(self) -> str:
        """The tag of the language in HTML."""
        return "en"

    @property
    def weekdays(self) -> tuple[str, ...]:
        """The short names of the days of a week, Monday first."""
        return ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

    def text(self, sentence: str, many: str = "", **values: Any) -> str:
        """Return a sentence with its values; `many` is the plural for `count`."""
        words = self.words(sentence, many, values.get("count", 1))
        return words.format(**{name: self.shown(v) for name, v in values.items()})

    def words(self, sentence: str, many: str, count: int) -> str:
        """Return a sentence before its values are put in."""
        return many if many and count != 1 else sentence

    def shown(self, value: Any) -> str:
        """Return a value as it is written in a sentence."""
        return self.number(value) if isinstance(value, (int, float)) else str(value)

    def number(self, number: float, digits: int | None = None) -> str:
        """Return a number; without `digits` it has as many as it needs."""
        if digits is not None:
            return f"{number:,.{digits}f}"
        return f"{number:,}" if isinstance(number, int) else f"{number:,g}"

    def percent(self, share: float) -> str:
        """Return a share from 0 to 1 in percent."""
        return f"{share:.0%}"

    def day(self, moment: datetime) -> str:
        """Return a date."""
        return f"{moment:%Y-%m-%d}"

    def time(self, number: float, unit: str, digits: int) -> str:
        """Return a number of weeks, days, hours, minutes or seconds."""
        return f"{self.number(number, digits)} {_SHORT[unit]}"


_language: ContextVar[English] = ContextVar("language", default=English())  # noqa: B039 - it has no state


@contextmanager
def in_language(language: English) -> Iterator[None]:
    """Write reports in a language inside a `with`."""
    token = _language.set(language)
    try:
        yield
    finally:
        _language.reset(token)


def current() -> English:
    """Return the language of the report that is being written."""
    return _language.get()


def _(sentence: str, **values: Any) -> str:
    """Return a sentence in the language of the report."""
    return current().text(sentence, **values)


def ngettext(one: str, many: str, count: int, **values: Any) -> str:
    """Return a sentence with a count in the language of the report."""
    return current().text(one, many, count=count, **values)


def number(value: float, digits: int | None = None) -> str:
    """Return a number in the style of the language of the report."""
    return current().number(value, digits)


def duration(seconds: float) -> str:
    """Return a duration in a suitable unit: `45 s`, `37 min`, `1.5 h`."""
    size, unit = next(one for one in (*_DURATIONS, (0, "second")) if seconds >= one[0])
    value = seconds / (size or 1)
    digits = 1 if value < 10 and round(value, 1) % 1 else 0  # noqa: PLR2004 - two digits are enough
    return current().time(value, unit, digits)
