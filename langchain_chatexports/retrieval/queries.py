"""Prepare texts and questions for SQLite's full-text search."""

import re
import unicodedata
from pathlib import Path
from typing import NamedTuple

LINE_END = " \ue000\n"
"""Separates messages: a word that no query has, so that no phrase spans two."""

# Scripts without spaces between words, or (Hangul) with endings joined to them: Thai,
# Lao, Myanmar, Khmer, kana, Han, Hangul.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]+"
)
# English function words, which say little about a topic.
_ENGLISH = frozenset(
    Path(__file__).with_name("function_words.txt").read_text("utf-8").split()
)
# Words that questions about chats contain, whatever their topic.
_OF_QUESTIONS = frozenset(
    """ask asked asks chat chats mention mentioned message messages said say says saying
    talk talked talking tell telling tells told write wrote written""".split()  # noqa: SIM905 - a list of words reads worse
)
# For SQLite's `highlight`, NUL ends a text; the others are its marks in search.py.
_NO_MARKS = str.maketrans(dict.fromkeys("\0\x02\x03", " "))
# `_pairs_of_question` adds stars of its own.
_NO_SIGNS = {**_NO_MARKS, ord("*"): " "}
_AROUND = re.compile(r"^\W+|\W+$")
_PARTS = re.compile(r'"([^"]*)"|([^\s"]+)')


def searchable(text: str) -> str:
    """Return a text on one line, with pairs of letters in scripts without spaces.

    A run of such letters becomes its overlapping pairs and its last letter, so that
    each pair can be found, and each letter as the prefix of a token.
    """
    text = text.translate(_NO_MARKS)
    if text.isascii():
        return " ".join(text.split())
    composed = unicodedata.normalize("NFKC", text)
    return " ".join(_UNSPACED.sub(_pairs, composed).split())


def telling_words(query: str) -> list[str]:
    """Return the words of a question that describe its topic."""
    composed = unicodedata.normalize("NFKC", query).translate(_NO_SIGNS)
    words = [_AROUND.sub("", word) for word in composed.replace('"', " ").split()]
    return [word for word in words if word and not _is_function_word(word)]


class Expression(NamedTuple):
    """A question for FTS5."""

    terms: tuple[str, ...]
    text: str
    """Texts with any of the words match; more and rarer words give a better score."""

    @property
    def all_terms(self) -> str:
        """The expression for texts with all of its words and phrases."""
        return " AND ".join(self.terms)


def match_expression(query: str) -> Expression | None:
    """Return a question as an expression for FTS5; `None` if it has no words.

    English function words, and words of questions about chats such as "said", are only
    used if there are no others. Phrases in quotation marks must occur; there are no
    other operators.
    """
    phrases: list[str] = []
    words: list[str] = []
    # Normalize first, since some signs become quotation marks.
    composed = unicodedata.normalize("NFKC", query).translate(_NO_SIGNS)
    for phrase, word in _PARTS.findall(composed):
        if tokens := _tokens(phrase):
            phrases.append(_quoted(" ".join(tokens)))
        words += _tokens(word)
    telling = [word for word in words if not _is_function_word(word)]
    words = [_quoted(word) for word in (telling if telling or phrases else words)]
    terms = tuple(dict.fromkeys([*phrases, *words]))
    any_term = " OR ".join(terms)
    if phrases:
        # The other words only affect the order.
        any_term = f"({' AND '.join(dict.fromkeys(phrases))}) AND ({any_term})"
    return Expression(terms, any_term) if terms else None


def _pairs(run: re.Match[str]) -> str:
    letters = run[0]
    pairs = [letters[i : i + 2] for i in range(len(letters))]
    return f" {' '.join(pairs)} "


def _is_function_word(token: str) -> bool:
    word = _AROUND.sub("", token).replace("\u2019", "'")
    return word.casefold() in _ENGLISH or word.casefold() in _OF_QUESTIONS


def _tokens(text: str) -> list[str]:
    """Return the tokens of a question that contain letters or digits."""
    # The last letter of a run is already in a pair, unless it is the only one.
    pairs = _UNSPACED.sub(lambda run: _pairs_of_question(run[0]), text)
    return [part for part in pairs.split() if any(map(str.isalnum, part))]


def _pairs_of_question(letters: str) -> str:
    if len(letters) == 1:
        return f" {letters}* "
    return f" {' '.join(letters[i : i + 2] for i in range(len(letters) - 1))} "


def _quoted(token: str) -> str:
    bare = token.removesuffix("*")
    return f'"{bare}"' + ("*" if bare != token and _UNSPACED.fullmatch(bare) else "")
