"""Normalize text for comparing, and map places in it back to the original."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from langchain_chatexports.redaction.spans import Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "Word",
    "as_written",
    "comparable",
    "compared",
    "folded",
    "word_pattern",
    "words_of",
]

# Blocks that hold combining characters (Unicode 16).
_BLOCKS_WITH_MARKS = (
    *((0x300, 0x370), (0x483, 0x488), (0x591, 0x1D00), (0x1DC0, 0x1E00)),
    *((0x20D0, 0x2100), (0x302A, 0x3030), (0x3099, 0x309B), (0xA800, 0xAC00)),
    *((0xFE20, 0xFE30), (0x11000, 0x12000)),
)
_MARKS = [
    chr(code)
    for code in chain.from_iterable(range(*block) for block in _BLOCKS_WITH_MARKS)
    if unicodedata.category(chr(code))[0] == "M"
]
_ACCENTS = "".join(mark for mark in _MARKS if unicodedata.combining(mark))
_VOWEL_SIGNS = "".join(mark for mark in _MARKS if not unicodedata.combining(mark))

# Soft hyphens, zero-width characters, directions, fillers, selectors, keycaps.
_INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u20e3\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff"
)
_SPACES = "\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
_HYPHENS = "\u2010-\u2013\u2212"
# Jamo that follow on others, and the voice marks of halfwidth kana.
_TRAILING = f"{''.join(_MARKS)}\u1160-\u11ff\ud7b0-\ud7ff\uff9e\uff9f"
# Ligatures, fullwidth and halfwidth forms, compatibility ideographs, and the letters of
# mathematics and in circles that people write "fonts" with.
_OTHER_FORMS = (
    "\u24b6-\u24e9\u2460-\u2473\uf900-\ufaff\ufb00-\ufdff\ufe70-\ufeff\uff00-\uffef"
    "\U0001d400-\U0001d7ff\U0002f800-\U0002fa1f"
)
_UNUSUAL = re.compile(
    f"[{_INVISIBLE}{_SPACES}{_HYPHENS}{_OTHER_FORMS}{_ACCENTS}\u1100-\u11ff"
    "\ud7b0-\ud7ff]|[^\\D0-9]"
)
_INVISIBLE_ONE = re.compile(f"[{_INVISIBLE}]")
_ACCENT = re.compile(f"[{_ACCENTS}]")
_HYPHEN = re.compile(f"[{_HYPHENS}]")
_CLUSTER = re.compile(
    rf"[\0-\x7f]+(?=[\0-\x7f]|\Z)|[^{_TRAILING}][{_TRAILING}]*|[{_TRAILING}]+"
)
# Unicode's stream-safe format (UAX 15): sorting marks takes quadratic time.
_MAX_MARKS = 30
_KEPT_FORMS = ("<super>", "<sub>", "<fraction>")
# Letters with a stroke or without a dot have no decomposition.
_STROKES = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "ħ": "h", "\u0131": "i", "ŧ": "t"}
    | {"æ": "ae", "œ": "oe", "þ": "th"}
)

_ASCII_WORD = re.compile("[A-Za-z0-9]+")
_PLAIN_WORD = re.compile(r"[^\W_]+")
_WORD = re.compile(rf"[^\W_]+(?:[{_VOWEL_SIGNS}]+[^\W_]*)*")
_FIRST_VOWEL_SIGN = "\u0900"


class Word(NamedTuple):
    """A word: its form for comparing, and its place in the text as it stands."""

    word: str
    start: int
    end: int


class _Comparable(NamedTuple):
    text: str
    # Of each of its characters: those of the text as it stands.
    starts: Sequence[int]
    ends: Sequence[int]


def comparable(text: str) -> str:
    """Return a text in its form for comparing.

    Characters are composed, digits are ASCII's, spaces and hyphens are of one kind,
    letters of other widths and fonts are plain ones, and what cannot be seen is left
    out. Case and accents stay.
    """
    form = _comparable(text)
    return text if form is None else form.text


def compared(text: str) -> tuple[str, _Comparable | None]:
    """Return a text's form for comparing, and what `as_written` needs.

    Args:
        text: The text.

    Returns:
        The form, and `None` where it is the text itself, as of most texts.
    """
    form = _comparable(text)
    return (text, None) if form is None else (form.text, form)


def as_written(spans: Iterable[Span], form: _Comparable | None) -> list[Span]:
    """Return spans of a form for comparing as spans of the text as it stands."""
    if form is None:
        return list(spans)
    return [
        Span(form.starts[span.start], form.ends[span.end - 1], span.kind)
        for span in spans
        if span.start < span.end
    ]


def words_of(text: str) -> list[Word]:
    """Return the words of a text."""
    form = _comparable(text)
    if form is None:
        words = word_pattern(text).finditer(text)
        return [Word(match[0], *match.span()) for match in words]
    words = word_pattern(form.text).finditer(form.text)
    return [
        Word(match[0], form.starts[match.start()], form.ends[match.end() - 1])
        for match in words
    ]


def word_pattern(text: str) -> re.Pattern[str]:
    """Return the pattern of a word in a text that is in its form for comparing.

    A word is letters and digits and, where the text has any, their vowel signs. Each
    pattern takes several times as long as the one before.
    """
    if text.isascii():
        return _ASCII_WORD
    return _PLAIN_WORD if max(text) < _FIRST_VOWEL_SIGN else _WORD


def folded(word: str) -> str:
    """Return a word without its case and accents, in its form for comparing."""
    if word.isascii():
        return word.lower()
    plain = unicodedata.normalize("NFKD", comparable(word))
    bare = _ACCENT.sub("", plain)
    return bare.casefold().translate(_STROKES)


def _comparable(text: str) -> _Comparable | None:
    """Return the form of a text, or `None` if it is the text itself."""
    return None if text.isascii() else _normalized(text)


@lru_cache(maxsize=4)  # Patterns and names look at one text, one after the other.
def _normalized(text: str) -> _Comparable | None:
    if _UNUSUAL.search(text) is None:
        return None
    pieces: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for match in _CLUSTER.finditer(text):
        start, end = match.span()
        cluster = match[0]
        if cluster.isascii():
            pieces.append(cluster)
            starts.extend(range(start, end))
            ends.extend(range(start + 1, end + 1))
            continue
        if len(cluster) > _MAX_MARKS:
            cluster = cluster[: _MAX_MARKS + 1]
        plain = _plain(cluster)
        pieces.append(plain)
        starts.extend([start] * len(plain))
        ends.extend([end] * len(plain))
    return _Comparable("".join(pieces), starts, ends)


@lru_cache(maxsize=4096)
def _plain(cluster: str) -> str:
    characters = "".join(map(_plain_character, cluster))
    if len(characters) == 1:
        return characters
    composed = unicodedata.normalize("NFC", characters)
    # Marks that no letter is composed with would part a word.
    return _ACCENT.sub("", composed)


def _plain_character(character: str) -> str:
    if _INVISIBLE_ONE.match(character):
        return ""
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    if character.isspace() and character not in "\n\r\t\v\f\x85\u2028\u2029":
        return " "
    if _HYPHEN.match(character):
        return "-"
    plain = unicodedata.normalize("NFKC", character)
    is_kept = unicodedata.decomposition(character).startswith(_KEPT_FORMS)
    if plain.isalnum() and not is_kept:
        return plain
    # Fullwidth signs, such as the commercial at.
    return plain if "\uff00" <= character <= "\uffef" else character
