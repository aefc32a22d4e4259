"""Translations of the page into the browser's language, from gettext's catalogs.

A sentence's English text is its key. `make catalogs` collects them from this room into
`catalogs/`; a sentence without translation is shown in English. Values in a sentence
are formatted here: numbers in the style of the language, and names from right to left
isolated from the words beside them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from gettext import NullTranslations
from io import BytesIO
from pathlib import Path
from typing import Any

from babel import Locale, UnknownLocaleError
from babel.dates import format_datetime
from babel.lists import format_list
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent
from babel.support import Translations
from babel.units import format_unit
from nicegui import ui

CATALOGS = Path(__file__).with_name("catalogs")

# The names of languages in Quasar and NiceGUI.
_TAGS = {"en": "en-US", "zh": "zh-CN", "ko": "ko-KR"}
_TURNING = frozenset({"R", "AL", "AN", "RLE", "RLO", "RLI", "LRE", "LRO", "LRI", "FSI"})
_ISOLATED = "\N{FIRST STRONG ISOLATE}{}\N{POP DIRECTIONAL ISOLATE}"
_MAX_MINUTES = 100


@dataclass(frozen=True)
class Language:
    """A language of the page, with its format of numbers and dates."""

    locale: Locale
    translations: NullTranslations

    @property
    def tag(self) -> str:
        """The tag of the language in HTML, Quasar and NiceGUI."""
        return _TAGS.get(self.locale.language, self.locale.language)

    def render(self, sentence: Sentence) -> str:
        words = self.translations.gettext(sentence.one)
        if sentence.many:
            count = sentence.values["count"]
            words = self.translations.ngettext(sentence.one, sentence.many, count)
        values = sentence.values.items()
        return words.format(**{name: self.shown(value) for name, value in values})

    def shown(self, value: Any) -> str:
        if isinstance(value, Sentence):
            return self.render(value)
        if isinstance(value, (int, float)):
            return self.number(value)
        return _isolated(str(value))

    def number(self, number: float, digits: int | None = None) -> str:
        """Return a number; without `digits` it has as many as it needs."""
        pattern = None if digits is None else _with_digits("#,##0", digits)
        return format_decimal(number, pattern, locale=self.locale)

    def percent(self, share: float) -> str:
        return format_percent(share, locale=self.locale)

    def time(self, number: float, unit: str, digits: int) -> str:
        return format_unit(
            number,
            f"duration-{unit}",
            "short",
            format=_with_digits("0", digits),
            locale=self.locale,
        )


@dataclass(frozen=True)
class Sentence:
    """A sentence with its values, translated when it is shown.

    Work in the background creates sentences, and does not know their reader's language.
    """

    one: str
    many: str = ""
    values: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return current().render(self)


def later(sentence: str, **values: object) -> Sentence:
    """Return a sentence to translate when it is shown."""
    return Sentence(sentence, values=values)


def nlater(one: str, many: str, count: int, **values: object) -> Sentence:
    """Return a sentence with a count, to translate when it is shown."""
    return Sentence(one, many, {"count": count, **values})


def _(sentence: str, **values: object) -> str:
    """Return a sentence in the language of the current browser."""
    return str(later(sentence, **values))


def ngettext(one: str, many: str, count: int, **values: object) -> str:
    """Return a sentence with a count in the language of the current browser."""
    return str(nlater(one, many, count, **values))


def current() -> Language:
    """Return the language of the current browser; English without one."""
    try:
        header = ui.context.client.request.headers.get("accept-language", "")
    except RuntimeError:
        header = ""
    return language_for(header)


@cache
def language_for(header: str) -> Language:
    """Return the first language of an `Accept-Language` header that has a catalog."""
    for tag in _preferred(header):
        language = tag.partition("-")[0].lower()
        if language in {"en", *_catalogs()}:
            return Language(_locale(tag, language), _translations(language))
    return Language(Locale("en"), NullTranslations())


def languages() -> list[Language]:
    return [language_for(tag) for tag in ("en", *_catalogs())]


def _catalogs() -> list[str]:
    return [file.stem for file in CATALOGS.glob("*.po")]


def _preferred(header: str) -> list[str]:
    ranked = []
    for part in header.split(","):
        tag, _, quality = part.strip().partition(";q=")
        if tag.isascii() and tag.replace("-", "").isalnum():
            ranked.append((quality or "1", tag))
    return [tag for _, tag in sorted(ranked, key=lambda one: one[0], reverse=True)]


def _locale(tag: str, language: str) -> Locale:
    try:
        return Locale.parse(tag, sep="-")
    except (UnknownLocaleError, ValueError):
        return Locale(language)


@cache
def _translations(language: str) -> NullTranslations:
    if language == "en":
        return NullTranslations()
    compiled = BytesIO()
    with (CATALOGS / f"{language}.po").open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return Translations(compiled)


def _with_digits(pattern: str, digits: int) -> str:
    return f"{pattern}.{'0' * digits}" if digits else pattern


def _isolated(text: str) -> str:
    if _TURNING.isdisjoint(map(unicodedata.bidirectional, text)):
        return text
    return _ISOLATED.format(text)


# Numbers, times and lists


@dataclass(frozen=True)
class Size:
    """A size, shown in kilobytes, megabytes or gigabytes."""

    size_bytes: float

    def __str__(self) -> str:
        units = {"gigabyte": 1e9, "megabyte": 1e6, "kilobyte": 1e3}
        fitting = (name for name, size in units.items() if self.size_bytes >= size)
        unit = next(fitting, "kilobyte")
        number = self.size_bytes / units[unit]
        locale = current().locale
        return format_unit(
            number, f"digital-{unit}", "short", format="#,##0.0", locale=locale
        )


def duration(seconds: float) -> str:
    """Return a duration in minutes, or in hours from 100 minutes."""
    minutes = max(1.0, round(seconds / 60))
    if minutes >= _MAX_MINUTES:
        return current().time(seconds / 3600, "hour", 1)
    return current().time(minutes, "minute", 0)


@dataclass(frozen=True)
class TimeLeft:
    """An estimate of the remaining time; empty if it is not known."""

    seconds: float | None

    def __str__(self) -> str:
        """Return it as text; below two minutes in seconds."""
        if not self.seconds:
            return ""
        is_short = self.seconds < 120  # noqa: PLR2004 - two minutes
        left = short_time(self.seconds) if is_short else duration(self.seconds)
        return _("about {duration} left", duration=left)


def short_time(seconds: float) -> str:
    return current().time(max(1, round(seconds)), "second", 0)


def moment(time: datetime) -> str:
    return format_datetime(time.astimezone(), "short", locale=current().locale)


def listed(names: Iterable[object]) -> str:
    """Return a list of names, with the language's conjunction."""
    return format_list(
        [_isolated(str(name)) for name in names], locale=current().locale
    )


def facts(*texts: object) -> str:
    """Return texts on one line; empty ones are skipped."""
    return " · ".join(filter(None, map(str, texts)))


@dataclass(frozen=True)
class LanguageName:
    """The name of a language or a script, from its English one."""

    english: str | None

    def __str__(self) -> str:
        name, here, english = str(self.english).title(), current().locale, Locale("en")
        for own, theirs in (
            (english.languages, here.languages),
            (english.scripts, here.scripts),
        ):
            code = next((code for code, known in own.items() if known == name), None)
            if code is not None:
                return str(theirs.get(code, name))
        return name


def messages_text(count: int) -> str:
    return ngettext("{count} message", "{count} messages", count)
