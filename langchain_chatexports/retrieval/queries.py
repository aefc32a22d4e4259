"""Prepare text and queries for SQLite's full-text search."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from math import sqrt
from pathlib import Path
from typing import NamedTuple

LINE_END = " \ue000\n"
"""Separator with a token that no query contains, so phrases cannot span messages."""

# Scripts without spaces between words, or (Hangul) with suffixes joined to words: Thai,
# Lao, Myanmar, Khmer, kana, Han, Hangul.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]+"
)
# Function words of English, German, Spanish and Hindi, which describe no topic; left
# out are those that are content in another of these languages ("die", "war", "hat").
_FUNCTION_WORDS = frozenset(
    Path(__file__).with_name("function_words.txt").read_text("utf-8").split()
)
# Words in questions about chats that do not describe a topic.
_QUESTION_WORDS = frozenset(
    """ask asked asks chat chats mention mentioned message messages said say says saying
    talk talked talking tell telling tells told write wrote written""".split()  # noqa: SIM905 - a list of words reads worse
)
# SQLite's `highlight` stops at NUL; search.py uses the others as marks.
_CONTROL_REPLACEMENTS = str.maketrans(dict.fromkeys("\0\x02\x03", " "))
# Only `_query_bigrams` may add asterisks, which search for prefixes.
_QUERY_REPLACEMENTS = {**_CONTROL_REPLACEMENTS, ord("*"): " "}
# A word in fewer windows is never common.
_MIN_COMMON, _MIN_COMMON_FRACTION = 8, 0.1
_QUESTION_MARKS = frozenset("?\uff1f\u061f")
_EDGE_PUNCTUATION = re.compile(r"^\W+|\W+$")
_QUERY_PARTS = re.compile(r'"([^"]*)"|([^\s"]+)')


def to_search_text(text: str) -> str:
    """Normalize text for indexing: one line, bigrams for scripts without spaces.

    A run of letters in these scripts becomes overlapping bigrams and its last letter,
    so that queries match each bigram, and each letter as a token's prefix.
    """
    text = text.translate(_CONTROL_REPLACEMENTS)
    if text.isascii():
        return " ".join(text.split())
    composed = unicodedata.normalize("NFKC", text)
    return " ".join(_UNSPACED.sub(_to_bigrams, composed).split())


def is_question(text: str) -> bool:
    """Return whether a text has a question mark."""
    return not _QUESTION_MARKS.isdisjoint(text)


def topic_words(query: str) -> list[str]:
    """Return the words in a question that describe its topic."""
    composed = unicodedata.normalize("NFKC", query).translate(_QUERY_REPLACEMENTS)
    words = [
        _EDGE_PUNCTUATION.sub("", word) for word in composed.replace('"', " ").split()
    ]
    return [word for word in words if word and not _is_function_word(word)]


class Expression(NamedTuple):
    """A query for SQLite's FTS5."""

    terms: tuple[str, ...]
    text: str
    """FTS5 query that matches any of the words; more and rarer words rank higher."""

    has_phrases: bool = False
    """Whether there are quoted phrases, which are required."""

    @property
    def all_terms(self) -> str:
        """FTS5 query that matches all words and phrases."""
        return " AND ".join(self.terms)

    def without_common(self, counts: Mapping[str, int], windows: int) -> Expression:
        """Require a rare term, if there is one; common ones then only affect the rank.

        Function words of all languages are common: "Wann gibt es Rouladen?".

        Args:
            counts: How many windows contain each term.
            windows: The number of windows.
        """
        found = [counts[term] for term in self.terms if counts[term]]
        if self.has_phrases or not found:
            return self
        # Half as informative as the rarest term: log(windows / count) is half as large.
        limit = max(
            _MIN_COMMON, _MIN_COMMON_FRACTION * windows, sqrt(min(found) * windows)
        )
        rare = tuple(term for term in self.terms if counts[term] <= limit)
        if len(rare) == len(self.terms) or not any(map(counts.get, rare)):
            return self
        return Expression(rare, f"({' OR '.join(rare)}) AND ({self.text})")


def match_expression(query: str) -> Expression | None:
    """Convert a question to an FTS5 expression; `None` if it has no words.

    Function words and words such as "said" are only used if there are no other
    words; `Expression.without_common` is for other languages. Quoted phrases are
    required; there are no other operators.
    """
    phrases: list[str] = []
    words: list[str] = []
    # Normalize first, since some symbols become quotation marks.
    composed = unicodedata.normalize("NFKC", query).translate(_QUERY_REPLACEMENTS)
    for phrase, word in _QUERY_PARTS.findall(composed):
        if tokens := _tokens(phrase):
            phrases.append(_quote(" ".join(tokens)))
        words += _tokens(word)
    content_words = [word for word in words if not _is_function_word(word)]
    if content_words or phrases:
        words = content_words
    terms = tuple(dict.fromkeys([*phrases, *map(_quote, words)]))
    any_term = " OR ".join(terms)
    if phrases:
        # The other words only affect the ranking.
        any_term = f"({' AND '.join(dict.fromkeys(phrases))}) AND ({any_term})"
    return Expression(terms, any_term, bool(phrases)) if terms else None


def _to_bigrams(run: re.Match[str]) -> str:
    letters = run[0]
    bigrams = [letters[i : i + 2] for i in range(len(letters))]
    return f" {' '.join(bigrams)} "


def _is_function_word(token: str) -> bool:
    word = _EDGE_PUNCTUATION.sub("", token).replace("\u2019", "'")
    return word.casefold() in _FUNCTION_WORDS or word.casefold() in _QUESTION_WORDS


def _tokens(text: str) -> list[str]:
    """Return the tokens of a question that contain letters or digits."""
    spaced_text = _UNSPACED.sub(lambda run: _query_bigrams(run[0]), text)
    return [part for part in spaced_text.split() if any(map(str.isalnum, part))]


def _query_bigrams(letters: str) -> str:
    if len(letters) == 1:
        return f" {letters}* "
    # The last letter is already in the last bigram.
    return f" {' '.join(letters[i : i + 2] for i in range(len(letters) - 1))} "


def _quote(token: str) -> str:
    text = token.removesuffix("*")
    is_prefix = text != token and _UNSPACED.fullmatch(text)
    return f'"{text}"*' if is_prefix else f'"{text}"'
