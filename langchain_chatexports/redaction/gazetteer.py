"""The gazetteer, which finds an export's names in text."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from langchain_chatexports.chat_loaders.names import differ_in_accents
from langchain_chatexports.redaction.normalization import (
    Word,
    find_words,
    fold,
    get_word_pattern,
    normalize,
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
_HANDLE_SYMBOLS = re.compile(r"[\d_@.]")
_UMLAUTS = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ø": "oe"}
)
_JOINED = re.compile(r"(?<!\w)\w{1,40}(?:['\u2019\u02bc`-]\w{1,40}){1,4}")

# Scripts that write names without spaces around them: Thai, kana, Han, Hangul.
_HAN = "\u3005\u3400-\u4dbf\u4e00-\u9fff"
_UNSPACED_RUN = re.compile(
    f"[{_HAN}]+|[\u3040-\u309f]+|[\u30a0-\u30ff]+|[\uac00-\ud7af]+|[\u0e00-\u0e7f]+"
)
# Three-character names split 1+2 or 2+1; longer ones begin with a family name of two or
# three characters.
_SPLITTABLE = re.compile(f"[{_HAN}]{{3,6}}|[\uac00-\ud7af]{{3,4}}")
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
# Follows a name at the start of a sentence, as in "Mark, …" or "Mark said".
_AFTER_A_PERSON = re.compile(
    r"[,!?]"
    r"| (?:says|said|told|asks|asked|called|texted|wants|thinks|knows|wrote|sent|forgot"
    r"|and I|sagt|sagte|meint|meinte|fragt|fragte|schreibt|schrieb|und ich|dice|dijo"
    r"|quiere|piensa|sabe|pregunta|escribe|y yo|dit|veut|pense|demande|et moi)\b"
)
_TITLE_BEFORE = re.compile(r"\b(?:Mrs?|Ms|Dr|Prof|Sr|Sra|Mme)\. ?\Z")
_MAX_PRECEDING = 24
_MAX_CONTEXT = 200

_MAX_GAP = 3
_MAX_WORDS = 8
_SHORT = 2
_MIN_POSSESSIVE = 4
_MIN_COMPOUND = 6
_DIGITS = "0123456789"


class Gazetteer:
    """Finds an export's names: full names, individual words, nicknames and handles.

    Ignores case, accents and their encoding, and also matches possessives. A name that
    is also a common word (`Mark`, `Rose`, `Sol`) only matches if it is capitalized
    within a sentence, used to address a person, or part of a full name. Full names also
    match without spaces, as in URLs.
    """

    def __init__(self, names: Iterable[str]) -> None:
        """Initialize with names, nicknames and handles, as written in the export."""
        self.original_words: dict[str, str] = {}
        """The first original form of each word and handle, by its folded form."""
        self.canonical_words: dict[str, str] = {}
        """Maps folded variants to their words: spelled-out umlauts, `OBrien`."""
        self.namesakes: dict[str, str] = {}
        """Words that differ only in accents, by their form in lower case: `Thảo` and
        `Thạo`, but not `Zoe` and `Zoë`."""
        self._words: set[str] = set()
        self._compounds: set[str] = set()
        # Name kinds by folded words, and word counts by first word.
        self._phrases: dict[tuple[str, ...], str] = {}
        self._lengths: dict[str, set[int]] = {}
        unspaced_names: set[str] = set()
        spellings: defaultdict[str, dict[str, str]] = defaultdict(dict)
        for name in sorted(names):
            if name.strip().casefold() not in LABELS:
                self._add(name, unspaced_names)
                for word in name_words(name):
                    spellings[fold(word)].setdefault(word.casefold(), word)
        for folded, words in spellings.items():
            if differ_in_accents(words):
                words.pop(folded, None)
                self.namesakes |= words
        candidates = self._words | self._compounds | self._lengths.keys()
        candidates |= {f"{word}s" for word in self._words}
        self._candidates = {word.rstrip(_DIGITS) for word in candidates}
        self._unspaced_name_pattern: re.Pattern[str] | None = None
        if unspaced_names:
            longest_first = sorted(unspaced_names, key=len, reverse=True)
            self._unspaced_name_pattern = re.compile("|".join(longest_first))

    def find(self, text: str) -> list[Span]:
        """Find names in text: a span for each word (`name`) and each `handle`."""
        # Fast path: skip text without a candidate.
        folded = fold(text)
        words = get_word_pattern(folded).findall(folded)
        spans: list[Span] = []
        if not self._candidates.isdisjoint(word.rstrip(_DIGITS) for word in words):
            spans += self._find_spaced_names(text)
        if self._unspaced_name_pattern is not None and not text.isascii():
            normalized = normalize(text)
            matches = self._unspaced_name_pattern.finditer(normalized.text)
            spans += normalized.to_original(
                Span(*match.span(), "name") for match in matches
            )
        return spans

    def _find_spaced_names(self, text: str) -> Iterator[Span]:
        words = [Word(fold(word), start, end) for word, start, end in find_words(text)]
        index = 0
        while index < len(words):
            phrase = self._find_phrase(text, words, index)
            if phrase is None:
                yield from self._find_word(text, words[index])
                index += 1
            else:
                yield from self._iter_phrase_spans(
                    phrase, self._phrases[_forms(phrase)]
                )
                index += len(phrase)

    def _add(self, name: str, unspaced_names: set[str]) -> None:
        words = find_words(name)
        if not words:
            return
        if is_phone_number(name):
            self._add_phrase(words, "phone")
        elif is_handle(name):
            self._add_phrase(words, "handle")
            handle = strip_handle(name)
            self.original_words.setdefault(fold(handle), handle)
        else:
            if len(words) > 1:
                self._add_phrase(words, "name")
            originals = {word: name[start:end] for word, start, end in words}
            distinctive_words = name_words(name)
            for word in distinctive_words:
                self.original_words.setdefault(fold(word), originals[word])
                self._add_word(word, unspaced_names)
            self._add_compound(distinctive_words[0], distinctive_words[-1])
            for joined_words in _JOINED.findall(normalize(name).text):
                self._add_joined(joined_words, distinctive_words)

    def _add_phrase(self, words: Sequence[Word], kind: str) -> None:
        phrase = tuple(fold(word.text) for word in words[:_MAX_WORDS])
        self._phrases.setdefault(phrase, kind)
        self._lengths.setdefault(phrase[0], set()).add(len(phrase))

    def _add_word(self, word: str, unspaced_names: set[str]) -> None:
        if _UNSPACED_RUN.search(word):
            parts = {word[:_MAX_UNSPACED], *_split_unspaced_name(word)}
            self.original_words.update((fold(part), part) for part in parts)
            unspaced_names.update(parts)
        elif fold(word) not in PARTICLES:
            self._words.add(fold(word))
            variant = fold(word.translate(_UMLAUTS))
            if variant != fold(word):
                self._words.add(variant)
                self.canonical_words.setdefault(variant, word)

    def _add_compound(self, first: str, last: str) -> None:
        first, last = fold(first), fold(last)
        if first != last and len(first + last) >= _MIN_COMPOUND:
            self._compounds.update((first + last, last + first))

    def _add_joined(self, joined_words: str, distinctive_words: Sequence[str]) -> None:
        """Add `OBrien` for `O'Brien` and `JeanLuc` for `Jean-Luc`."""
        words = [word.text for word in find_words(joined_words)]
        name_parts = [word for word in words if word in distinctive_words]
        if len(name_parts) == 1 and fold(name_parts[0]) not in PARTICLES:
            compound = fold("".join(words))
            self._words.add(compound)
            self.canonical_words.setdefault(compound, name_parts[0])
        elif name_parts:
            self._add_compound(name_parts[0], name_parts[-1])

    def _find_phrase(
        self, text: str, words: Sequence[Word], index: int
    ) -> Sequence[Word] | None:
        for length in sorted(self._lengths.get(words[index].text, ()), reverse=True):
            phrase = words[index : index + length]
            kind = self._phrases.get(_forms(phrase))
            if kind is not None and self._is_contiguous(text, phrase, kind):
                return phrase
        return None

    def _is_contiguous(self, text: str, phrase: Sequence[Word], kind: str) -> bool:
        if kind == "handle":
            # Compare punctuation: "cool cat" is not @cool_cat.
            return fold(text[phrase[0].start : phrase[-1].end]) in self.original_words
        gaps = (
            text[word.end : following.start] for word, following in pairwise(phrase)
        )
        is_on_a_line = "\n" not in text[phrase[0].start : phrase[-1].end]
        # Across lines, two words are more often by chance.
        is_written_as_name = all(text[word.start].isupper() for word in phrase)
        return all(len(gap) <= _MAX_GAP for gap in gaps) and (
            is_on_a_line or is_written_as_name
        )

    def _iter_phrase_spans(self, phrase: Sequence[Word], kind: str) -> Iterator[Span]:
        if kind != "name":
            yield Span(phrase[0].start, phrase[-1].end, kind)
            return
        for word, start, end in phrase:
            if word in self._words:
                yield Span(start, end, "name")

    def _find_word(self, text: str, word: Word) -> Iterator[Span]:
        if word.text in self._compounds or self._is_name_with_digits(text, word):
            yield Span(word.start, word.end, "handle")
        elif word.text in self._words:
            is_unambiguous = word.text not in COMMON_WORDS and len(word.text) > _SHORT
            if is_unambiguous or _looks_like_name(text, word):
                yield Span(word.start, word.end, "name")
        elif self._is_possessive(word.text):
            yield Span(word.start, word.end - 1, "name")

    def _is_name_with_digits(self, text: str, word: Word) -> bool:
        """Return whether a word looks like `katherinewebb99`, or `ann92` after `@`."""
        name = word.text.rstrip(_DIGITS)
        if name == word.text:
            return False
        if name in self._compounds:
            return True
        is_mention = text[word.start - 1 : word.start] == "@"
        is_distinctive = len(name) >= _MIN_COMPOUND and name not in COMMON_WORDS
        return name in self._words and (is_mention or is_distinctive)

    def _is_possessive(self, word: str) -> bool:
        # German possessives have no apostrophe.
        stem = word[:-1]
        is_name = stem in self._words and stem not in COMMON_WORDS
        return is_name and word[-1] == "s" and len(stem) >= _MIN_POSSESSIVE


def name_words(name: str) -> list[str]:
    """Return a name's words without titles, particles and initials.

    Returns all words if that would leave none.
    """
    words = [word.text for word in find_words(name)]
    distinctive_words = [
        word
        for word in words
        if fold(word) not in PARTICLES
        and not word.isdigit()
        and (len(word) > 1 or _UNSPACED_RUN.search(word))
    ]
    return distinctive_words or words


def is_handle(name: str) -> bool:
    """Return whether a name is one word with digits or symbols, like a user name."""
    name = normalize(name).text.strip()
    return bool(_HANDLE_SYMBOLS.search(name)) and not any(c.isspace() for c in name)


def strip_handle(name: str) -> str:
    """Strip `@` and other punctuation around a handle's letters and digits."""
    words = find_words(name)
    return name[words[0].start : words[-1].end] if words else name


