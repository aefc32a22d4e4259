"""What replies repeat from the training half: copies, names, numbers, addresses.

Style measures cannot see it: replies drawn from the training half score 1 everywhere.
People repeat themselves, too, so rates stand beside the person's own.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from langchain_chatexports.evaluation.intervals import (
    ratio,
    ratio_difference,
    resampled,
)
from langchain_chatexports.evaluation.results import Copies, CopyRates, NameRates
from langchain_chatexports.evaluation.text_features import SPACED, UNSPACED, bubbles
from langchain_chatexports.redaction.patterns import EMAIL, LINK, LINK_END

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    Words = tuple[str, ...]

__all__ = [
    "Copied",
    "CopyIndex",
    "ReplyInContext",
    "TrainingMentions",
    "compare_copies",
    "compare_names",
    "name_words",
]

# Where a script puts no spaces between words, each letter stands for itself.
_WORD = re.compile(rf"{UNSPACED}|{SPACED}+")
_MIN_WORDS = 6
_STEM = 3
_NAME = re.compile(rf"(?:(?![\d_]){SPACED}){{2,}}")
# A name in such a script is looked for anywhere in a text.
_UNSPACED_NAME = re.compile(rf"{UNSPACED}{{2,}}")
_NUMBER = re.compile(r"\d{4,}")
# Shorter names are common words, too: Al, Jo, Wu.
_MIN_NAME_LENGTH = 3


@dataclass(frozen=True)
class Copied:
    """What of a bubble the training half contains."""

    is_exact: bool
    """The whole of it."""

    is_unique: bool
    """Six words in a row that occur in one training conversation only."""

    longest: int
    """The longest run of words."""


class CopyIndex:
    """The words of the training half, in their order."""

    def __init__(self, conversations: Iterable[Iterable[str]]) -> None:
        self._bubbles: list[Words] = []
        self._places: defaultdict[Words, list[tuple[int, int]]] = defaultdict(list)
        self._short: set[Words] = set()
        self._conversations: defaultdict[Words, set[int]] = defaultdict(set)
        for number, texts in enumerate(conversations):
            for text in texts:
                for bubble in bubbles(text):
                    self._add(number, _words(bubble))

    def _add(self, conversation: int, said: Words) -> None:
        number = len(self._bubbles)
        self._bubbles.append(said)
        for at in range(len(said)):
            self._short.update((said[at : at + 1], said[at : at + 2]))
            if at + _STEM <= len(said):
                self._places[said[at : at + _STEM]].append((number, at))
            if at + _MIN_WORDS <= len(said):
                self._conversations[said[at : at + _MIN_WORDS]].add(conversation)

    def check(self, bubble: str) -> Copied | None:
        """Return what of a bubble is copied; `None` for fewer than six words."""
        said = _words(bubble)
        if len(said) < _MIN_WORDS:
            return None
        runs = (said[at : at + _MIN_WORDS] for at in range(len(said) - _MIN_WORDS + 1))
        longest = self._longest(said)
        return Copied(
            is_exact=longest == len(said),
            is_unique=any(len(self._conversations.get(run, ())) == 1 for run in runs),
            longest=longest,
        )

    def _longest(self, said: Words) -> int:
        best = max(
            (
                size
                for size in (1, 2)
                for at in range(len(said) - size + 1)
                if said[at : at + size] in self._short
            ),
            default=0,
        )
        for at in range(len(said) - _STEM + 1):
            if len(said) - at <= best:
                break
            for number, place in self._places.get(said[at : at + _STEM], ()):
                other = self._bubbles[number]
                size = _STEM
                limit = min(len(said) - at, len(other) - place)
                while size < limit and said[at + size] == other[place + size]:
                    size += 1
                best = max(best, size)
        return best


def compare_copies(
    index: CopyIndex,
    person: Sequence[Sequence[str]],
    contestants: Mapping[str, Sequence[Sequence[str]]],
    *,
    rounds: int = 500,
    seed: int = 0,
) -> list[Copies]:
    """Return the copies in contestants' replies beside those in the person's own."""
    weights = resampled(len(person), rounds, np.random.default_rng(seed))
    own = [_checked(index, replies) for replies in person]
    own_rates, own_ratio = _rates(own), ratio(*_exact(own), weights)
    found = []
    for name, conversations in contestants.items():
        checked = [_checked(index, replies) for replies in conversations]
        rates = _rates(checked)
        excess = interval = None
        if rates.bubbles and own_rates.bubbles:
            excess, interval = ratio_difference(
                ratio(*_exact(checked), weights), own_ratio
            )
        values = {**dict(rates), "reason": rates.reason or own_rates.reason}
        found.append(
            Copies(
                contestant=name,
                **values,
                person=own_rates,
                excess=excess,
                interval=interval,
            )
        )
    return found


def _checked(index: CopyIndex, replies: Sequence[str]) -> list[Copied]:
    checked = (index.check(bubble) for reply in replies for bubble in bubbles(reply))
    return [found for found in checked if found is not None]


def _exact(
    conversations: Sequence[Sequence[Copied]],
) -> tuple[list[float], list[float]]:
    exact = [float(sum(c.is_exact for c in found)) for found in conversations]
    return exact, [float(len(found)) for found in conversations]


def _rates(conversations: Sequence[Sequence[Copied]]) -> CopyRates:
    every = [copied for found in conversations for copied in found]
    if not every:
        return CopyRates(bubbles=0, reason=f"no message has {_MIN_WORDS} words")
    longest = [copied.longest for copied in every]
    middle, high = np.quantile(longest, [0.5, 0.95], method="nearest")
    return CopyRates(
        bubbles=len(every),
        exact=sum(copied.is_exact for copied in every) / len(every),
        unique6=sum(copied.is_unique for copied in every) / len(every),
        longest_run=(int(middle), int(high), max(longest)),
    )


def _words(text: str) -> Words:
    return tuple(_WORD.findall(text.lower()))


@dataclass(frozen=True)
class ReplyInContext:
    """A reply, the text before it, and the names of those who take part."""

    reply: str
    context: str
    participants: frozenset[str]


@dataclass(frozen=True)
class TrainingMentions:
    """Numbers and addresses in the training half, which replies should not reveal."""

    numbers: frozenset[str]
    addresses: frozenset[str]

    @classmethod
    def of(cls, texts: Iterable[str]) -> TrainingMentions:
        """Collect them from all texts of the training half."""
        numbers: set[str] = set()
        addresses: set[str] = set()
        for text in texts:
            numbers.update(_numbers(text))
            addresses.update(_addresses(text))
        return cls(frozenset(numbers), frozenset(addresses))


def name_words(names: Iterable[str]) -> frozenset[str]:
    """Return the words of names, in lower case."""
    lower = [name.lower() for name in names]
    spaced = (word for name in lower for word in _NAME.findall(name))
    unspaced = (word for name in lower for word in _UNSPACED_NAME.findall(name))
    return frozenset(
        (*(word for word in spaced if len(word) >= _MIN_NAME_LENGTH), *unspaced)
    )


def compare_names(
    names: frozenset[str],
    mentions: TrainingMentions,
    person: Sequence[ReplyInContext],
    contestants: Mapping[str, Sequence[ReplyInContext]],
) -> list[NameRates]:
    """Count what replies mention unprompted, beside the person's own rate of names."""
    own = _unprompted(names, person) / len(person)
    return [
        NameRates(
            contestant=contestant,
            unprompted_per_reply=_unprompted(names, replies) / len(replies),
            person=own,
            outside_circle=sum(
                len(_named(names, each) - name_words(each.participants))
                for each in replies
            ),
            numbers=sum(len(_new(_numbers, e, mentions.numbers)) for e in replies),
            addresses=sum(
                len(_new(_addresses, e, mentions.addresses)) for e in replies
            ),
        )
        for contestant, replies in contestants.items()
    ]


def _unprompted(names: frozenset[str], replies: Sequence[ReplyInContext]) -> int:
    return sum(len(_named(names, each)) for each in replies)


def _named(names: frozenset[str], reply: ReplyInContext) -> set[str]:
    unspaced = [name for name in names if _UNSPACED_NAME.fullmatch(name)]

    def find(text: str) -> set[str]:
        lower = text.lower()
        return {*_NAME.findall(lower), *(name for name in unspaced if name in lower)}

    return _new(find, reply, names)


def _new(
    find: Callable[[str], set[str]], each: ReplyInContext, known: frozenset[str]
) -> set[str]:
    return (find(each.reply) & known) - find(each.context)


def _numbers(text: str) -> set[str]:
    return set(_NUMBER.findall(text))


def _addresses(text: str) -> set[str]:
    links = (link.rstrip(LINK_END) for link in LINK.findall(text.lower()))
    return {*EMAIL.findall(text.lower()), *links}
