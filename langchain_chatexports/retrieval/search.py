"""Which windows fit a question: by words, by meaning, and both joined by rank."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import orjson

from langchain_chatexports.chat_loaders.people import name_key
from langchain_chatexports.chat_loaders.suggestions import did_you_mean
from langchain_chatexports.exceptions import SenderNotFoundError
from langchain_chatexports.retrieval.rows import facts_of, stored_lines

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from langchain_chatexports.chat_loaders.documents import ChatLine

__all__ = ["Filters", "by_words", "joined_by_rank", "make_filters", "marked_words"]

# Cormack, Clarke and Buettcher (SIGIR 2009): reciprocal rank fusion.
_RANK_CONSTANT = 60
_MARKS = ("\x02", "\x03")
_MARKED = re.compile("\x02([^\x03]*)")


@dataclass(frozen=True)
class Filters:
    """Which windows and messages may be found; all unless something is set.

    Attributes:
        people: Names of senders.
        chats: Rows of chats.
        first: The oldest moment, in Unix seconds.
        end: The moment before which all are, in Unix seconds.
    """

    people: Mapping[str, int] | None = None
    chats: Sequence[int] | None = None
    first: float | None = None
    end: float | None = None

    @property
    def is_everything(self) -> bool:
        """Whether nothing is left out."""
        return self == Filters()

    def condition(self) -> tuple[str, list[Any]]:
        """Return a condition on rows of `window`, and its values."""
        terms: list[str] = ["1"]
        values: list[Any] = []
        if self.chats is not None:
            terms.append("window.chat IN (SELECT value FROM json_each(?))")
            values.append(_json(self.chats))
        if self.first is not None:
            terms.append("window.last >= ?")
            values.append(self.first)
        if self.end is not None:
            terms.append("window.first < ?")
            values.append(self.end)
        if self.people is not None:
            terms.append(
                "EXISTS (SELECT 1 FROM message WHERE message.chat = window.chat "
                "AND position >= start AND position < stop "
                "AND sender IN (SELECT value FROM json_each(?)))"
            )
            values.append(_json(self.people.values()))
        return " AND ".join(terms), values

    def takes(self, line: ChatLine) -> bool:
        """Return whether a message may be found."""
        if self.people is not None and line.sender not in self.people:
            return False
        if self.first is None and self.end is None:
            return True
        if line.time is None:
            return False
        is_late = self.first is None or line.time >= self.first
        return is_late and (self.end is None or line.time < self.end)


def make_filters(
    connection: sqlite3.Connection,
    person: str | Collection[str] | None,
    chat: str | Collection[str] | None,
    first: float | None,
    end: float | None,
) -> Filters:
    """Return filters, with names looked up in an index.

    Raises:
        SenderNotFoundError: If nobody has the name, or no chat.
    """
    people = chats = None
    if person is not None:
        rows = dict(connection.execute("SELECT name, id FROM person"))
        found = _named(
            _listed(person), {name: (name,) for name in rows}, "Nobody wrote"
        )
        people = {name: rows[name] for name in found}
    if chat is not None:
        facts = {
            str(number): facts_of(about)
            for number, about in connection.execute("SELECT id, facts FROM chat")
        }
        called = {
            number: (about.title, *about.participants, about.session_id, about.source)
            for number, about in facts.items()
        }
        asked = set(_listed(chat))
        # Sources can differ by case alone, which names are compared without.
        exact = [one for one, about in facts.items() if about.source in asked]
        is_exact = asked == {facts[one].source for one in exact}
        found = exact if is_exact else _named(asked, called, "No chat is there")
        chats = [*map(int, found)]
    return Filters(people, chats, first, end)


def _named(
    asked: Iterable[str], called: Mapping[str, Iterable[str]], nobody: str
) -> list[str]:
    """Return those that are called one of some names, in full or in part."""
    wanted = [name_key(name) for name in asked]
    keys = {
        one: {name_key(name) for name in names if name} for one, names in called.items()
    }
    found = [one for one, names in keys.items() if not names.isdisjoint(wanted)]
    if found:
        return found
    parts = [set(name.split()) for name in wanted if name.split()]
    found = [
        one
        for one, names in keys.items()
        if any(part <= set(name.split()) for part in parts for name in names)
    ]
    if not found:
        known = {name for names in called.values() for name in names if name}
        msg = f"{nobody} under a name that was asked for.{did_you_mean(asked, known)}"
        raise SenderNotFoundError(msg)
    return found


def by_words(
    connection: sqlite3.Connection, expression: str, filters: Filters, limit: int
) -> list[int]:
    """Return the windows that fit an expression, best first (BM25).

    Where people are asked for, windows in which they wrote a word of it come before
    those in which only others did.
    """
    condition, values = filters.condition()
    rows = connection.execute(
        "SELECT window.id, window.chat, start, stop FROM words "
        "JOIN window ON window.id = words.rowid "
        f"WHERE words MATCH ? AND {condition} ORDER BY bm25(words), window.id",
        (expression, *values),
    )
    if filters.people is None:
        return [number for number, *_ in islice(rows, limit)]
    theirs: list[int] = []
    others: list[int] = []
    for number, *place in rows:
        lines = stored_lines(connection, *place)
        counts = marked_words(connection, expression, number)
        is_theirs = any(
            count and filters.takes(line)
            for count, line in zip(counts, lines, strict=True)
        )
        (theirs if is_theirs else others).append(number)
        if len(theirs) == limit:
            break
    return [*theirs, *others][:limit]


def marked_words(
    connection: sqlite3.Connection, expression: str, window: int
) -> list[int]:
    """Return how many different words of each message of a window fit."""
    row = connection.execute(
        "SELECT highlight(words, 0, ?, ?) FROM words WHERE words MATCH ? AND rowid = ?",
        (*_MARKS, expression, window),
    ).fetchone()
    if row is None:
        return []
    # However often somebody repeats a word, the others have it too.
    return [
        len({word.casefold() for word in _MARKED.findall(line)})
        for line in row[0].split("\n")
    ]


def joined_by_rank(
    rankings: Iterable[Sequence[int]], weights: Iterable[float]
) -> list[tuple[int, float]]:
    """Return the members of rankings with their scores, best first.

    Args:
        rankings: Best first each.
        weights: How much each ranking counts, at least as many as rankings.
    """
    scores: dict[int, float] = {}
    for ranking, weight in zip(rankings, weights, strict=False):
        for place, number in enumerate(ranking, 1):
            score = weight / (_RANK_CONSTANT + place)
            scores[number] = scores.get(number, 0.0) + score
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))


def _listed(names: str | Collection[str]) -> list[str]:
    return [names] if isinstance(names, str) else [*names]


def _json(numbers: Iterable[int]) -> str:
    # SQLite limits how many values a statement takes, and there may be any number.
    return orjson.dumps([*numbers]).decode()
