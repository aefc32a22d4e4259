"""Times and ids in the cells of a table, in their many forms."""

from __future__ import annotations

import math
import re
from datetime import date, datetime, timedelta, timezone, tzinfo
from email.utils import parsedate_to_datetime
from typing import Any

from langchain_chatexports.chat_loaders.date_order import DateStamp, day_of
from langchain_chatexports.chat_loaders.json_data import without_lone_surrogates

__all__ = ["TimeReader", "text_of", "written_date"]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_ZONE = r"(?P<zone>Z|UTC|GMT|(?P<sign>[+-])(?P<hours>\d\d):?(?P<minutes>\d\d)?)?"
# ISO 8601 as tables have it. Python's own reader takes other forms in each version.
_ISO = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d\d?)-(?P<day>\d\d?)"
    r"(?:[T ]+(?P<hour>\d\d?):(?P<minute>\d\d)"
    r"(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?"
    rf" ?{_ZONE})?",
    re.IGNORECASE,
)
# The same without marks. As a number, it would be a time in which nobody chats.
_ISO_BASIC = re.compile(
    r"(?P<date>(?:19|20)\d{6})(?:[T ]?(?P<time>\d{6})(?P<rest>\D.*)?)?"
)
_MAX_BASIC = 10**14
# What spreadsheets write: 01.05.2024 10:00, 5/1/24 10:00 PM, 2024/05/01.
_WRITTEN = re.compile(
    r"(?P<first>\d{4}|\d\d?)(?P<separator>[./-]) ?(?P<middle>\d\d?)(?P=separator) ?"
    r"(?P<third>\d{4}|\d\d?)"
    r"(?:(?:,?\s+|T)(?P<hour>\d\d?)[:.](?P<minute>\d\d)"
    r"(?:[:.](?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?"
    rf"(?:\s*(?P<period>[AP])\.?\s?M\.?)? ?{_ZONE})?",
    re.IGNORECASE,
)
# What `email.utils` passes over: it reads 10:00 PM as 10:00, and of JavaScript's
# `GMT+0200` no offset.
_WITH_PERIOD = re.compile(
    r"\b(?P<hour>\d\d?)(?P<rest>:\d\d(?::\d\d)?)\s*(?P<period>[AP])\.?\s?M\b\.?",
    re.IGNORECASE,
)
_BEFORE_OFFSET = re.compile(r"\b(?:GMT|UTC)(?=[+-]\d)")
_DATE_PARTS = ("year", "month", "day")
_TIME_PARTS = ("hour", "minute", "second")
_NOON = 12
_TEN = 10
_MAX_DAY = 31
_YEAR_DIGITS, _SHORT_YEAR_DIGITS = 4, 2
_FIRST_SHORT_YEAR = 70  # 1970; 69 is 2069.
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
# Numbers of this size and more are in the next smaller unit: in seconds, 10**11 is in
# the year 5138.
_UNITS = ((10**11, 1_000_000.0), (10**14, 1000.0), (10**17, 1.0))
_PER_NANOSECOND = 0.001
# Far after the year 9999 in any unit, and still exact as microseconds.
_MAX_NUMBER = 10**30
_MAX_TIME_LENGTH = 100  # Python refuses to read a number of 4,301 digits.


