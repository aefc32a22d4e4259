"""Normalize text for comparison, and map positions in it back to the original."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain, filterfalse, pairwise
from typing import NamedTuple

from langchain_chatexports.redaction.spans import Span

# Soft hyphens, zero-width characters, directions, fillers, selectors, keycaps.
_INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u20e3\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff"
)
_INVISIBLE_ONE = re.compile(f"[{_INVISIBLE}]")
_HYPHENS = "\u2010\u2011\u2012\u2013\u2212"
_UNUSUAL = re.compile(f"[{_INVISIBLE}{_HYPHENS}]|[^\\D0-9]")
# Jamo that follow others, and the voice marks of halfwidth kana.
_TRAILING = re.compile("[\u1160-\u11ff\ud7b0-\ud7ff\uff9e\uff9f]")
_SELECTOR = re.compile("[\ufe00-\ufe0f\U000e0000-\U000e0fff]")
# Unicode's stream-safe format (UAX 15): sorting marks takes quadratic time.
_MAX_MARKS = 30
# Unicode does not decompose letters with a stroke or without a dot.
_STROKES = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "ħ": "h", "\u0131": "i", "ŧ": "t"}
    | {"æ": "ae", "œ": "oe", "þ": "th"}
)

_PLAIN_WORD = re.compile(r"[^\W_]+")
_VOWEL_SIGNS = "".join(
    sign
    for sign in map(chr, chain(range(0x900, 0x1D00), range(0xA800, 0xAC00)))
    if unicodedata.category(sign)[0] == "M" and not unicodedata.combining(sign)
)
# With vowel signs, which takes several times as long.
_WORD = re.compile(rf"[^\W_]+(?:[{_VOWEL_SIGNS}]+[^\W_]*)*")
_FIRST_VOWEL_SIGN = "\u0900"


class Word(NamedTuple):
    """A normalized word, and its position in the original text."""

    word: str
    start: int
    end: int


class Comparable(NamedTuple):
    """A normalized text, and the original position of each character."""

    text: str
    starts: Sequence[int]
    ends: Sequence[int]

    def as_written(self, spans: Iterable[Span]) -> list[Span]:
        """Convert spans of the normalized text to spans of the original."""
        return [
            Span(self.starts[span.start], self.ends[span.end - 1], span.kind)
            for span in spans
            if span.start < span.end
        ]


@lru_cache(maxsize=4)  # Patterns and names are searched in the same text.
def comparable(text: str) -> Comparable:
    """Normalize a text for comparison; case and accents are kept.

    Characters are composed, digits, spaces and hyphens become those of ASCII, letters
    of other widths and fonts become plain, and invisible characters are removed.
    """
    if text.isascii() or _is_usual(text):
        return Comparable(text, range(len(text)), range(1, len(text) + 1))
    pieces: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    clusters = [i for i, c in enumerate(text) if i == 0 or not _is_trailing(c)]
    for start, end in pairwise((*clusters, len(text))):
        plain = _plain(text[start : min(end, start + 1 + _MAX_MARKS)])
        pieces.append(plain)
        starts += [start] * len(plain)
        ends += [end] * len(plain)
    return Comparable("".join(pieces), starts, ends)


def words_of(text: str) -> list[Word]:
    """Return the words of a text."""
    form = comparable(text)
    return [
        Word(match[0], form.starts[match.start()], form.ends[match.end() - 1])
        for match in word_pattern(form.text).finditer(form.text)
    ]


def word_pattern(text: str) -> re.Pattern[str]:
    """Return the pattern of words in a normalized text."""
    has_vowel_signs = not text.isascii() and max(text) >= _FIRST_VOWEL_SIGN
    return _WORD if has_vowel_signs else _PLAIN_WORD


def folded(word: str) -> str:
    """Return a normalized word without case and accents."""
    if word.isascii():
        return word.lower()
    plain = unicodedata.normalize("NFKD", comparable(word).text)
    return _without_accents(plain).casefold().translate(_STROKES)


def _without_accents(text: str) -> str:
    return "".join(filterfalse(unicodedata.combining, text))


def _is_usual(text: str) -> bool:
    return (
        unicodedata.is_normalized("NFKC", text)
        and _UNUSUAL.search(text) is None
        and not any(map(unicodedata.combining, text))
    )


@lru_cache(maxsize=4096)
def _is_trailing(character: str) -> bool:
    if _SELECTOR.match(character):
        return False
    is_mark = unicodedata.category(character)[0] == "M"
    return is_mark or _TRAILING.match(character) is not None


@lru_cache(maxsize=4096)
def _plain(cluster: str) -> str:
    characters = "".join(map(_plain_character, cluster))
    if len(characters) == 1:
        return characters
    # Remaining combining marks would split a word.
    return _without_accents(unicodedata.normalize("NFC", characters))


def _plain_character(character: str) -> str:
    if _INVISIBLE_ONE.match(character):
        return ""
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    if unicodedata.category(character) == "Zs":
        return " "
    if character in _HYPHENS:
        return "-"
    plain = unicodedata.normalize("NFKC", character)
    # Keep superscripts and fractions, such as `m²` and `3º`.
    if unicodedata.decomposition(character).startswith(("<super", "<sub", "<frac")):
        return character
    # Change signs in fullwidth form only, such as the at sign.
    return plain if plain.isalnum() or "\uff00" <= character <= "\uffef" else character
