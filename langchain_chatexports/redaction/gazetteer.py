"""Find an export's own names in its texts."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from langchain_chatexports.redaction.common_words import (
    COMMON_WORDS,
    LABELS,
    PARTICLES,
    SENTENCE_OPENERS,
)
from langchain_chatexports.redaction.pseudonyms import folded
from langchain_chatexports.redaction.spans import Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["Gazetteer", "bare_handle", "is_handle", "is_number", "name_words"]

_WORD = re.compile(r"[^\W_]+")
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
_LONGEST_GAP = 3
_SHORT = 2
_LEAST_FOR_GENITIVE = 4

_Token = tuple[int, int, str]


class Gazetteer:
    """The names of an export: full names, their single words, nicknames and handles.

    Words are found without regard to case and accents, with a genitive too. A name
    that is also a word of a language (`Mark`, `Rose`, `Sol`) is found where it is
    capitalized inside a sentence, or called, or beside its full name.
    """

    def __init__(self, names: Iterable[str]) -> None:
        """Index the names.

        Args:
            names: Display names, nicknames and handles, as the export writes them.
        """
        self._words: set[str] = set()
        self._phrases: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
        self._unspaced_words: set[str] = set()
        self.surfaces: dict[str, str] = {}
        """Each single word and handle that stands for somebody, as it is written first,
        by its folded form."""
        self.aliases: dict[str, str] = {}
        """Words with umlauts, by how they are spelled without (folded)."""
        for name in sorted(names):
            if name.strip().casefold() not in LABELS:
                self._add(name)
        for phrases in self._phrases.values():
            phrases.sort(key=lambda phrase: -len(phrase[1]))
        # Most texts hold none of these: one look tells.
        self._signs = self._words | {f"{word}s" for word in self._words}
        self._signs.update(self._phrases)
        unspaced = sorted(self._unspaced_words, key=lambda word: (-len(word), word))
        self._unspaced = re.compile("|".join(map(re.escape, unspaced)) or "(?!)")

    def find(self, text: str) -> list[Span]:
        """Find the names in a text: a span a word (`name`), and one a `handle`."""
        spans: list[Span] = []
        if not self._signs.isdisjoint(_WORD.findall(folded(text))):
            spans += self._spaced(text)
        if self._unspaced_words and not text.isascii():
            spans += [
                Span(*match.span(), "name") for match in self._unspaced.finditer(text)
            ]
        return spans

    def _add(self, name: str) -> None:
        words = [match[0] for match in _WORD.finditer(name)]
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
        for word in name_words(name):
            self.surfaces.setdefault(folded(word), word)
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
            for match in _WORD.finditer(text)
        ]
        index = 0
        while index < len(tokens):
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
            start, end, word = tokens[index]
            name_end = self._end_of_name(text, start, end, word)
            if name_end:
                yield Span(start, name_end, "name")
            index += 1

    def _phrase_at(
        self, text: str, tokens: Sequence[_Token], index: int
    ) -> tuple[str, int] | None:
        for kind, words in self._phrases.get(tokens[index][2], ()):
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
        return all(len(gap) <= _LONGEST_GAP and "\n" not in gap for gap in gaps)

    def _end_of_name(self, text: str, start: int, end: int, word: str) -> int | None:
        if word not in self._words:
            # German writes the genitive without an apostrophe.
            stem = word[:-1]
            if not (
                word.endswith("s")
                and len(stem) >= _LEAST_FOR_GENITIVE
                and stem in self._words
                and stem not in COMMON_WORDS
            ):
                return None
            return end - 1
        if word in COMMON_WORDS or len(word) <= _SHORT:
            return end if _is_written_as_name(text, start, end, word) else None
        return end


def name_words(name: str) -> list[str]:
    """Give the words of a name that tell who it is.

    Args:
        name: A display name.

    Returns:
        Its words without titles, particles and initials; all of them, if that leaves
        nothing.
    """
    words = [match[0] for match in _WORD.finditer(name)]
    telling = [
        word
        for word in words
        if folded(word) not in PARTICLES
        and not word.isdigit()
        and (len(word) > 1 or _UNSPACED.search(word))
    ]
    return telling or words


def is_handle(name: str) -> bool:
    """Tell whether a name is one word with digits or signs: a user name, an address."""
    name = name.strip()
    return bool(_HANDLE_SIGNS.search(name)) and not any(c.isspace() for c in name)


def bare_handle(name: str) -> str:
    """Give a handle from its first to its last letter or digit, without `@`.

    Args:
        name: What `is_handle` says is one.

    Returns:
        The handle; the whole name, if it has neither letters nor digits.
    """
    ends = [match.span() for match in _WORD.finditer(name)]
    return name[ends[0][0] : ends[-1][1]] if ends else name


def is_number(name: str) -> bool:
    """Tell whether a name is a telephone number, or a short one of a service."""
    return bool(_NUMBER.fullmatch(name.strip()))


def _given_name(word: str) -> set[str]:
    # Chinese and Korean full names of three: one for the family, two for the person.
    return {word[1:]} if len(word) == 3 else set()  # noqa: PLR2004 - see above


def _is_written_as_name(text: str, start: int, end: int, word: str) -> bool:
    """Tell whether a word that is also a common one looks like a name here."""
    if not text[start].isupper():
        return False
    if word not in SENTENCE_OPENERS:
        return True
    before = text[:start].rstrip(" \t")
    if before and before[-1].isascii() and before[-1] not in _SENTENCE_ENDS:
        return True
    if before and before[-1].isalnum():
        return True
    # A sentence begins with it: only a call ("Mark, …") is a name for sure.
    return end < len(text) and text[end] in _CALLS
