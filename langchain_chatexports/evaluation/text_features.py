"""Features of a text: its bubbles, words, habits and emoji."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING

import emoji

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "HABITS",
    "SPACED",
    "UNSPACED",
    "bubbles",
    "first_emoji",
    "habits",
    "has_spaced_words",
    "trigrams",
    "words",
]

_BREAK = re.compile(r"\n+")
_DIGIT = re.compile(r"\d")
# Thai, Lao, Burmese, Khmer, kana, Han.
_RANGES = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"
UNSPACED = f"[{_RANGES}]"
"""A letter of a script that puts no spaces between words."""

SPACED = rf"[^\W{_RANGES}]"
"""A letter or digit of any other script."""

_UNSPACED = re.compile(UNSPACED)
_WORD = re.compile(rf"{UNSPACED}|{SPACED}+(?:['\u2019]{SPACED}+)*")
# Eyes, a nose, and a mouth that may be repeated; hearts; faces that stand upright.
_EMOTICON = re.compile(
    r"(?<![\w:;=])(?:([:;=]['-]?)([()\[\]DdPpOo/\\|3*])\2*|([xX]D)D*|(<3)3*|(\^)_*\^"
    r"|(-)_+-)(?![\w/])"
)
_FIRST_EMOJI = "\u00a9"
_SKIN_TONES_AND_SELECTORS = dict.fromkeys([0xFE0E, 0xFE0F, *range(0x1F3FB, 0x1F400)])
# Emoji by the standard that people type as letters.
_LETTERLIKE = frozenset("©®™")

HABITS = (
    "ends with a period",
    "ends with an exclamation mark",
    "ends with a question mark",
    "dots in a row",
    "marks in a row",
    "comma",
    "begins with a capital",
    "no capital at all",
    "a word in capitals",
    "a letter three times running",
    "apostrophe",
    "a sentence ends inside",
)
"""What `habits` looks for, in its order."""

_DOTS = re.compile(r"\.\.|…")
_MARKS = re.compile(r"[!?]{2}")
_CAPITALS = re.compile(r"\b[^\W\d_]{2,}\b")
_LONG_LETTER = re.compile(r"([^\W\d_])\1\1", re.IGNORECASE)
_APOSTROPHE = re.compile(r"\w['\u2019]\w?")
_INNER_END = re.compile(r"[.!?…]+\s+\S")


def bubbles(reply: str) -> list[str]:
    """Return the single messages of a reply that may join several.

    Args:
        reply: A person's or a model's text; line breaks separate its bubbles.

    Returns:
        The bubbles in NFC; one empty one for an empty reply.
    """
    parts = (part.strip() for part in _BREAK.split(unicodedata.normalize("NFC", reply)))
    return [part for part in parts if part] or [""]


def words(text: str) -> list[str]:
    """Return the words of a text in lower case; an apostrophe inside belongs to one.

    Where a script puts no spaces between words, each letter stands for itself.
    """
    return _WORD.findall(text.lower())


def trigrams(bubble: str) -> list[str]:
    """Return the character 3-grams of a bubble; all digits count as 0."""
    text = f" {_DIGIT.sub('0', bubble)} "
    return [text[at : at + 3] for at in range(len(text) - 2)]


def habits(bubble: str) -> list[bool]:
    """Return which of the `HABITS` a bubble shows."""
    letters = [char for char in bubble if char.isalpha()]
    return [
        bubble.endswith("."),
        bubble.endswith("!"),
        bubble.endswith("?"),
        _DOTS.search(bubble) is not None,
        _MARKS.search(bubble) is not None,
        "," in bubble,
        bool(letters) and letters[0].isupper(),
        not any(char.isupper() for char in letters),
        any(word.isupper() for word in _CAPITALS.findall(bubble)),
        _LONG_LETTER.search(bubble) is not None,
        _APOSTROPHE.search(bubble) is not None,
        _INNER_END.search(bubble) is not None,
    ]


def first_emoji(bubble: str) -> str:
    """Return the first emoji or emoticon of a bubble, without skin tone, or `none`."""
    emoticon = _EMOTICON.search(bubble)
    place, found = len(bubble), "none"
    if emoticon is not None:
        place = emoticon.start()
        found = "".join(part for part in emoticon.groups() if part)
    if any(char > _FIRST_EMOJI for char in bubble[:place]):
        for match in _emoji_in(bubble[:place]):
            if match not in _LETTERLIKE:
                return match
    return found


@lru_cache(maxsize=65_536)
def _emoji_in(text: str) -> tuple[str, ...]:
    return tuple(
        str(match["emoji"]).translate(_SKIN_TONES_AND_SELECTORS)
        for match in emoji.emoji_list(text)
    )


def has_spaced_words(texts: Iterable[str]) -> bool:
    """Return whether the language puts spaces between words, by most of its letters."""
    letters = unspaced = 0
    for text in texts:
        unspaced += len(_UNSPACED.findall(text))
        letters += sum(char.isalpha() for char in text)
    return unspaced * 2 <= letters
