"""Compare names of people and conversations: one rule for every option.

`NameIndex.find` looks a name up in steps, and the first one that finds someone decides:

1. exactly as written;
2. regardless of case, spaces, character width and a leading `@`; a phone number by all
   its digits;
3. a phone number by its last ten digits;
4. with accents left out, in one name or the other;
5. as the beginning of a name: its first words, or else its first letters;
6. as the beginning of a later word.

If that step finds several people, the name is ambiguous, and no one is chosen.
"""

import unicodedata
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Generic, TypeVar

from langchain_chatexports._translation import Sentence
from langchain_chatexports.exceptions import SenderNotFoundError

_Id = TypeVar("_Id", bound=Hashable)
_Letters = Sequence[str]

_MIN_DIGITS = 7
_NATIONAL_DIGITS = 10
_MAX_DIGITS = 15  # ITU-T E.164; longer numbers are ids, such as Discord's.
_MAX_SUGGESTIONS = 3
_MIN_SIMILARITY = 0.6
# Unicode does not decompose letters with a stroke, or an i without its dot.
_STROKES = str.maketrans(
    {
        letter: f"{plain}\u0335"
        for letter, plain in zip("đðħıłøŧ", "ddhilot", strict=True)
    }
)


def name_key(name: str) -> str:
    """Return the key for comparing names and handles: equal for the same person."""
    plain = " ".join(unicodedata.normalize("NFKC", name).split()).removeprefix("@")
    return address_key(plain) or plain.casefold()


def address_key(address: str) -> str | None:
    """Return the key for comparing addresses; `None` if it is not an address."""
    address = address.strip().strip("<>").casefold()
    address = address.removeprefix("mailto:").removeprefix("tel:")
    if not address or address.startswith("urn:"):
        return None
    if any(character.isalpha() for character in address):
        return address
    digits = "".join(filter(str.isdecimal, address))
    # Country codes alone must not match.
    return digits if len(digits) >= _MIN_DIGITS else None


def differ_in_accents(names: Iterable[str]) -> bool:
    """Return whether names with the same letters have different accents on one."""
    letters = zip(*(_split_letters(name_key(name)) for name in names), strict=False)
    return any(
        len({letter for letter in column if len(letter) > 1}) > 1 for column in letters
    )


