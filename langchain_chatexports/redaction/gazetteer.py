"""The gazetteer: find the names of an export in its texts."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, pairwise

from langchain_chatexports.redaction.common_words import (
    COMMON_WORDS,
    LABELS,
    PARTICLES,
    SENTENCE_OPENERS,
    TIMES_OF_YEAR,
)
from langchain_chatexports.redaction.normalization import (
    comparable,
    comparable_form,
    folded,
    word_pattern,
    words_of,
)
from langchain_chatexports.redaction.spans import Span

_NUMBER = re.compile(r"[+(]?\d[\d ()./\u00a0-]{2,}")
_HANDLE_SIGNS = re.compile(r"[\d_@.]")
# Scripts that write names without spaces around them: Thai, kana, Han, Hangul.
_HAN = "\u3005\u3400-\u4dbf\u4e00-\u9fff"
_UNSPACED_RUN = re.compile(
    f"[{_HAN}]+|[\u3040-\u309f]+|[\u30a0-\u30ff]+|[\uac00-\ud7af]+|[\u0e00-\u0e7f]+"
)
_HONORIFICS = frozenset(("さん", "ちゃん", "くん", "さま", "先生", "선생님", "คุณ", "พี่"))
_UMLAUTS = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ø": "oe"}
)
_JOINED = re.compile(r"(?<!\w)\w{1,40}(?:['\u2019\u02bc`-]\w{1,40}){1,4}")
_SENTENCE_ENDS = frozenset(
    ".!?\u2026:;-\u2013\u2014\n\"'\u201c\u201d\u201e\u00ab\u00bb(\u00a1\u00bf"
)
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
_MAX_WORDS = 8
_MAX_UNSPACED = 30
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
        """Initialize with names, nicknames and handles, as the export writes them."""
        self.surfaces: dict[str, str] = {}
        """The first spelling of each word and handle, by its folded form."""
        self.aliases: dict[str, str] = {}
        """Words by how they are spelled too (folded): umlauts, `OBrien`."""
        self._words: set[str] = set()
        self._glued: set[str] = set()
        # The kind by the folded words of a name, and their numbers by its first word.
        self._phrases: dict[tuple[str, ...], str] = {}
        self._lengths: dict[str, set[int]] = {}
        self._unspaced: set[str] = set()
        for name in sorted(names):
            if name.strip().casefold() not in LABELS:
                self._add(name)
        # Most texts have none of these: one set operation decides.
        self._signs = self._words | {f"{word}s" for word in self._words}
        self._signs.update(self._lengths, self._glued)
        self._unspaced_firsts = frozenset(word[0] for word in self._unspaced)
        self._unspaced_lengths = sorted({*map(len, self._unspaced)}, reverse=True)

    def find(self, text: str) -> list[Span]:
        """Find the names in a text: a span a word (`name`), and one a `handle`."""
        form = comparable_form(text)
        plain = text if form is None else form.text
        spans = list(self._found(plain))
        if self._unspaced and not plain.isascii():
            spans += self._found_unspaced(plain)
        return spans if form is None else form.as_written(spans)

    def _found(self, text: str) -> Iterator[Span]:
        plain = folded(text)
        words = word_pattern(plain).findall(plain)
        words += [word.rstrip(_DIGITS) for word in words if word[-1] in _DIGITS]
        if "@" in text or not self._signs.isdisjoint(words):
            yield from self._spaced(text)

    def _add(self, name: str) -> None:
        words = words_of(name)
        if not words:
            return
        if is_number(name):
            self._add_phrase([word.word for word in words], "phone")
            return
        if is_handle(name):
            self._add_phrase([word.word for word in words], "handle")
            handle = bare_handle(name)
            self.surfaces.setdefault(folded(handle), handle)
            return
        if len(words) > 1:
            self._add_phrase([word.word for word in words], "name")
        spelled = {word: name[start:end] for word, start, end in words}
        telling = name_words(name)
        for word in telling:
            self._add_word(word, spelled[word])
        self._add_glued(telling[0], telling[-1])
        for joined in _JOINED.findall(comparable(name)):
            self._add_joined(joined, telling)

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

    def _add_word(self, word: str, spelled: str) -> None:
        self.surfaces.setdefault(folded(word), spelled)
        if _UNSPACED_RUN.search(word):
            for part in {word[:_MAX_UNSPACED], *_unspaced_parts(word)}:
                self.surfaces.setdefault(folded(part), part)
                self._unspaced.add(part)
        elif folded(word) not in PARTICLES:
            self._words.add(folded(word))
            spelled_out = folded(word.translate(_UMLAUTS))
            if spelled_out != folded(word):
                self._words.add(spelled_out)
                self.aliases.setdefault(spelled_out, word)

    def _add_phrase(self, words: Sequence[str], kind: str) -> None:
        phrase = tuple(map(folded, words[:_MAX_WORDS]))
        self._phrases.setdefault(phrase, kind)
        self._lengths.setdefault(phrase[0], set()).add(len(phrase))

    def _found_unspaced(self, text: str) -> Iterator[Span]:
        index = 0
        while index < len(text):
            length = 1
            if text[index] in self._unspaced_firsts:
                for known in self._unspaced_lengths:
                    if text[index : index + known] in self._unspaced:
                        yield Span(index, index + known, "name")
                        length = known
                        break
            index += length

    def _spaced(self, text: str) -> Iterator[Span]:
        tokens: list[_Token] = [
            (match.start(), match.end(), folded(match[0]))
            for match in word_pattern(text).finditer(text)
        ]
        is_shouted = text.isupper()
        index = 0
        while index < len(tokens):
            start, end, word = tokens[index]
            phrase = self._phrase_at(text, tokens, index)
            if phrase is not None:
                kind, length = phrase
                taken = tokens[index : index + length]
                if kind != "name":
                    yield Span(taken[0][0], taken[-1][1], kind)
                for first, last, part in taken if kind == "name" else ():
                    if part in self._words:
                        yield Span(first, last, "name")
                index += length
                continue
            index += 1
            if word in self._glued or self._is_name_with_digits(
                word, is_called=text[start - 1 : start] == "@"
            ):
                yield Span(start, end, "handle")
            else:
                name_end = self._end_of_name(
                    text, start, end, word, is_shouted=is_shouted
                )
                if name_end:
                    yield Span(start, name_end, "name")

    def _is_name_with_digits(self, word: str, *, is_called: bool = False) -> bool:
        """Return whether a word is `katherinewebb99`, or `ann92` behind an `@`."""
        bare = word.rstrip(_DIGITS)
        if bare == word:
            return False
        if bare in self._glued:
            return True
        is_long = len(bare) >= _MIN_FOR_GLUED and bare not in COMMON_WORDS
        return bare in self._words and (is_called or is_long)

    def _phrase_at(
        self, text: str, tokens: Sequence[_Token], index: int
    ) -> tuple[str, int] | None:
        for length in sorted(self._lengths.get(tokens[index][2], ()), reverse=True):
            taken = tokens[index : index + length]
            kind = self._phrases.get(tuple(word for _, _, word in taken))
            if kind is not None and self._is_together(text, taken, kind):
                return kind, length
        return None

    def _is_together(self, text: str, taken: Sequence[_Token], kind: str) -> bool:
        if kind == "handle":
            # Its signs count: "cool cat" is not @cool_cat.
            return folded(text[taken[0][0] : taken[-1][1]]) in self.surfaces
        gaps = (text[before[1] : after[0]] for before, after in pairwise(taken))
        return all(len(gap) <= _MAX_GAP and "\n" not in gap for gap in gaps)

    def _end_of_name(
        self, text: str, start: int, end: int, word: str, *, is_shouted: bool
    ) -> int | None:
        if word not in self._words:
            # German writes the genitive without an apostrophe.
            stem = word[:-1]
            is_genitive = (
                word.endswith("s")
                and len(stem) >= _MIN_FOR_GENITIVE
                and stem in self._words
                and stem not in COMMON_WORDS
            )
            return end - 1 if is_genitive else None
        if word not in COMMON_WORDS and len(word) > _SHORT:
            return end
        is_name = _is_written_as_name(text, start, end, word, is_shouted=is_shouted)
        return end if is_name else None


def name_words(name: str) -> list[str]:
    """Return a name's words without titles, particles and initials, or all of them."""
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
    """Return whether a name is one word with digits or signs, as a user name is."""
    name = comparable(name).strip()
    return bool(_HANDLE_SIGNS.search(name)) and not any(c.isspace() for c in name)


