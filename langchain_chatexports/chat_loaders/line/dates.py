"""The days and times in LINE's files."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from langchain_chatexports.chat_loaders.local_times import LocalClock
from langchain_chatexports.chat_loaders.phrases import load_phrases
from langchain_chatexports.chat_loaders.text_exports import (
    CLOCK,
    day_number,
    seconds_of,
    to_utc,
)

_PHRASES = load_phrases(__package__)
MARKS = re.compile("[\u200b\u200e\u200f\u2066-\u2069\ufeff]")
# From Monday. Without dots and spaces, in lower case.
_WEEKDAYS = {
    name: number
    for number, names in enumerate(_PHRASES["weekdays"])
    for name in names.split()
}
_SEPARATOR = r"(?:[/.\-] ?)"
_WORD = r"[^\s\d()（），,.]{1,14}"  # noqa: RUF001 - full-width
_YEAR_FIRST = re.compile(
    rf"(?P<year>\d{{4}}){_SEPARATOR}(?P<a>\d{{1,2}}){_SEPARATOR}(?P<b>\d{{1,2}})\.?"
    rf" ?[(（]?(?P<word>{_WORD})?\.?[)）]?"  # noqa: RUF001 - full-width
)
_YEAR_LAST = re.compile(
    rf"(?:(?P<word>(?:{_WORD})\.?(?: \d)?)(?:,|(?<=\.)|(?= )),? ?)?"
    rf"(?P<a>\d{{1,2}}){_SEPARATOR}(?P<b>\d{{1,2}}){_SEPARATOR}(?P<year>\d{{4}})"
    rf"(?: г\.| ?[(（]?(?P<after>{_WORD})\.?[)）]?)?"  # noqa: RUF001 - full-width
)
_BUDDHIST_YEAR, _BUDDHIST_OFFSET = 2400, 543
TAB_LINE = re.compile(rf"{CLOCK}\t(?P<rest>.*)", re.DOTALL)
SPACE_LINE = re.compile(rf"{CLOCK} (?P<rest>.+)", re.DOTALL)
_HOUR, _NOON = 3600, 12
_THURSDAY = 3  # 1970-01-01
_MAX_DAY_LENGTH = 60


class _Day(NamedTuple):
    """The day of a line: as day and month, and as month and day."""

    dmy: int | None
    mdy: int | None


def find_days(line: str) -> _Day | None:
    """Return the possible days of a line; `None` if it is not the line of a day.

    The weekday decides between day and month; a line with another one was typed.
    """
    line = MARKS.sub("", line).strip()
    is_year_first = True
    match = _YEAR_FIRST.fullmatch(line)
    if match is None:
        match, is_year_first = _YEAR_LAST.fullmatch(line), False
    if match is None:
        return None
    after = None if is_year_first else match["after"]
    word = re.sub(r"[. ]", "", match["word"] or after or "").casefold()
    weekday = _WEEKDAYS.get(word)
    if match["word"] and not is_year_first and weekday is None:
        return None
    year, a, b = int(match["year"]), int(match["a"]), int(match["b"])
    year -= _BUDDHIST_OFFSET if year >= _BUDDHIST_YEAR else 0
    orders = [(a, b)] if is_year_first else [(b, a), (a, b)]
    days = [day_number(year, month, day) for month, day in orders]
    if weekday is not None:
        days = [
            None if day is None or (day + _THURSDAY) % 7 != weekday else day
            for day in days
        ]
    return None if not any(day is not None for day in days) else _Day(days[0], days[-1])


class Days:
    """The lines of days in a file, with one order of day and month."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._days = {
            line: days
            for line in {*lines}
            if len(line) < _MAX_DAY_LENGTH and (days := find_days(line))
        }
        found = [self._days[line] for line in lines if line in self._days]
        certain = Counter(
            day.mdy is None for day in found if None in day and day.dmy != day.mdy
        )
        self._is_month_first = certain[False] > certain[True]
        if not certain:
            steps = [
                _count_steps_back([day[order] for day in found]) for order in (0, 1)
            ]
            self._is_month_first = steps[1] < steps[0]

    def get(self, line: str) -> int | None:
        """Return the day of a line."""
        days = self._days.get(line)
        if days is None:
            return None
        first, second = days[::-1] if self._is_month_first else days
        return second if first is None else first


def _count_steps_back(days: Sequence[int | None]) -> int:
    known = [day for day in days if day is not None]
    return sum(later < day for day, later in pairwise(known))


class Clock:
    """Converts the times of one file, which never decrease within a day."""

    def __init__(self, clock: LocalClock) -> None:
        self.day: int | None = None
        self._clock = clock
        self._last = 0

    def begin(self, day: int) -> None:
        """Begin a day."""
        self.day, self._last = day, 0

    def read(self, match: re.Match[str]) -> int | None:
        """Return the time of a line in UTC."""
        seconds = seconds_of(match)
        if seconds is None or self.day is None:
            return None
        # Some phones write noon with the marker of the morning.
        if seconds < _HOUR <= self._last and int(match["hour"]) == _NOON:
            seconds += _NOON * _HOUR
        self._last = max(self._last, seconds)
        return to_utc(self.day, seconds, self._clock)