def is_phone_number(name: str) -> bool:
    """Return whether a name is a phone number or short code."""
    return bool(_NUMBER.fullmatch(normalize(name).text.strip()))


def _forms(words: Sequence[Word]) -> tuple[str, ...]:
    return tuple(word.text for word in words)


def _split_unspaced_name(word: str) -> set[str]:
    """Return the parts, of two or more letters, of a full name without spaces."""
    runs = [run for run in _UNSPACED_RUN.findall(word) if len(run) <= _MAX_UNSPACED]
    # Parts in different scripts are separate names.
    parts = set(runs) if len(runs) > 1 else set()
    for run in filter(_SPLITTABLE.fullmatch, runs):
        for length in _FAMILY_NAME_LENGTHS[len(run)]:
            parts.update((run[:length], run[length:]))
    return {part for part in parts if len(part) > 1} - _HONORIFICS


def _looks_like_name(text: str, word: Word) -> bool:
    """Return whether a common word is used as a name in this text."""
    _, start, end = word
    if not text[start].isupper():
        return False
    preceding = text[max(0, start - _MAX_PRECEDING) : start]
    if word.text in TIMES_OF_YEAR and (
        _BEFORE_A_TIME.search(preceding) or _AFTER_A_TIME.match(text, end)
    ):
        return False
    if word.text not in SENTENCE_OPENERS:
        return True
    last_character = preceding.rstrip(" \t")[-1:]
    # In all-caps text, case has no meaning.
    context = text[max(0, start - _MAX_CONTEXT) : end + _MAX_CONTEXT]
    is_all_caps = len(word.text) < len(context) and context.isupper()
    if last_character and not is_all_caps:
        if last_character.isalnum():
            return True
        if last_character.isascii() and last_character not in _SENTENCE_ENDS:
            return True
    return bool(_AFTER_A_PERSON.match(text, end) or _TITLE_BEFORE.search(preceding))
