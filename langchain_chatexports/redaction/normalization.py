"""Normalize text for comparison and map positions back to the original."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain, filterfalse, pairwise
from typing import NamedTuple

from langchain_chatexports.redaction.spans import Span

# Soft hyphens, zero-width characters, direction marks, fillers, selectors, keycaps.
_INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u20e3\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff"
)
_INVISIBLE_ONE = re.compile(f"[{_INVISIBLE}]")
_HYPHENS = "\u2010\u2011\u2012\u2013\u2212"
_TO_NORMALIZE = re.compile(f"[{_INVISIBLE}{_HYPHENS}]|[^\\D0-9]")
# Non-initial jamo, and the voice marks of halfwidth kana.
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
# Also matches vowel signs, but takes several times as long.
_WORD = re.compile(rf"[^\W_]+(?:[{_VOWEL_SIGNS}]+[^\W_]*)*")
_FIRST_VOWEL_SIGN = "\u0900"
# In Chinese, Japanese and Korean, words follow a foreign name without a space.
_UNSPACED = "\u1100-\u11ff\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_UNSPACED_ONE = re.compile(f"[{_UNSPACED}]")
_MIXED_WORD = re.compile(
    rf"[{_UNSPACED}]+|{_WORD.pattern.replace('_]', f'_{_UNSPACED}]')}"
)


class Word(NamedTuple):
    """A normalized word and its position in the original text."""

    text: str
    start: int
    end: int


class NormalizedText(NamedTuple):
    """Normalized text and the original position of each character."""

    text: str
    starts: Sequence[int]
    ends: Sequence[int]

    def to_original(self, spans: Iterable[Span]) -> list[Span]:
        """Convert spans in the normalized text to spans in the original."""
        return [
            Span(self.starts[span.start], self.ends[span.end - 1], span.kind)
            for span in spans
            if span.start < span.end
        ]


@lru_cache(maxsize=4)  # Pattern and name searches use the same text.
def normalize(text: str) -> NormalizedText:
    """Normalize text for comparison, preserving case and accents.

    Composes characters, replaces digits, spaces and hyphens with ASCII, replaces
    letters of other widths and fonts with plain ones, and removes invisible characters.
    """
    if text.isascii() or _is_normalized(text):
        return NormalizedText(text, range(len(text)), range(1, len(text) + 1))
    pieces: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    clusters = [i for i, c in enumerate(text) if i == 0 or not _extends_cluster(c)]
    for start, end in pairwise((*clusters, len(text))):
        cluster = _normalize_cluster(text[start : min(end, start + 1 + _MAX_MARKS)])
        pieces.append(cluster)
        starts += [start] * len(cluster)
        ends += [end] * len(cluster)
    return NormalizedText("".join(pieces), starts, ends)


def find_words(text: str) -> list[Word]:
    """Return the normalized words in text, with their original positions."""
    normalized = normalize(text)
    starts, ends = normalized.starts, normalized.ends
    return [
        Word(match[0], starts[match.start()], ends[match.end() - 1])
        for match in get_word_pattern(normalized.text).finditer(normalized.text)
    ]


def get_word_pattern(text: str) -> re.Pattern[str]:
    """Return the word pattern for normalized text."""
    has_vowel_signs = not text.isascii() and max(text) >= _FIRST_VOWEL_SIGN
    if has_vowel_signs and _UNSPACED_ONE.search(text):
        return _MIXED_WORD
    return _WORD if has_vowel_signs else _PLAIN_WORD


def fold(word: str) -> str:
    """Normalize a word and remove case and accents."""
    if word.isascii():
        return word.lower()
    decomposed = unicodedata.normalize("NFKD", normalize(word).text)
    return _strip_accents(decomposed).casefold().translate(_STROKES)


def _strip_accents(text: str) -> str:
    return "".join(filterfalse(unicodedata.combining, text))


def _is_normalized(text: str) -> bool:
    return (
        unicodedata.is_normalized("NFKC", text)
        and _TO_NORMALIZE.search(text) is None
        and not any(map(unicodedata.combining, text))
    )


@lru_cache(maxsize=4096)
def _extends_cluster(character: str) -> bool:
    if _SELECTOR.match(character):
        return False
    is_mark = unicodedata.category(character)[0] == "M"
    return is_mark or _TRAILING.match(character) is not None


@lru_cache(maxsize=4096)
def _normalize_cluster(cluster: str) -> str:
    characters = "".join(map(_normalize_character, cluster))
    if len(characters) == 1:
        return characters
    # Strip the remaining combining marks, which would split a word.
    return _strip_accents(unicodedata.normalize("NFC", characters))


def _normalize_character(character: str) -> str:
    if _INVISIBLE_ONE.match(character):
        return ""
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    if unicodedata.category(character) == "Zs":
        return " "
    if character in _HYPHENS:
        return "-"
    normalized = unicodedata.normalize("NFKC", character)
    # Keep superscripts and fractions, such as `m²` and `3º`.
    if unicodedata.decomposition(character).startswith(("<super", "<sub", "<frac")):
        return character
    # Replace symbols only if they are fullwidth, such as the at sign.
    is_fullwidth = "\uff00" <= character <= "\uffef"
    return normalized if normalized.isalnum() or is_fullwidth else character