class TimeReader:
    """Reads the times of one file."""

    def __init__(
        self, zone: tzinfo | None = None, date_order: str | None = None
    ) -> None:
        """Initialize the reader.

        Args:
            zone: The zone of times that name none; without it, UTC.
            date_order: `dmy` or `mdy`, for dates such as `01/05/2024`; `ymd` for
                `24/05/01`.
        """
        self.used_zone = False
        """Whether a time named no zone."""

        self.unread = 0
        """How many values there were that are no time."""

        self.first_unread = 0
        """The number of the first such row, noted by who counts them."""

        self._zone = zone or timezone.utc
        self._order = date_order or "dmy"

    def microseconds(self, value: Any) -> int | None:
        """Read a time.

        Args:
            value: Seconds, milliseconds, microseconds or nanoseconds since 1970 (told
                by their size), ISO 8601, a date as spreadsheets write it, the form of
                e-mail headers, a datetime or a date.

        Returns:
            Microseconds since 1970-01-01 UTC, or `None` for what is no time.
        """
        microseconds = self._microseconds(value)
        if microseconds is None and text_of(value) is not None:
            self.unread += 1
        return microseconds

    def _microseconds(self, value: Any) -> int | None:
        if isinstance(value, bool) or value is None:
            return None
        if isinstance(value, (int, float)):
            basic = self._of_basic(str(value)) if 0 < value < _MAX_BASIC else None
            return _of_number(value) if basic is None else basic
        if isinstance(value, str):
            text = value.strip()
            return self._of_string(text) if len(text) <= _MAX_TIME_LENGTH else None
        if isinstance(value, datetime):
            return self._of_datetime(value)
        if isinstance(value, date):
            return self._of_parts(None, value.year, value.month, value.day)
        return None

    def _of_string(self, text: str) -> int | None:
        if (basic := self._of_basic(text)) is not None:
            return basic
        if _NUMBER.fullmatch(text):
            return _of_number(float(text) if "." in text else int(text))
        if iso := _ISO.fullmatch(text):
            return self._of_iso(iso)
        if written := _WRITTEN.fullmatch(text):
            return self._of_written(written)
        try:
            text = _BEFORE_OFFSET.sub("", _WITH_PERIOD.sub(_on_24_hours, text))
            return self._of_datetime(parsedate_to_datetime(text))
        except (ValueError, TypeError, IndexError, OverflowError):
            return None

    def _of_basic(self, text: str) -> int | None:
        basic = _ISO_BASIC.fullmatch(text)
        if basic is None:
            return None
        date, time = basic["date"], basic["time"]
        extended = f"{date[:4]}-{date[4:6]}-{date[6:]}"
        if time:
            extended += f"T{time[:2]}:{time[2:4]}:{time[4:]}{basic['rest'] or ''}"
        iso = _ISO.fullmatch(extended)
        return iso and self._of_iso(iso)

    def _of_iso(self, iso: re.Match[str]) -> int | None:
        year, month, day = (int(iso[part]) for part in _DATE_PARTS)
        return self._of_parts(iso, year, month, day)

    def _of_written(self, written: re.Match[str]) -> int | None:
        stamp = _stamp(written, 0, self._order)
        if stamp is None:
            return None
        try:
            is_year_first = stamp.first > _MAX_DAY
            order = "mdy" if self._order == "mdy" else "dmy"
            number = day_of(stamp, "ymd" if is_year_first else order)
            if number is None:
                return None
            day = _EPOCH + timedelta(days=number)
        except (ValueError, OverflowError):
            return None
        return self._of_parts(written, day.year, day.month, day.day)

    def _of_parts(
        self, clock: re.Match[str] | None, year: int, month: int, day: int
    ) -> int | None:
        parts: dict[str, Any] = clock.groupdict() if clock else {}
        hour, minute, second = (int(parts.get(part) or 0) for part in _TIME_PARTS)
        if period := parts.get("period"):
            if not 1 <= hour <= _NOON:
                return None
            hour = _hour_of_24(hour, period)
        fraction = int(f"{parts.get('fraction') or '':0<6}"[:6])
        try:
            moment = datetime(year, month, day, hour, minute, second, fraction)  # noqa: DTZ001 - the zone next
            if parts.get("zone"):
                offset = timedelta(
                    hours=int(parts["hours"] or 0), minutes=int(parts["minutes"] or 0)
                )
                is_west = parts["sign"] == "-"
                moment = moment.replace(tzinfo=timezone(-offset if is_west else offset))
        except ValueError:
            return None
        return self._of_datetime(moment)

    def _of_datetime(self, moment: datetime) -> int | None:
        if moment.tzinfo is None:
            self.used_zone = True
            moment = moment.replace(tzinfo=self._zone)
        try:
            return (moment - _EPOCH) // timedelta(microseconds=1)
        except OverflowError:
            return None

    def of_local(self, microseconds: int) -> int | None:
        """Return the time of a local one, both in microseconds since 1970-01-01."""
        self.used_zone = True
        if self._zone is timezone.utc:
            return microseconds
        try:
            moment = _EPOCH + timedelta(microseconds=microseconds)
        except OverflowError:
            return None
        return self._of_datetime(moment.replace(tzinfo=None))


def written_date(text: str, line: int, order: str | None = None) -> DateStamp | None:
    """Return the date of a time as spreadsheets write it; `None` for other forms.

    Args:
        text: The time.
        line: Where it stands.
        order: The order that the user gave.
    """
    if len(text) > _MAX_TIME_LENGTH:
        return None
    written = _WRITTEN.fullmatch(text.strip())
    return _stamp(written, line, order) if written else None


def text_of(value: Any) -> str | None:
    """Read an id or a name: numbers as they are counted, `None` for an empty cell."""
    if isinstance(value, str):
        return without_lone_surrogates(value).strip() or None
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # A column of whole numbers with gaps.
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (dict, list)):
        return None
    return str(value)


def _hour_of_24(hour: int, period: str) -> int:
    return hour % _NOON + (_NOON if period in "Pp" else 0)


def _on_24_hours(clock: re.Match[str]) -> str:
    hour = int(clock["hour"])
    if not 1 <= hour <= _NOON:
        msg = "no hour of the 12-hour clock"
        raise ValueError(msg)
    return f"{_hour_of_24(hour, clock['period'])}{clock['rest']}"


def _of_number(value: float) -> int | None:
    if not -_MAX_NUMBER < value < _MAX_NUMBER:  # Nor is it for NaN.
        return None
    factor = next((f for limit, f in _UNITS if abs(value) < limit), _PER_NANOSECOND)
    # Whole numbers stay exact.
    if isinstance(value, int):
        return value * int(factor) if factor >= 1 else value // 1000
    return math.floor(value * factor)


def _long_year(year: int) -> int:
    return year + (1900 if year >= _FIRST_SHORT_YEAR else 2000)


def _stamp(written: re.Match[str], line: int, order: str | None) -> DateStamp | None:
    texts = (written["first"], written["middle"], written["third"])
    first, middle, third = map(int, texts)
    is_year_first = len(texts[0]) == _YEAR_DIGITS
    is_year_last = len(texts[2]) == _YEAR_DIGITS
    if is_year_first and is_year_last:
        return None
    if not is_year_first and not is_year_last:
        if len(texts[2]) != _SHORT_YEAR_DIGITS:
            return None
        if order == "ymd":
            first = _long_year(first)
        else:
            third = _long_year(third)
    small = [len(one) > 1 for one in texts[:2] if int(one) < _TEN]
    is_padded = small[0] if small else None
    return DateStamp(first, middle, third, "", is_padded, line)
