"""Chats, messages and windows in the tables of a search index."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

import orjson

from langchain_chatexports.chat_loaders.documents import (
    ChatFacts,
    ChatLine,
    document_id,
)
from langchain_chatexports.retrieval.queries import LINE_END, searchable

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from langchain_chatexports.chat_loaders.documents import Windows

__all__ = [
    "Changes",
    "facts_of",
    "remove_chat",
    "store_chat",
    "stored_facts",
    "stored_lines",
]

_DIGEST_BYTES = 16
_SEPARATOR = "\x1f"
_ALL = 1 << 62


class Changes(NamedTuple):
    """How many windows changed."""

    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0

    def plus(self, other: Changes) -> Changes:
        """Return the sums."""
        return Changes(*map(sum, zip(self, other, strict=True)))


def store_chat(
    connection: sqlite3.Connection,
    facts: ChatFacts,
    part: int,
    lines: Sequence[ChatLine],
    windows: Windows,
) -> Changes:
    """Write a chat, as far as it is not there already.

    Args:
        connection: The index, in a transaction.
        facts: What is known of the chat.
        part: Its number among the sessions with this source.
        lines: Its messages.
        windows: Where it is cut.

    Returns:
        What changed.
    """
    keys = [
        _SEPARATOR.join((*line.ids, f"{line.time}", line.sender, line.text))
        for line in lines
    ]
    about = orjson.dumps(facts._asdict()).decode()
    digest = _digest([about, repr(windows), *keys])
    row = connection.execute(
        "SELECT id, digest FROM chat WHERE source = ? AND part = ?",
        (facts.source, part),
    ).fetchone()
    if row is not None and row[1] == digest:
        return Changes(unchanged=_count(connection, row[0]))
    if row is None:
        chat = (
            connection.execute(
                "INSERT INTO chat (source, part, digest, facts) VALUES (?, ?, ?, ?)",
                (facts.source, part, digest, about),
            ).lastrowid
            or 0
        )
    else:
        chat = row[0]
        connection.execute(
            "UPDATE chat SET digest = ?, facts = ? WHERE id = ?", (digest, about, chat)
        )
    _store_lines(connection, chat, lines)
    wanted = {
        document_id(facts, lines[start]): (_digest(keys[start:stop]), start, stop)
        for start, stop in reversed([*windows.spans(lines)])
    }
    return _store_windows(connection, chat, lines, wanted)


def _store_lines(
    connection: sqlite3.Connection, chat: int, lines: Sequence[ChatLine]
) -> None:
    old = stored_lines(connection, chat)
    pairs = zip(old, lines, strict=False)
    same = next(
        (i for i, (before, now) in enumerate(pairs) if before != now),
        min(len(old), len(lines)),
    )
    connection.execute(
        "DELETE FROM message WHERE chat = ? AND position >= ?", (chat, same)
    )
    new = lines[same:]
    people = _person_ids(connection, {line.sender for line in new})
    connection.executemany(
        "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            (
                chat,
                position,
                orjson.dumps(line.ids).decode(),
                line.time,
                None if line.end == line.time else line.end,
                people[line.sender],
                line.text,
            )
            for position, line in enumerate(new, same)
        ),
    )


def _person_ids(connection: sqlite3.Connection, names: set[str]) -> dict[str, int]:
    rows = [(name,) for name in names]
    connection.executemany("INSERT OR IGNORE INTO person (name) VALUES (?)", rows)
    found = "SELECT id FROM person WHERE name = ?"
    return {row[0]: connection.execute(found, row).fetchone()[0] for row in rows}


def _store_windows(
    connection: sqlite3.Connection,
    chat: int,
    lines: Sequence[ChatLine],
    wanted: dict[str, tuple[bytes, int, int]],
) -> Changes:
    added = changed = unchanged = 0
    there = {
        document: (number, digest, start)
        for number, document, digest, start in connection.execute(
            "SELECT id, document, digest, start FROM window WHERE chat = ?", (chat,)
        )
    }
    for document, (digest, start, stop) in reversed(wanted.items()):
        number, old_digest, old_start = there.pop(document, (None, None, None))
        if digest == old_digest:
            unchanged += 1
            if start != old_start:
                connection.execute(
                    "UPDATE window SET start = ?, stop = ? WHERE id = ?",
                    (start, stop, number),
                )
            continue
        if number is None:
            added += 1
        else:
            changed += 1
            _remove_windows(connection, [number])
        held = lines[start:stop]
        times = [line.time for line in held if line.time is not None]
        first, last = min(times, default=None), max(times, default=None)
        number = connection.execute(
            "INSERT INTO window VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (number, document, digest, chat, start, stop, first, last),
        ).lastrowid
        connection.execute(
            "INSERT INTO words (rowid, text) VALUES (?, ?)",
            (number, LINE_END.join(searchable(line.text) for line in held)),
        )
    _remove_windows(connection, [number for number, _, _ in there.values()])
    return Changes(added, changed, len(there), unchanged)


def remove_chat(connection: sqlite3.Connection, chat: int) -> int:
    """Remove a chat.

    Returns:
        How many windows it had.
    """
    rows = connection.execute("SELECT id FROM window WHERE chat = ?", (chat,))
    numbers = [number for (number,) in rows]
    _remove_windows(connection, numbers)
    connection.execute("DELETE FROM message WHERE chat = ?", (chat,))
    connection.execute("DELETE FROM chat WHERE id = ?", (chat,))
    return len(numbers)


def _remove_windows(connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
    rows = [(number,) for number in numbers]
    connection.executemany("DELETE FROM words WHERE rowid = ?", rows)
    connection.executemany("DELETE FROM vector WHERE window = ?", rows)
    connection.executemany("DELETE FROM window WHERE id = ?", rows)


def stored_facts(connection: sqlite3.Connection, chat: int) -> ChatFacts:
    """Return what is known of a chat."""
    (about,) = connection.execute(
        "SELECT facts FROM chat WHERE id = ?", (chat,)
    ).fetchone()
    return facts_of(about)


def facts_of(about: str) -> ChatFacts:
    """Return what is known of a chat from a row's JSON."""
    values = orjson.loads(about)
    return ChatFacts(**{**values, "participants": tuple(values["participants"])})


def stored_lines(
    connection: sqlite3.Connection, chat: int, start: int = 0, stop: int | None = None
) -> list[ChatLine]:
    """Return messages of a chat.

    Args:
        connection: The index.
        chat: The chat's row.
        start: The position of the first one.
        stop: The position behind the last one; `None` for all.
    """
    rows = connection.execute(
        'SELECT ids, time, "end", name, text FROM message '
        "JOIN person ON person.id = sender WHERE chat = ? AND position >= ? "
        "AND position < ? ORDER BY position",
        (chat, start, _ALL if stop is None else stop),
    )
    return [
        ChatLine(tuple(orjson.loads(ids)), time, end or time, name, text)
        for ids, time, end, name, text in rows
    ]


def _count(connection: sqlite3.Connection, chat: int) -> int:
    rows = connection.execute("SELECT count(*) FROM window WHERE chat = ?", (chat,))
    return int(rows.fetchone()[0])


def _digest(parts: Sequence[str]) -> bytes:
    joined = "\x1e".join(parts).encode()
    return blake2b(joined, digest_size=_DIGEST_BYTES).digest()
