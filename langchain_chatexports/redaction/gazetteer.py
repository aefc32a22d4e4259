"""The gazetteer: find the names of an export in its texts."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from langchain_chatexports.redaction.common_words import (
    COMMON_WORDS,
    LABELS,
    PARTICLES,
    SENTENCE_OPENERS,
    TIMES_OF_YEAR,
)
from langchain_chatexports.redaction.normalization import (
    as_written,
    comparable,
    compared,
    folded,
    word_pattern,
    words_of,
)
from langchain_chatexports.redaction.spans import Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["Gazetteer", "bare_handle", "is_handle", "is_number", "name_words"]

_NUMBER = re.compile(r"[+(]?\d[\d ()./\u00a0-]{2,}")
_HANDLE_SIGNS = re.compile(r"[\d_@.]")
# Scripts that write names without spaces around them.
_UNSPACED = re.compile(
    "[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]"
)
_UMLAUTS = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ø": "oe"}
)
_SENTENCE_ENDS = frozenset(
    ".!?\u2026:;-\u2013\u2014\n\"'\u201c\u201d\u201e\u00ab\u00bb(\u00a1\u00bf"
)
_CALLS = frozenset(",!?")
# "in May", "the 5th of May", "end of May" and "May 5": a time of the year, no name.
_BEFORE_A_TIME = re.compile(
    r"(?:\b(?:in|since|until|till|during|early|late|mid|last|next|this|every|im|seit|bis"
    r"|ab|anfang|mitte|ende|letzten|nächsten|diesen|jeden|en|hasta|desde|durante|avant"
    r"|depuis|jusqu'en|fin|début|mi)[ -]"
    r"|\d(?:st|nd|rd|th|er|\.)? ?(?:(?:of|de) )?"
    r"|\b(?:end|beginning|start|middle|month|week|rest|most) of )\Z",
    re.IGNORECASE,
)
_AFTER_A_TIME = re.compile(r"(?: the)?,? \d")
# At the beginning of a sentence a word that only people are followed by decides.
_AFTER_A_PERSON = re.compile(
    r" (?:says|said|told|asks|asked|called|texted|wants|thinks|knows|wrote|sent|forgot"
    r"|and I|sagt|sagte|meint|meinte|fragt|fragte|schreibt|schrieb|und ich|dice|dijo"
    r"|quiere|piensa|sabe|pregunta|escribe|y yo|dit|veut|pense|demande|et moi)\b"
)
_TITLE_BEFORE = re.compile(r"\b(?:Mrs?|Ms|Dr|Prof|Sr|Sra|Mme)\. ?\Z")
_NEARBY = 24
_MAX_GAP = 3
_SHORT = 2
_MIN_FOR_GENITIVE = 4
_MIN_FOR_GLUED = 6
_DIGITS = "0123456789"

_Token = tuple[int, int, str]


class Gazetteer:
    """The names of an export: full names, their single words, nicknames and handles.

    Words are found without regard to case and accents, however these are encoded, and
    with a genitive too. A name that is also a word of a language (`Mark`, `Rose`,
    `Sol`) is found where it is capitalized inside a sentence, or called, or beside its
    full name. Full names are also found without the space, as in addresses of pages.
    """

    def __init__(self, names: Iterable[str]) -> None:
        """Initialize the gazetteer.

        Args:
            names: Display names, nicknames and handles, as the export writes them.
        """
        self._words: set[str] = set()
        self._phrases: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
        self._unspaced_words: set[str] = set()
        self.surfaces: dict[str, str] = {}
        """Each single word and handle of a person, in its first spelling, by its folded
        form."""
        self.aliases: dict[str, str] = {}
        """Words with umlauts, by how they are spelled without (folded)."""
        self._glued: set[str] = set()
        for name in sorted(names):
            if name.strip().casefold() not in LABELS:
                self._add(name)
        for phrases in self._phrases.values():
            phrases.sort(key=lambda phrase: -len(phrase[1]))
        # Most texts have none of these, which one set operation finds out.
        self._signs = self._words | {f"{word}s" for word in self._words}
        self._signs.update(self._phrases, self._glued)
        unspaced = sorted(self._unspaced_words, key=lambda word: (-len(word), word))
        self._unspaced = re.compile("|".join(map(re.escape, unspaced)) or "(?!)")

    def find(self, text: str) -> list[Span]:
        """Find the names in a text: a span a word (`name`), and one a `handle`."""
        if text.isascii():  # Most are, and need no other form.
            return self._found(text)
        text, form = compared(text)
        spans = self._found(text)
        if self._unspaced_words:
            spans += [
                Span(*match.span(), "name") for match in self._unspaced.finditer(text)
            ]
        return as_written(spans, form)

    def _found(self, text: str) -> list[Span]:
        plain = folded(text)
        words = word_pattern(plain).findall(plain)
        if "@" in text or not self._signs.isdisjoint(words):
            return list(self._spaced(text))
        return []

    def _add(self, name: str) -> None:
        words = [word.word for word in words_of(name)]
        if not words:
            return
        if is_number(name):
            self._add_phrase(words, "phone")
            return
        if is_handle(name):
            self._add_phrase(words, "handle")
            handle = bare_handle(name)
            self.surfaces.setdefault(folded(handle), handle)
            return
        if len(words) > 1:
            self._add_phrase(words, "name")
        spelled = {word: name[start:end] for word, start, end in words_of(name)}
        telling = name_words(name)
        for word in telling:
            self._add_word(word, spelled[word])
        first, last = folded(telling[0]), folded(telling[-1])
        if first != last and len(first + last) >= _MIN_FOR_GLUED:
            self._glued.update((first + last, last + first))

    def _add_word(self, word: str, spelled: str) -> None:
        self.surfaces.setdefault(folded(word), spelled)
        if _UNSPACED.search(word):
            for part in (word, *_given_name(word)):
                self.surfaces.setdefault(folded(part), part)
                self._unspaced_words.add(part)
        elif folded(word) not in PARTICLES:
            self._words.add(folded(word))
            spelled_out = folded(word.translate(_UMLAUTS))
            if spelled_out != folded(word):
                self._words.add(spelled_out)
                self.aliases.setdefault(spelled_out, word)

    def _add_phrase(self, words: Sequence[str], kind: str) -> None:
        first, *rest = map(folded, words)
        listed = self._phrases.setdefault(first, [])
        if (kind, (first, *rest)) not in listed:
            listed.append((kind, (first, *rest)))

    def _spaced(self, text: str) -> Iterator[Span]:
        tokens: list[_Token] = [
            (match.start(), match.end(), folded(match[0]))
            for match in word_pattern(text).finditer(text)
        ]
        has_at = "@" in text
        index = 0
        while index < len(tokens):
            start, end, word = tokens[index]
            phrase = None
            if word in self._phrases:
                phrase = self._phrase_at(text, tokens, index)
            if phrase is not None:
                kind, length = phrase
                taken = tokens[index : index + length]
                if kind != "name":
                    yield Span(taken[0][0], taken[-1][1], kind)
                else:
                    yield from (
                        Span(start, end, "name")
                        for start, end, word in taken
                        if word in self._words
                    )
                index += length
                continue
            if word in self._glued or (has_at and self._is_called(text, start, word)):
                yield Span(start, end, "handle")
                index += 1
                continue
            name_end = self._end_of_name(text, start, end, word)
            if name_end:
                yield Span(start, name_end, "name")
            index += 1

    def _is_called(self, text: str, start: int, word: str) -> bool:
        """Return whether a word is a name with digits behind an `@`."""
        bare = word.rstrip(_DIGITS)
        return (
            text[start - 1 : start] == "@"
            and bare != word
            and (bare in self._glued or bare in self._words)
        )

    def _phrase_at(
        self, text: str, tokens: Sequence[_Token], index: int
    ) -> tuple[str, int] | None:
        for kind, words in self._phrases[tokens[index][2]]:
            taken = tokens[index : index + len(words)]
            if tuple(word for _, _, word in taken) == words and self._is_together(
                text, taken, kind
            ):
                return kind, len(words)
        return None

    def _is_together(self, text: str, taken: Sequence[_Token], kind: str) -> bool:
        if kind == "handle":
            # Its signs count: "cool cat" is not @cool_cat.
            return folded(text[taken[0][0] : taken[-1][1]]) in self.surfaces
        gaps = (text[before[1] : after[0]] for before, after in pairwise(taken))
        return all(len(gap) <= _MAX_GAP and "\n" not in gap for gap in gaps)

    def _end_of_name(self, text: str, start: int, end: int, word: str) -> int | None:
        if word not in self._words:
            # German writes the genitive without an apostrophe.
            stem = word[:-1]
            if not (
                word.endswith("s")
                and len(stem) >= _MIN_FOR_GENITIVE
                and stem in self._words
                and stem not in COMMON_WORDS
            ):
                return None
            return end - 1
        if word in COMMON_WORDS or len(word) <= _SHORT:
            return end if _is_written_as_name(text, start, end, word) else None
        return end


def name_words(name: str) -> list[str]:
    """Return the words of a name that identify its person.

    Args:
        name: A display name.

    Returns:
        Its words, in their form for comparing, without titles, particles and initials;
        all of them, if that leaves nothing.
    """
    words = [word.word for word in words_of(name)]
    telling = [
        word
        for word in words
        if folded(word) not in PARTICLES
        and not word.isdigit()
        and (len(word) > 1 or _UNSPACED.search(word))
    ]
    return telling or words


def is_handle(name: str) -> bool:
    """Return whether a name is one word with digits or signs, as a user name is."""
    name = comparable(name).strip()
    return bool(_HANDLE_SIGNS.search(name)) and not any(c.isspace() for c in name)


def bare_handle(name: str) -> str:
    """Return a handle from its first to its last letter or digit, without `@`.

    Args:
        name: A name of which `is_handle` is true.

    Returns:
        The handle; the whole name, if it has neither letters nor digits.
    """
    words = words_of(name)
    return name[words[0].start : words[-1].end] if words else name


def is_number(name: str) -> bool:
    """Return whether a name is a telephone number, or a short one of a service."""
    return bool(_NUMBER.fullmatch(comparable(name).strip()))


def _given_name(word: str) -> set[str]:
    # Chinese and Korean full names of three: one for the family, two for the person.
    return {word[1:]} if len(word) == 3 else set()  # noqa: PLR2004 - see above


def _is_written_as_name(text: str, start: int, end: int, word: str) -> bool:
    """Return whether a word that is also a common one looks like a name here."""
    if not text[start].isupper():
        return False
    nearby = text[max(0, start - _NEARBY) : start]
    if word in TIMES_OF_YEAR and (
        _BEFORE_A_TIME.search(nearby) or _AFTER_A_TIME.match(text, end)
    ):
        return False
    if word not in SENTENCE_OPENERS:
        return True
    is_called = end < len(text) and text[end] in _CALLS
    before = text[:start].rstrip(" \t")
    # In a text of capitals they say nothing.
    if not (text[start:end].isupper() and text.isupper() and len(word) < len(text)):
        if before and before[-1].isascii() and before[-1] not in _SENTENCE_ENDS:
            return True
        if before and before[-1].isalnum():
            return True
    # A sentence starts with it: a call ("Mark, …") is a name for sure.
    return (
        is_called
        or _AFTER_A_PERSON.match(text, end) is not None
        or _TITLE_BEFORE.search(nearby) is not None
    )
