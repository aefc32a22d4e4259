"""The gazetteer: find the names of an export in its texts."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from langchain_chatexports.redaction.normalization import (
    Word,
    comparable,
    folded,
    word_pattern,
    words_of,
)
from langchain_chatexports.redaction.spans import Span
from langchain_chatexports.redaction.words import (
    COMMON_WORDS,
    LABELS,
    PARTICLES,
    SENTENCE_OPENERS,
    TIMES_OF_YEAR,
)

_NUMBER = re.compile(r"[+(]?\d[\d ()./\u00a0-]{2,}")
_HANDLE_SIGNS = re.compile(r"[\d_@.]")
_UMLAUTS = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ø": "oe"}
)
_JOINED = re.compile(r"(?<!\w)\w{1,40}(?:['\u2019\u02bc`-]\w{1,40}){1,4}")

# Scripts that write names without spaces around them: Thai, kana, Han, Hangul.
_HAN = "\u3005\u3400-\u4dbf\u4e00-\u9fff"
_UNSPACED_RUN = re.compile(
    f"[{_HAN}]+|[\u3040-\u309f]+|[\u30a0-\u30ff]+|[\uac00-\ud7af]+|[\u0e00-\u0e7f]+"
)
# A name of three characters is one and two, or two and one; a longer one begins with a
# family name of two or three.
_CAN_SPLIT = re.compile(f"[{_HAN}]{{3,6}}|[\uac00-\ud7af]{{3,4}}")
_FAMILY_NAME_LENGTHS = {3: (1, 2), 4: (2,), 5: (2, 3), 6: (2, 3)}
_HONORIFICS = frozenset(("さん", "ちゃん", "くん", "さま", "先生", "선생님", "คุณ", "พี่"))
_MAX_UNSPACED = 30

_SENTENCE_ENDS = frozenset(
    ".!?\u2026:;-\u2013\u2014\n\"'\u201c\u201d\u201e\u00ab\u00bb(\u00a1\u00bf"
)
# "in May", "the 5th of May", "end of May" and "May 5": a time of the year, not a name.
_BEFORE_A_TIME = re.compile(
    r"(?:\b(?:in|since|until|till|during|early|late|mid|last|next|this|every|im|seit|bis"
    r"|ab|anfang|mitte|ende|letzten|nächsten|diesen|jeden|en|hasta|desde|durante|avant"
    r"|depuis|jusqu'en|fin|début|mi)[ -]"
    r"|\d(?:st|nd|rd|th|er|\.)? ?(?:(?:of|de) )?"
    r"|\b(?:end|beginning|start|middle|month|week|rest|most) of )\Z",
    re.IGNORECASE,
)
_AFTER_A_TIME = re.compile(r"(?: the)?,? \d")
# At the start of a sentence: an address ("Mark, …"), or a verb ("Mark said").
_AFTER_A_PERSON = re.compile(
    r"[,!?]"
    r"| (?:says|said|told|asks|asked|called|texted|wants|thinks|knows|wrote|sent|forgot"
    r"|and I|sagt|sagte|meint|meinte|fragt|fragte|schreibt|schrieb|und ich|dice|dijo"
    r"|quiere|piensa|sabe|pregunta|escribe|y yo|dit|veut|pense|demande|et moi)\b"
)
_TITLE_BEFORE = re.compile(r"\b(?:Mrs?|Ms|Dr|Prof|Sr|Sra|Mme)\. ?\Z")
_NEARBY = 24
_AROUND = 200

_MAX_GAP = 3
_MAX_WORDS = 8
_SHORT = 2
_MIN_FOR_GENITIVE = 4
_MIN_FOR_GLUED = 6
_DIGITS = "0123456789"


class Gazetteer:
    """The names of an export: full names, their single words, nicknames and handles.

    Case, accents and their encoding do not matter, and genitives are found as well. A
    name that is also a common word (`Mark`, `Rose`, `Sol`) is found if it is
    capitalized inside a sentence, used to address a person, or part of a full name.
    Full names are also found without the space, as in addresses of web pages.
    """

    def __init__(self, names: Iterable[str]) -> None:
        """Initialize with names, nicknames and handles, as written in the export."""
        self.surfaces: dict[str, str] = {}
        """The first spelling of each word and handle, by its folded form."""
        self.aliases: dict[str, str] = {}
        """The word of each alternative spelling (folded): umlauts, `OBrien`."""
        self._words: set[str] = set()
        self._glued: set[str] = set()
        # The kind of a name by its folded words, and their number by the first word.
        self._phrases: dict[tuple[str, ...], str] = {}
        self._lengths: dict[str, set[int]] = {}
        unspaced: set[str] = set()
        for name in sorted(names):
            if name.strip().casefold() not in LABELS:
                self._add(name, unspaced)
        signs = self._words | self._glued | self._lengths.keys()
        signs |= {f"{word}s" for word in self._words}
        self._signs = {sign.rstrip(_DIGITS) for sign in signs}
        longest_first = sorted(unspaced, key=len, reverse=True)
        self._unspaced = re.compile("|".join(longest_first)) if unspaced else None

    def find(self, text: str) -> list[Span]:
        """Find the names in a text: a span for each word (`name`) and each `handle`."""
        # A set operation excludes most texts.
        plain = folded(text)
        forms = word_pattern(plain).findall(plain)
        has_none = self._signs.isdisjoint(form.rstrip(_DIGITS) for form in forms)
        spans = [] if has_none else list(self._spaced(text))
        if self._unspaced is not None and not text.isascii():
            form = comparable(text)
            found = self._unspaced.finditer(form.text)
            spans += form.as_written(Span(*match.span(), "name") for match in found)
        return spans

    def _spaced(self, text: str) -> Iterator[Span]:
        words = [Word(folded(word), *place) for word, *place in words_of(text)]
        index = 0
        while index < len(words):
            phrase = self._phrase_at(text, words, index)
            if phrase is None:
                yield from self._span_of_word(text, words[index])
                index += 1
            else:
                yield from self._spans_of_phrase(phrase, self._phrases[_forms(phrase)])
                index += len(phrase)

    def _add(self, name: str, unspaced: set[str]) -> None:
        words = words_of(name)
        if not words:
            return
        if is_number(name):
            self._add_phrase(words, "phone")
        elif is_handle(name):
            self._add_phrase(words, "handle")
            handle = bare_handle(name)
            self.surfaces.setdefault(folded(handle), handle)
        else:
            if len(words) > 1:
                self._add_phrase(words, "name")
            spelled = {word: name[start:end] for word, start, end in words}
            telling = name_words(name)
            for word in telling:
                self.surfaces.setdefault(folded(word), spelled[word])
                self._add_word(word, unspaced)
            self._add_glued(telling[0], telling[-1])
            for joined in _JOINED.findall(comparable(name).text):
                self._add_joined(joined, telling)

    def _add_phrase(self, words: Sequence[Word], kind: str) -> None:
        phrase = tuple(folded(word.word) for word in words[:_MAX_WORDS])
        self._phrases.setdefault(phrase, kind)
        self._lengths.setdefault(phrase[0], set()).add(len(phrase))

    def _add_word(self, word: str, unspaced: set[str]) -> None:
        if _UNSPACED_RUN.search(word):
            parts = {word[:_MAX_UNSPACED], *_unspaced_parts(word)}
            self.surfaces.update((folded(part), part) for part in parts)
            unspaced.update(parts)
        elif folded(word) not in PARTICLES:
            self._words.add(folded(word))
            spelled_out = folded(word.translate(_UMLAUTS))
            if spelled_out != folded(word):
                self._words.add(spelled_out)
                self.aliases.setdefault(spelled_out, word)

    def _add_glued(self, first: str, last: str) -> None:
        first, last = folded(first), folded(last)
        if first != last and len(first + last) >= _MIN_FOR_GLUED:
            self._glued.update((first + last, last + first))

    def _add_joined(self, joined: str, telling: Sequence[str]) -> None:
        """Add `OBrien` for `O'Brien`, and `JeanLuc` for `Jean-Luc`."""
        parts = [word.word for word in words_of(joined)]
        known = [part for part in parts if part in telling]
        if len(known) == 1 and folded(known[0]) not in PARTICLES:
            glued = folded("".join(parts))
            self._words.add(glued)
            self.aliases.setdefault(glued, known[0])
        elif known:
            self._add_glued(known[0], known[-1])

    def _phrase_at(
        self, text: str, words: Sequence[Word], index: int
    ) -> Sequence[Word] | None:
        for length in sorted(self._lengths.get(words[index].word, ()), reverse=True):
            taken = words[index : index + length]
            kind = self._phrases.get(_forms(taken))
            if kind is not None and self._is_together(text, taken, kind):
                return taken
        return None

    def _is_together(self, text: str, taken: Sequence[Word], kind: str) -> bool:
        if kind == "handle":
            # Compare signs: "cool cat" is not @cool_cat.
            return folded(text[taken[0].start : taken[-1].end]) in self.surfaces
        gaps = (text[before.end : after.start] for before, after in pairwise(taken))
        return all(len(gap) <= _MAX_GAP and "\n" not in gap for gap in gaps)

    def _spans_of_phrase(self, phrase: Sequence[Word], kind: str) -> Iterator[Span]:
        if kind != "name":
            yield Span(phrase[0].start, phrase[-1].end, kind)
            return
        for word, start, end in phrase:
            if word in self._words:
                yield Span(start, end, "name")

    def _span_of_word(self, text: str, found: Word) -> Iterator[Span]:
        word, start, end = found
        if word in self._glued or self._is_name_with_digits(text, found):
            yield Span(start, end, "handle")
        elif word in self._words:
            is_plain = word not in COMMON_WORDS and len(word) > _SHORT
            if is_plain or _is_written_as_name(text, found):
                yield Span(start, end, "name")
        elif self._is_genitive(word):
            yield Span(start, end - 1, "name")

    def _is_name_with_digits(self, text: str, found: Word) -> bool:
        """Return whether a word is like `katherinewebb99`, or `ann92` after `@`."""
        bare = found.word.rstrip(_DIGITS)
        if bare == found.word:
            return False
        if bare in self._glued:
            return True
        is_called = text[found.start - 1 : found.start] == "@"
        is_long = len(bare) >= _MIN_FOR_GLUED and bare not in COMMON_WORDS
        return bare in self._words and (is_called or is_long)

    def _is_genitive(self, word: str) -> bool:
        # German has no apostrophe.
        stem = word[:-1]
        is_name = stem in self._words and stem not in COMMON_WORDS
        return is_name and word[-1] == "s" and len(stem) >= _MIN_FOR_GENITIVE


def name_words(name: str) -> list[str]:
    """Return a name's words without titles, particles and initials, if any are left."""
    words = [word.word for word in words_of(name)]
    telling = [
        word
        for word in words
        if folded(word) not in PARTICLES
        and not word.isdigit()
        and (len(word) > 1 or _UNSPACED_RUN.search(word))
    ]
    return telling or words


