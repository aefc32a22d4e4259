"""Find the windows and messages that match a query and filters."""

import re
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from langchain_chatexports.chat_loaders.names import NameIndex
from langchain_chatexports.retrieval.documents import ChatLine, IndexedChat

_MARKS = ("\x02", "\x03")
_MARKED_WORD = re.compile("\x02([^\x03]*)")


class RankedWindow(NamedTuple):
    """Row ids and message positions of a matching window."""

    window_id: int
    chat_id: int
    start: int
    stop: int


class Filters(NamedTuple):
    """Search filters: senders, row ids of chats, and times.

    `None` means no filter. Times are Unix seconds, and `end` is exclusive.
    """

    people: Collection[str] | None
    chats: Collection[int] | None
    start: float | None
    end: float | None

    def condition(self) -> tuple[str, list[Any]]:
        """Return an SQL condition on rows of `window` and its parameters."""
        terms: list[str] = ["1"]
        values: list[Any] = []
        if self.chats is not None:
            terms.append("window.chat IN (SELECT value FROM json_each(?))")
            values.append(_json(self.chats))
        if self.start is not None:
            terms.append("window.last >= ?")
            values.append(self.start)
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
            return self.start is None and self.end is None
        if self.start is not None and line.time < self.start:
            return False
        return self.end is None or line.time < self.end


def create_filters(
    connection: sqlite3.Connection,
    person: str | Collection[str] | None,
    chat: str | Collection[str] | None,
    start: datetime | None,
    end: datetime | None,
) -> Filters:
    """Create filters with the senders and chats that match the names.

    Raises `SenderNotFoundError` for unknown and ambiguous names.
    """
    people = chats = None
    if person is not None:
        rows = connection.execute("SELECT DISTINCT sender FROM message")
        people = NameIndex.of(name for (name,) in rows).resolve_names(_as_list(person))
    if chat is not None:
        rows = connection.execute("SELECT id, facts FROM chat")
        chats = _find_chats(
            {row: parse_chat(values) for row, values in rows}, set(_as_list(chat))
        )
    bounds = (None if time is None else time.timestamp() for time in (start, end))
    return Filters(people, chats, *bounds)


def ranked_windows(
    connection: sqlite3.Connection, expression: str, filters: Filters
) -> Iterator[RankedWindow]:
    """Yield the windows that match an expression, best first (BM25)."""
    condition, values = filters.condition()
    cursor = connection.execute(
        "SELECT window.id, window.chat, start, stop FROM words "
        "JOIN window ON window.id = words.rowid "
        f"WHERE words MATCH ? AND {condition} ORDER BY bm25(words), window.id",
        (expression, *values),
    )
    return (RankedWindow(*row) for row in cursor)


def best_windows(
    connection: sqlite3.Connection, expression: str, filters: Filters, limit: int
) -> list[RankedWindow]:
    """Return the best matching windows.

    Windows in which the given people wrote a matching word come first.
    """
    rows = ranked_windows(connection, expression, filters)
    if filters.people is None:
        return [*islice(rows, limit)]
    by_people: list[RankedWindow] = []
    others: list[RankedWindow] = []
    for row in rows:
        lines = load_lines(connection, row.chat_id, row.start, row.stop)
        marked = marked_words(connection, [expression], row.window_id)
        is_by_people = any(filters.includes(lines[index]) for index in marked)
        (by_people if is_by_people else others).append(row)
        if len(by_people) == limit:
            break
    return [*by_people, *others][:limit]


def marked_words(
    connection: sqlite3.Connection, terms: Iterable[str], window: int
) -> dict[int, list[str]]:
    """Return the first matching word of each term, per message in the window."""
    marked: defaultdict[int, list[str]] = defaultdict(list)
    for term in terms:
        row = connection.execute(
            "SELECT highlight(words, 0, ?, ?) FROM words "
            "WHERE words MATCH ? AND rowid = ?",
            (*_MARKS, term, window),
        ).fetchone()
        for index, line in enumerate(row[0].split("\n") if row else ()):
            if match := _MARKED_WORD.search(line):
                marked[index].append(match[1])
    return marked


def parse_chat(chat_json: str) -> IndexedChat:
    """Parse a chat stored as JSON."""
    values = msgspec.json.decode(chat_json)
    return IndexedChat(**{**values, "participants": tuple(values["participants"])})


def load_chat(connection: sqlite3.Connection, chat: int) -> IndexedChat:
    """Load a chat by its row id."""
    query = "SELECT facts FROM chat WHERE id = ?"
    return parse_chat(connection.execute(query, (chat,)).fetchone()[0])


def load_lines(
    connection: sqlite3.Connection, chat: int, start: int, stop: int
) -> list[ChatLine]:
    """Load the messages at positions `start` up to `stop` (excluded) in a chat."""
    rows = connection.execute(
        "SELECT ids, time, sender, text FROM message "
        "WHERE chat = ? AND position >= ? AND position < ? ORDER BY position",
        (chat, start, stop),
    )
    return [ChatLine(tuple(msgspec.json.decode(ids)), *rest) for ids, *rest in rows]


def _find_chats(chats: Mapping[int, IndexedChat], names: set[str]) -> list[int]:
    # Sources are exact: two may differ in case only.
    rows = {row for row, chat in chats.items() if chat.source in names}
    names -= {chats[row].source for row in rows}
    all_names = {
        row: {c.title or "", *c.participants, c.session_id, c.source}
        for row, c in chats.items()
    }
    index = NameIndex.of(name for group in all_names.values() for name in group)
    found = index.resolve_names(names, subject="chat")
    rows |= {row for row, group in all_names.items() if not found.isdisjoint(group)}
    return sorted(rows)


def _as_list(names: str | Collection[str]) -> list[str]:
    return [names] if isinstance(names, str) else [*names]


def _json(values: Iterable[object]) -> str:
    # One JSON parameter, since SQLite limits their number.
    return msgspec.json.encode([*values]).decode()
