"""Find the windows and messages that match a query and filters."""

import re
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

import orjson

from langchain_chatexports.chat_loaders.people import name_key
from langchain_chatexports.chat_loaders.suggestions import did_you_mean
from langchain_chatexports.exceptions import SenderNotFoundError
from langchain_chatexports.retrieval.documents import ChatLine, IndexedChat

_MARKS = ("\x02", "\x03")
_MARKED = re.compile("\x02([^\x03]*)")


class Ranked(NamedTuple):
    """A matching window."""

    window: int
    chat: int
    start: int
    stop: int


class Filters(NamedTuple):
    """The filters of a search: senders, row ids of chats, and times.

    `None` is for all. The times are Unix seconds, and `end` is excluded.
    """

    people: Collection[str] | None
    chats: Collection[int] | None
    first: float | None
    end: float | None

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
            values.append(_json(self.people))
        return " AND ".join(terms), values

    def includes(self, line: ChatLine) -> bool:
        """Return whether a message passes the filters."""
        if self.people is not None and line.sender not in self.people:
            return False
        if line.time is None:
            return self.first is None and self.end is None
        is_late = self.first is None or line.time >= self.first
        return is_late and (self.end is None or line.time < self.end)


def make_filters(
    connection: sqlite3.Connection,
    person: str | Collection[str] | None,
    chat: str | Collection[str] | None,
    first: datetime | None,
    end: datetime | None,
) -> Filters:
    """Return filters, with names resolved by the index; unknown names are errors."""
    people = chats = None
    if person is not None:
        rows = connection.execute("SELECT DISTINCT sender FROM message")
        names_by_key = {name: (name,) for (name,) in rows}
        people = set(_named(_listed(person), names_by_key, "No sender"))
    if chat is not None:
        asked = set(_listed(chat))
        rows = connection.execute("SELECT id, facts FROM chat")
        known = {number: chat_of(about) for number, about in rows}
        # Match exact sources first, since names are compared without case.
        chats = [number for number, one in known.items() if one.source in asked]
        if asked != {known[number].source for number in chats}:
            names = {
                number: (one.title or "", *one.participants, one.session_id, one.source)
                for number, one in known.items()
            }
            chats = _named(asked, names, "No chat")
    bounds = (None if time is None else time.timestamp() for time in (first, end))
    return Filters(people, chats, *bounds)


def ranked_windows(
    connection: sqlite3.Connection, expression: str, filters: Filters
) -> Iterator[Ranked]:
    """Yield the windows that match an expression, best first (BM25)."""
    condition, values = filters.condition()
    cursor = connection.execute(
        "SELECT window.id, window.chat, start, stop FROM words "
        "JOIN window ON window.id = words.rowid "
        f"WHERE words MATCH ? AND {condition} ORDER BY bm25(words), window.id",
        (expression, *values),
    )
    return (Ranked(*row) for row in cursor)


def by_words(
    connection: sqlite3.Connection, expression: str, filters: Filters, limit: int
) -> list[Ranked]:
    """Return the windows that match an expression, best first.

    With a filter by people, windows in which they wrote a matching word come first.
    """
    rows = ranked_windows(connection, expression, filters)
    if filters.people is None:
        return [*islice(rows, limit)]
    theirs: list[Ranked] = []
    others: list[Ranked] = []
    for row in rows:
        lines = stored_lines(connection, row.chat, row.start, row.stop)
        marked = marked_words(connection, [expression], row.window)
        is_theirs = any(filters.includes(lines[place]) for place in marked)
        (theirs if is_theirs else others).append(row)
        if len(theirs) == limit:
            break
    return [*theirs, *others][:limit]


def marked_words(
    connection: sqlite3.Connection, terms: Iterable[str], window: int
) -> dict[int, list[str]]:
    """Return the first word for each matching term, by the messages of a window."""
    marked: defaultdict[int, list[str]] = defaultdict(list)
    for term in terms:
        row = connection.execute(
            "SELECT highlight(words, 0, ?, ?) FROM words "
            "WHERE words MATCH ? AND rowid = ?",
            (*_MARKS, term, window),
        ).fetchone()
        for place, line in enumerate(row[0].split("\n") if row else ()):
            if found := _MARKED.search(line):
                marked[place].append(found[1])
    return marked


def chat_of(about: str) -> IndexedChat:
    """Return a chat from a row's JSON."""
    values = orjson.loads(about)
    return IndexedChat(**{**values, "participants": tuple(values["participants"])})


def stored_chat(connection: sqlite3.Connection, chat: int) -> IndexedChat:
    """Return a chat by its row."""
    query = "SELECT facts FROM chat WHERE id = ?"
    return chat_of(connection.execute(query, (chat,)).fetchone()[0])


def stored_lines(
    connection: sqlite3.Connection, chat: int, start: int, stop: int
) -> list[ChatLine]:
    """Return the messages of a chat at positions from `start` up to `stop`."""
    rows = connection.execute(
        "SELECT ids, time, sender, text FROM message "
        "WHERE chat = ? AND position >= ? AND position < ? ORDER BY position",
        (chat, start, stop),
    )
    return [ChatLine(tuple(orjson.loads(ids)), *rest) for ids, *rest in rows]


def _named(
    asked: Collection[str], names_by_key: Mapping[Any, Iterable[str]], none: str
) -> list[Any]:
    """Return the keys with one of some names, in full or in part."""
    if not asked:
        return []
    wanted = [name_key(name) for name in asked]
    keys = {
        one: {name_key(name) for name in names if name}
        for one, names in names_by_key.items()
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
        known = {name for names in names_by_key.values() for name in names if name}
        msg = f"{none} has the given name.{did_you_mean(asked, known)}"
        raise SenderNotFoundError(msg)
    return found


def _listed(names: str | Collection[str]) -> list[str]:
    return [names] if isinstance(names, str) else [*names]


def _json(values: Iterable[object]) -> str:
    # As JSON, since SQLite limits the number of parameters.
    return orjson.dumps([*values]).decode()
