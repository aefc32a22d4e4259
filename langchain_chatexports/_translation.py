"""Translations from gettext's catalogs, whose keys are the English sentences.

The page translates into the language of the browser, with a catalog of `read_catalog`.
The terminal speaks one language: the command line activates it, and `_` and `ngettext`
translate into it. Programs that use the library activate none and get English.
Errors and warnings are English sentences, which the terminal translates with
`translated` where it shows them.

Babel reads the catalogs. Without it, and for English, nothing of it is imported.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from gettext import NullTranslations
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from babel import Locale

# The first one that is set decides, as for gettext.
_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")


def catalog_languages(folder: Path) -> list[str]:
    """Return the languages of a folder of catalogs."""
    return sorted(file.stem for file in folder.glob("*.po"))


@cache
def read_catalog(folder: Path, language: str) -> NullTranslations:
    """Return the translations of a language; none for English."""
    if language == "en":
        return NullTranslations()
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po
    from babel.support import Translations

    compiled = BytesIO()
    with (folder / f"{language}.po").open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return Translations(compiled)


def translated_language_name(english: str | None, locale: Locale) -> str:
    """Return the name of a language or script, given its English name."""
    from babel import Locale as BabelLocale

    name, source = str(english).title(), BabelLocale("en")
    for names, translated in (
        (source.languages, locale.languages),
        (source.scripts, locale.scripts),
    ):
        code = next((code for code, known in names.items() if known == name), None)
        if code is not None:
            return str(translated.get(code, name))
    return name


@dataclass(frozen=True)
class _Language:
    translations: NullTranslations
    locale: Locale | None
    """`None` for English."""

    def format(self, words: str, values: Mapping[str, Any]) -> str:
        formatted = {
            name: self.number(value) if isinstance(value, (int, float)) else value
            for name, value in values.items()
        }
        return words.format(**formatted)

    def number(self, value: float, digits: int | None = None) -> str:
        if self.locale is None:
            kind = "f" if digits is not None else ""
            return f"{value:,{'' if digits is None else f'.{digits}'}{kind}}"
        from babel.numbers import format_decimal

        pattern = None if digits is None else f"#,##0.{'0' * digits}".rstrip(".")
        return format_decimal(value, pattern, locale=self.locale)


_ENGLISH = _Language(NullTranslations(), None)
_active = _ENGLISH


def activate(folder: Path, environment: Mapping[str, str] = os.environ) -> None:
    """Translate from now on into the user's language, if the folder has its catalog."""
    global _active  # noqa: PLW0603 - a program has one terminal
    value = next(filter(None, map(environment.get, _VARIABLES)), "")
    language = value.partition(".")[0].partition("_")[0].partition("@")[0].lower()
    _active = _ENGLISH
    if language not in catalog_languages(folder):
        return
    try:
        from babel import Locale

        _active = _Language(read_catalog(folder, language), Locale(language))
    except ImportError:  # It is part of the page's extra.
        return


def _(sentence: str, **values: object) -> str:
    """Translate a sentence for the terminal, with its values."""
    return _active.format(_active.translations.gettext(sentence), values)


def ngettext(singular: str, plural: str, count: int, **values: object) -> str:
    """Translate a sentence with a count for the terminal."""
    words = _active.translations.ngettext(singular, plural, count)
    return _active.format(words, {"count": count, **values})


class Sentence(str):
    """An English sentence with its values, of an error or a warning."""

    __slots__ = ("_sentence", "values")

    def __new__(cls, sentence: str, **values: object) -> Self:
        """Return the sentence with its values."""
        text = _ENGLISH.format(sentence, values) if values else sentence
        return super().__new__(cls, text)

    def __init__(self, sentence: str, **values: object) -> None:
        self._sentence, self.values = sentence, values

    def translated(self) -> str:
        """Return the sentence in the terminal's language."""
        words = _active.translations.gettext(self._sentence)
        values = {name: translated(value) for name, value in self.values.items()}
        return _active.format(words, values) if values else words


def translated(value: object) -> object:
    """Translate a sentence for the terminal; return any other value as it is."""
    return value.translated() if isinstance(value, Sentence) else value


def number(value: float, digits: int | None = None) -> str:
    """Format a number for the terminal."""
    return _active.number(value, digits)


def language_name(english: str | None) -> str:
    """Return the name of a language or script for the terminal."""
    if _active.locale is None:
        return str(english).title()
    return translated_language_name(english, _active.locale)