def is_handle(name: str) -> bool:
    """Return whether a name is one word with digits or signs, like a user name."""
    name = comparable(name).text.strip()
    return bool(_HANDLE_SIGNS.search(name)) and not any(c.isspace() for c in name)


def bare_handle(name: str) -> str:
    """Return a handle from its first to its last letter or digit, without `@`."""
    words = words_of(name)
    return name[words[0].start : words[-1].end] if words else name


def is_number(name: str) -> bool:
    """Return whether a name is a telephone number, or the short number of a service."""
    return bool(_NUMBER.fullmatch(comparable(name).text.strip()))


def _forms(words: Sequence[Word]) -> tuple[str, ...]:
    return tuple(word.word for word in words)


def _unspaced_parts(word: str) -> set[str]:
    """Return the parts of a full name without spaces, of two or more letters."""
    runs = [run for run in _UNSPACED_RUN.findall(word) if len(run) <= _MAX_UNSPACED]
    # Parts are separated by a change of script.
    parts = set(runs) if len(runs) > 1 else set()
    for run in filter(_CAN_SPLIT.fullmatch, runs):
        for length in _FAMILY_NAME_LENGTHS[len(run)]:
            parts.update((run[:length], run[length:]))
    return {part for part in parts if len(part) > 1} - _HONORIFICS


def _is_written_as_name(text: str, found: Word) -> bool:
    """Return whether a word that is also common looks like a name here."""
    word, start, end = found
    if not text[start].isupper():
        return False
    nearby = text[max(0, start - _NEARBY) : start]
    if word in TIMES_OF_YEAR and (
        _BEFORE_A_TIME.search(nearby) or _AFTER_A_TIME.match(text, end)
    ):
        return False
    if word not in SENTENCE_OPENERS:
        return True
    before = nearby.rstrip(" \t")[-1:]
    # In all capitals, case shows nothing.
    around = text[max(0, start - _AROUND) : end + _AROUND]
    is_shouted = len(word) < len(around) and around.isupper()
    if before and not is_shouted:
        is_inside = before.isascii() and before not in _SENTENCE_ENDS
        if is_inside or before.isalnum():
            return True
    return bool(_AFTER_A_PERSON.match(text, end) or _TITLE_BEFORE.search(nearby))
