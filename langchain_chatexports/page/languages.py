"""Translations of the page into the browser's language, from gettext's catalogs.

The keys are the English sentences, which `make catalogs` collects into `catalogs/`. A
sentence without a translation is shown in English. Values are formatted for the
language: numbers in its style, and right-to-left names isolated from the text around
them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from gettext import NullTranslations
from pathlib import Path
from typing import Any

from babel import Locale, UnknownLocaleError
from babel.dates import (
    format_date,
    format_datetime,
    format_interval,
    format_timedelta,
)
from babel.dates import format_time as format_clock_time
from babel.lists import format_list
from babel.numbers import format_decimal
from babel.numbers import format_percent as format_fraction
from babel.units import format_unit
from nicegui import ui

from langchain_chatexports._translation import (
    catalog_languages,
    read_catalog,
    translated_language_name,
)

CATALOGS = Path(__file__).with_name("catalogs")

# Language tags of Quasar and NiceGUI, where they differ from the catalog's name.
_TAGS = {"en": "en-US", "zh": "zh-CN", "ko": "ko-KR"}
_RTL_CLASSES = frozenset(
    {"R", "AL", "AN", "RLE", "RLO", "RLI", "LRE", "LRO", "LRI", "FSI"}
)
_ISOLATE_FORMAT = "\N{FIRST STRONG ISOLATE}{}\N{POP DIRECTIONAL ISOLATE}"
_WEEK_DAYS = 7


@dataclass(frozen=True)
class Language:
    locale: Locale
    translations: NullTranslations

    @property
    def tag(self) -> str:
        """The tag of the language in HTML, Quasar and NiceGUI."""
        return _TAGS.get(self.locale.language, self.locale.language)

    def render(self, message: LazyMessage) -> str:
        if not message.singular:
            return ""  # It is the key of a catalog's header.
        words = self.translations.gettext(message.singular)
        if message.plural:
            count = message.values["count"]
            words = self.translations.ngettext(message.singular, message.plural, count)
        values = message.values.items()
        return words.format(
            **{name: self.format_value(value) for name, value in values}
        )

    def format_value(self, value: Any) -> str:
        if isinstance(value, LazyMessage):
            return self.render(value)
        if isinstance(value, (int, float)):
            return self.number(value)
        return _isolate(str(value))

    def number(self, number: float, pattern: str | None = None) -> str:
        return format_decimal(number, pattern, locale=self.locale)


@dataclass(frozen=True)
class LazyMessage:
    """A message with its values, translated when it is shown.

    Background work creates messages without knowing the reader's language.
    """

    singular: str
    plural: str = ""
    values: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return current_language().render(self)


def lazy_gettext(sentence: str, **values: object) -> LazyMessage:
    return LazyMessage(sentence, values=values)


def _(sentence: str, **values: object) -> str:
    return str(lazy_gettext(sentence, **values))


def ngettext(singular: str, plural: str, count: int, **values: object) -> str:
    return str(LazyMessage(singular, plural, {"count": count, **values}))


def current_language() -> Language:
    """Return the language of the current browser; English without one."""
    try:
        header = ui.context.client.request.headers.get("accept-language", "")
    except RuntimeError:
        header = ""
    return negotiate_language(header)


@cache
def negotiate_language(header: str) -> Language:
    """Return the first language of an `Accept-Language` header that has a catalog."""
    for part in header.split(","):  # Browsers send the preferred one first.
        tag = part.partition(";")[0].strip()
        language = tag.partition("-")[0].lower()
        if language in {"en", *catalog_languages(CATALOGS)}:
            return Language(_locale(tag, language), read_catalog(CATALOGS, language))
    return Language(Locale("en"), NullTranslations())


def languages() -> list[Language]:
    return [negotiate_language(tag) for tag in ("en", *catalog_languages(CATALOGS))]


def _locale(tag: str, language: str) -> Locale:
    try:
        return Locale.parse(tag, sep="-")
    except (UnknownLocaleError, ValueError):
        return Locale(language)


def _isolate(text: str) -> str:
    if _RTL_CLASSES.isdisjoint(map(unicodedata.bidirectional, text)):
        return text
    return _ISOLATE_FORMAT.format(text)


def format_size(size_bytes: float) -> str:
    units = {"gigabyte": 1e9, "megabyte": 1e6, "kilobyte": 1e3}
    unit = next((u for u, size in units.items() if size_bytes >= size), "kilobyte")
    number, locale = size_bytes / units[unit], current_language().locale
    return format_unit(
        number, f"digital-{unit}", "short", format="#,##0.0", locale=locale
    )


def format_percent(fraction: float) -> str:
    return format_fraction(fraction, locale=current_language().locale)


def format_duration(seconds: float) -> str:
    """Format a duration in seconds, or at 100 or more in minutes, or in hours."""
    return format_timedelta(
        timedelta(seconds=round(max(seconds, 1))),
        "second",
        threshold=5 / 3,
        format="short",
        locale=current_language().locale,
    )


def time_left(seconds: float | None) -> str:
    if not seconds:
        return ""
    return _("about {duration} left", duration=format_duration(seconds))


def format_time(time: float) -> str:
    return format_datetime(_local(time), "short", locale=current_language().locale)


def format_clock(time: float) -> str:
    return format_clock_time(_local(time), "short", locale=current_language().locale)


def format_day(time: float) -> str:
    """Format the day, such as "Today", "Sunday" or "23 November 2025"."""
    days = _days_ago(time)
    if days in {0, 1}:
        return _("Yesterday") if days else _("Today")
    pattern = "EEEE" if 0 < days < _WEEK_DAYS else "long"
    return format_date(_local(time), pattern, locale=current_language().locale)


def format_short_time(time: float) -> str:
    days = _days_ago(time)
    if not days:
        return format_clock(time)
    pattern = "EEE" if 0 < days < _WEEK_DAYS else "short"
    return format_date(_local(time), pattern, locale=current_language().locale)


def _local(time: float) -> datetime:
    return datetime.fromtimestamp(time, UTC).astimezone()


def _days_ago(time: float) -> int:
    return (datetime.now(UTC).astimezone().date() - _local(time).date()).days


def format_days(first: datetime | None, last: datetime | None) -> str:
    """Format a period, such as "6 Jan - 5 Aug 2025"; empty if it is unknown."""
    if first is None or last is None:
        return ""
    return format_interval(
        first.astimezone(),
        last.astimezone(),
        "yMMMd",
        locale=current_language().locale,
    )


def format_names(names: Iterable[object]) -> str:
    return format_list(
        [_isolate(str(name)) for name in names], locale=current_language().locale
    )


def join_parts(*texts: object) -> str:
    return " · ".join(filter(None, map(str, texts)))


@dataclass(frozen=True)
class LanguageName:
    """A language or script, shown by its name in the reader's language."""

    english: str | None

    def __str__(self) -> str:
        return translated_language_name(self.english, current_language().locale)


def message_count_text(count: int) -> str:
    return ngettext("{count} message", "{count} messages", count)