class NameIndex(Generic[_Id]):
    """Finds people or conversations by the names that each of them has."""

    def __init__(self, names: Mapping[_Id, Iterable[str]] | None = None) -> None:
        """Initialize with all names of each one, the name to show in errors first."""
        self._names: dict[_Id, dict[str, None]] = {}
        self._ids_by_name: dict[str, dict[_Id, None]] = {}
        self._ids_by_key: dict[str, dict[_Id, None]] = {}
        self._ids_by_number: dict[str, dict[_Id, None]] = {}
        self._letters: list[tuple[_Id, _Letters]] = []
        self._new: list[tuple[_Id, str]] = []
        for id_, group in (names or {}).items():
            self.add(id_, group)

    def add(self, id_: _Id, names: Iterable[str]) -> None:
        """Add names of someone."""
        known = self._names.setdefault(id_, {})
        for name in names:
            if name not in known and (key := name_key(name)):
                known[name] = None
                self._ids_by_name.setdefault(_as_written(name), {})[id_] = None
                self._ids_by_key.setdefault(key, {})[id_] = None
                if number := _national_number(key):
                    self._ids_by_number.setdefault(number, {})[id_] = None
                if not key.isdecimal():  # The beginning of a number is anyone's.
                    self._new.append((id_, key))

    @staticmethod
    def of(
        names: Iterable[str], handles: Mapping[str, Iterable[str]] | None = None
    ) -> "NameIndex[frozenset[str]]":
        """Return an index of names, whose ids are the spellings of each name.

        `handles` has other names by name, such as phone numbers.
        """
        spellings: dict[str, list[str]] = {}
        for name in sorted({*names, *(handles or ())}):
            spellings.setdefault(name_key(name), []).append(name)
        return NameIndex(
            {
                frozenset(group): [
                    *group,
                    *(
                        other
                        for name in group
                        for other in (handles or {}).get(name, ())
                    ),
                ]
                for group in spellings.values()
            }
        )

    def names(self, id_: _Id) -> Collection[str]:
        """Return all names of someone."""
        return self._names.get(id_, {}).keys()

    def find(self, query: str) -> tuple[_Id, ...]:
        """Return whoever a name refers to: none, one, or several if it is ambiguous."""
        return self.find_equal(query) or (
            self._find(query, _begins_with_words)
            or self._find(query, _begins_with)
            or self._find(query, _has_word_beginning_with)
        )

    def find_equal(self, query: str) -> tuple[_Id, ...]:
        """Return whoever has this name in full: steps 1 to 4."""
        return self.find_same(query) or self._find(query, _is_equal)

    def find_same(self, query: str) -> tuple[_Id, ...]:
        """Return whoever has this very name or number: steps 1 to 3."""
        key = name_key(query)
        found = (
            self._ids_by_name.get(_as_written(query))
            or self._ids_by_key.get(key)
            or self._ids_by_number.get(_national_number(key))
            or ()
        )
        return tuple(found)

    def resolve(
        self, query: str, *, subject: str = "sender", option: str = "the given name"
    ) -> _Id:
        """Return the only one that a name refers to.

        Raises `SenderNotFoundError`, with the words of `problem`.
        """
        found = self.find(query)
        if len(found) != 1:
            raise SenderNotFoundError(self.problem([query], subject, option))
        return found[0]

    def resolve_names(
        self: "NameIndex[frozenset[str]]",
        queries: Iterable[str],
        *,
        subject: str = "sender",
        option: str = "the given name",
    ) -> set[str]:
        """Return all spellings of the names that these refer to; see `resolve`."""
        found = (self.resolve(q, subject=subject, option=option) for q in queries)
        return set[str]().union(*found)

    def find_spellings(self: "NameIndex[frozenset[str]]", query: str) -> frozenset[str]:
        """Return the spellings of the only name that equals this one, if any."""
        found = self.find_equal(query)
        return found[0] if len(found) == 1 else frozenset()

    def problem(self, queries: Collection[str], subject: str, option: str) -> str:
        """Return why names refer to no one, or to several, and what to pass instead."""
        for query in queries:
            if len(self.find(query)) > 1:
                names = " or ".join(map(repr, self.suggest(query)))
                return Sentence(
                    "More than one {subject} matches {option}. Pass {names}.",
                    subject=Sentence(subject),
                    option=option,
                    names=names,
                )
        return Sentence(
            "No {subject} matches {option}.{suggestion}",
            subject=Sentence(subject),
            option=option,
            suggestion=self.did_you_mean(*queries),
        )

    def did_you_mean(self, *queries: str) -> str:
        """Return a sentence that suggests names instead of others, if any."""
        similar = dict.fromkeys(name for q in queries for name in self.suggest(q))
        names = " or ".join(map(repr, similar))
        return Sentence(" Did you mean {names}?", names=names) if similar else ""

    def suggest(self, query: str) -> list[str]:
        """Return the names that a name may refer to, or else those most similar."""
        if found := self.find(query):
            return sorted(self._shown_name(id_) for id_ in found)[:_MAX_SUGGESTIONS]
        shown: dict[str, str] = {}
        for id_ in sorted(self._names, key=self._shown_name, reverse=True):
            for key in map(name_key, self._names[id_]):
                # People often type only a first name.
                shown |= dict.fromkeys((*key.split(), key), self._shown_name(id_))
        keys = get_close_matches(
            name_key(query), shown, n=2 * _MAX_SUGGESTIONS, cutoff=_MIN_SIMILARITY
        )
        return list(dict.fromkeys(shown[key] for key in keys))[:_MAX_SUGGESTIONS]

    def _shown_name(self, id_: _Id) -> str:
        return next(iter(self._names[id_]), "")

    def _find(
        self, query: str, matches: Callable[[_Letters, _Letters], bool]
    ) -> tuple[_Id, ...]:
        letters = _split_letters(name_key(query))
        if not letters:
            return ()
        # Most look-ups end before this step.
        self._letters += [(id_, _split_letters(key)) for id_, key in self._new]
        self._new.clear()
        found = (id_ for id_, name in self._letters if matches(name, letters))
        return tuple(dict.fromkeys(found))


def _as_written(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip()


def _national_number(key: str) -> str:
    """Return the last ten digits of a phone number's `name_key`, or an empty string."""
    is_number = key.isdecimal() and _MIN_DIGITS <= len(key) <= _MAX_DIGITS
    return key[-_NATIONAL_DIGITS:] if is_number else ""


def _split_letters(key: str) -> _Letters:
    """Split a `name_key` into letters, each followed by its accents."""
    letters: list[str] = []
    for character in unicodedata.normalize("NFKD", key).translate(_STROKES):
        if letters and unicodedata.combining(character):
            letters[-1] += character
        else:
            letters.append(character)
    return letters


def _is_equal(name: _Letters, query: _Letters) -> bool:
    return len(name) == len(query) and _begins_with(name, query)


def _begins_with_words(name: _Letters, query: _Letters) -> bool:
    return name[len(query) : len(query) + 1] == [" "] and _begins_with(name, query)


def _begins_with(name: _Letters, query: _Letters) -> bool:
    # Two different accents are two names, such as Thảo and Thạo.
    return len(name) >= len(query) and all(
        letter[0] == other[0] and (letter == other or 1 in (len(letter), len(other)))
        for letter, other in zip(name, query, strict=False)
    )


def _has_word_beginning_with(name: _Letters, query: _Letters) -> bool:
    starts = (index + 1 for index, letter in enumerate(name) if letter == " ")
    return any(_begins_with(name[start:], query) for start in starts)
