"""The parts of a time in a header, in any script, with 12-hour clocks."""

from __future__ import annotations

from langchain_chatexports.chat_loaders.local_times import HOUR
from langchain_chatexports.chat_loaders.whatsapp.day_periods import add_to_hour

__all__ = ["NO_TIME", "HourSeconds", "PartSeconds"]

NO_TIME = -(10**6)
"""Stands for a part of a time that cannot be; any sum with it is negative."""

_MAX_HOUR = 24


class HourSeconds(dict[str, int]):
    """Seconds since midnight of an hour, with the word of the 12-hour clock behind it.

    `NO_TIME` for what is no hour of the day.
    """

    def __init__(self, *, has_period: bool) -> None:
        """Initialize the table: with words (all hours then need one), or without."""
        super().__init__()
        self._has_period = has_period

    def __missing__(self, text: str) -> int:
        """Read an hour on its first occurrence."""
        digits = text[: 2 if text[1:2].isdecimal() else 1]
        hour: int | None = int(digits)
        if self._has_period:
            hour = add_to_hour(int(digits), text[len(digits) :])
        elif int(digits) > _MAX_HOUR:
            hour = None
        # Some locales begin the day with 24.
        self[text] = seconds = NO_TIME if hour is None else hour % _MAX_HOUR * HOUR
        return seconds


class PartSeconds(dict[str, int]):
    """Seconds of two digits, in any script; `NO_TIME` from 60 on, 0 without digits."""

    def __init__(self, factor: int) -> None:
        """Initialize the table: 60 for minutes, 1 for seconds."""
        super().__init__({"": 0})
        self._factor = factor

    def __missing__(self, text: str) -> int:
        """Read two digits on their first occurrence."""
        number = int(text)
        self[text] = seconds = NO_TIME if number >= 60 else number * self._factor  # noqa: PLR2004 - minutes and seconds
        return seconds
