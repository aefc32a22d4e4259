"""Find repeated phrases."""

import re
from collections.abc import Iterator
from typing import NamedTuple

# Scripts without spaces between words, where a letter counts as half a word.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"
# Vowel signs and other marks, which `\w` does not match.
_COMBINING_MARKS = (
    "\u0300-\u036f\u064b-\u065f\u0900-\u0903\u093a-\u094f\u0951-\u0963\u0980-\u0dff"
)
_LETTERS = rf"(?:[^\W{_UNSPACED}]|[{_COMBINING_MARKS}])+"
_WORD = re.compile(rf"[{_UNSPACED}]|{_LETTERS}(?:['\u2019]{_LETTERS})*")
_LETTER = re.compile(f"[{_UNSPACED}]")
_PHRASE_WORDS = 3


class Repetition(NamedTuple):
    """A repeated phrase of three words or more."""

    times: int
    """The number of occurrences up to here."""

    end: int
    """The position after the phrase."""


def words(text: str) -> list[str]:
    """Return words in lower case; in scripts without spaces, letters."""
    return _WORD.findall(text.lower())


def is_unspaced(text: str) -> bool:
    """Return whether most of the text is in a script without spaces between words."""
    return 2 * len(_LETTER.findall(text)) > len(_WORD.findall(text))


def repetitions(text: str) -> Iterator[Repetition]:
    """Yield repeated phrases, but not repeated single words, such as laughter."""
    matches = [*_WORD.finditer(text)]
    lowered = [match[0].lower() for match in matches]
    size = 2 * _PHRASE_WORDS if is_unspaced(text) else _PHRASE_WORDS
    times: dict[tuple[str, ...], int] = {}
    last: dict[tuple[str, ...], int] = {}
    for start in range(len(lowered) - size + 1):
        phrase = tuple(lowered[start : start + size])
        if len({*phrase}) > 1 and start >= last.get(phrase, -size) + size:
            last[phrase] = start
            times[phrase] = times.get(phrase, 0) + 1
            if times[phrase] > 1:
                yield Repetition(times[phrase], matches[start + size - 1].end())