def bare_handle(name: str) -> str:
    """Return a handle from its first to its last letter or digit, without `@`."""
    words = words_of(name)
    return name[words[0].start : words[-1].end] if words else name


def is_number(name: str) -> bool:
    """Return whether a name is a telephone number, or a short one of a service."""
    return bool(_NUMBER.fullmatch(comparable(name).strip()))


def _unspaced_parts(word: str) -> Iterator[str]:
    """Return the parts of a full name in a script without spaces, of two letters up.

    A change of script separates them. In Han and Hangul a name of three is one and two,
    or two and one; a longer one begins with two or three for the family.
    """
    runs = _UNSPACED_RUN.findall(word)
    runs = [run for run in runs if len(run) <= _MAX_UNSPACED]
    parts = chain(runs if len(runs) > 1 else (), *map(_halves, runs))
    return (part for part in parts if len(part) > 1 and part not in _HONORIFICS)


def _halves(run: str) -> tuple[str, ...]:
    is_split = re.fullmatch(f"[{_HAN}]{{3,6}}|[\uac00-\ud7af]{{3,4}}", run)
    if is_split is None:
        return ()
    if len(run) == 3:  # noqa: PLR2004 - see above
        return run[1:], run[:2]
    family = (2, 3) if len(run) > 4 else (2,)  # noqa: PLR2004 - see above
    return tuple(chain(*((run[:end], run[end:]) for end in family)))


def _is_written_as_name(
    text: str, start: int, end: int, word: str, *, is_shouted: bool
) -> bool:
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
    before = nearby.rstrip(" \t")
    # In a text of capitals they say nothing.
    says_nothing = is_shouted and text[start:end].isupper() and len(word) < len(text)
    if before and not says_nothing:
        is_inside = before[-1].isascii() and before[-1] not in _SENTENCE_ENDS
        if is_inside or before[-1].isalnum():
            return True
    # A sentence starts with it: a call ("Mark, …") is a name for sure.
    return (
        text[end : end + 1] in {",", "!", "?"}
        or _AFTER_A_PERSON.match(text, end) is not None
        or _TITLE_BEFORE.search(nearby) is not None
    )
