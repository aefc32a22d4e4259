"""A full-text search index over chats."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from threading import RLock
from typing import NamedTuple, Self
from weakref import finalize

import msgspec
from langchain_core.chat_sessions import ChatSession
from langchain_core.documents import Document

from langchain_chatexports._files import translate_write_errors
from langchain_chatexports._parts import part_folder
from langchain_chatexports.chat_loaders.base import parse_time_bound
from langchain_chatexports.chat_loaders.json_data import replace_lone_surrogates
from langchain_chatexports.chat_loaders.session_source import (
    SessionSource,
    iter_sessions,
)
from langchain_chatexports.retrieval.documents import (
    ChatLine,
    IndexedChat,
    create_document,
    read_chat,
    window_spans,
)
from langchain_chatexports.retrieval.queries import (
    LINE_END,
    Expression,
    is_question,
    match_expression,
    to_search_text,
)
from langchain_chatexports.retrieval.search import (
    Filters,
    RankedWindow,
    best_windows,
    create_filters,
    load_chat,
    load_lines,
    marked_words,
    parse_chat,
    ranked_windows,
)
from langchain_chatexports.retrieval.storage import (
    open_index,
    reset_tables,
    transaction,
    translate_sqlite_errors,
)

# How many windows to rank per hit, since adjacent windows share matches.
_WINDOWS_PER_HIT = 5
_MIN_WINDOWS = 50
# How many windows to scan for a message that contains all words.
_MAX_WINDOWS_CHECKED = 1000
# The answer to a question is usually in the next messages.
_MESSAGES_AFTER = 4


class IndexCounts(NamedTuple):
    """Chat and message counts of an index."""

    chats: int
    messages: int


class Hit(NamedTuple):
    """A window in a search result."""

    document: Document
    """The document, as in `sessions_to_documents`, with `match` in its metadata."""

    matches: tuple[ChatLine, ...]
    """The best matching messages: several if they match equally well."""

    words: int
    """How many query words each match contains; 0 if only other messages match."""

    marked: frozenset[str]
    """The words in the matches that match the query, including inflected forms."""

    lines: tuple[ChatLine, ...]
    """All messages in the window."""

    @property
    def match(self) -> ChatLine:
        """The first of the best matching messages."""
        return self.matches[0]


class ChatIndex:
    """A search index over chats, in an SQLite file or in memory.

    The file contains message text and is readable only by its owner. Threads can share
    an index; a lock serializes their calls.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        """Open the index, or create an empty one.

        Args:
            path: The index file; `None` for an index in memory.

        Raises:
            ExportFormatError: If the file is not a search index.
            ChatExportError: If this Python's SQLite has no full-text search.
        """
        self.path = None if path is None else Path(path).expanduser()
        self._lock = RLock()
        self._connect()

    def rebuild(self, sessions: SessionSource, *, note: str = "") -> IndexCounts:
        """Replace the contents of the index.

        The replacement is atomic: until it completes, the previous contents are read,
        and after an error or a kill the index is unchanged.

        Args:
            sessions: A chat loader, a session, or an iterable of sessions.
            note: A note about the sources, returned by `note`.

        Returns:
            The new chat and message counts.
        """
        if self.path is None:
            with self._lock, transaction(self._connection, write=True):
                return _store_sessions(self._connection, sessions, note)
        with (
            translate_write_errors(self.path) as pass_errors,
            part_folder(self.path.parent) as folder,
        ):
            part = folder / "index"  # And its journal.
            with (
                translate_sqlite_errors(self.path),
                closing(open_index(part)) as connection,
                closing(iter_sessions(sessions)) as source,
                transaction(connection, write=True),
            ):
                counts = _store_sessions(connection, pass_errors(source), note)
            self._replace_file(self.path, part)
        return counts

    def note(self) -> str:
        """Return the note passed to the last `rebuild`, or an empty string."""
        with self._transaction():
            row = self._connection.execute("SELECT value FROM note").fetchone()
        return str(row[0]) if row else ""

    def search(
        self,
        query: str,
        *,
        k: int = 4,
        person: str | Collection[str] | None = None,
        chat: str | Collection[str] | None = None,
        start: datetime | date | None = None,
        end: datetime | date | None = None,
    ) -> list[Hit]:
        """Search for windows, best first.

        Args:
            query: A question or words. Quoted phrases are required.
            k: Maximum number of hits.
            person: A sender in the window, by full name or words of it, ignoring case.
                If several names are given, one must match; an empty collection matches
                nothing. The hit's `match` is a message from that person.
            chat: Title, participant or id of the conversation, matched like `person`.
            start: Earliest message time (inclusive): an aware datetime, or a UTC date.
            end: Latest message time: an aware datetime (exclusive), or a UTC date
                (inclusive).

        Returns:
            The hits.

        Raises:
            SenderNotFoundError: If no person or chat matches the name.
            ValueError: If `start` or `end` is a datetime without a time zone.
        """
        start_time, end_time = (
            parse_time_bound(start, "start"),
            parse_time_bound(end, "end"),
        )
        # Command-line arguments with invalid UTF-8 contain lone surrogates.
        expression = match_expression(replace_lone_surrogates(query))
        with self._transaction():
            filters = create_filters(
                self._connection, person, chat, start_time, end_time
            )
            if expression is None or k <= 0:
                return []
            # Adjacent windows share messages, but each match is reported once. Compare
            # complete lines, since conversations may use the same ids.
            reported: set[ChatLine] = set()
            hits: list[Hit] = []
            limit = max(_MIN_WINDOWS, _WINDOWS_PER_HIT * k)
            for hit in self._iter_ranked_hits(expression, filters, limit):
                matches = tuple(line for line in hit.matches if line not in reported)
                if matches:
                    reported.update(matches)
                    hit.document.metadata["match"] = matches[0].ids[0]
                    hits.append(hit._replace(matches=matches))
                if len(hits) >= k:
                    break
            return hits

    def count_windows(self, words: Iterable[str]) -> tuple[dict[str, int], int]:
        """Return each word's window count and the total number of windows."""
        expressions = {word: match_expression(f'"{word}"') for word in words}
        terms = {word: found.text for word, found in expressions.items() if found}
        with self._transaction():
            counts, windows = self._count(terms.values())
        return {word: counts[term] for word, term in terms.items()}, windows

    def _count(self, terms: Iterable[str]) -> tuple[dict[str, int], int]:
        (windows,) = self._connection.execute("SELECT count(*) FROM window").fetchone()
        query = "SELECT count(*) FROM words WHERE words MATCH ?"
        counts = {
            term: self._connection.execute(query, (term,)).fetchone()[0]
            for term in terms
        }
        return counts, windows

    def message_context(
        self, message_id: str, *, before: int, after: int, chat: str | None
    ) -> tuple[IndexedChat, list[ChatLine]] | None:
        """Return a message's conversation and the messages around it.

        `chat` is the `source` or `session_id` of the conversation, if known.
        """
        with self._transaction():
            # Merged messages have several ids.
            rows = self._connection.execute(
                "SELECT chat, position FROM message WHERE instr(ids, ?) AND EXISTS "
                "(SELECT 1 FROM json_each(ids) WHERE json_each.value = ?) "
                "ORDER BY chat, position",
                (msgspec.json.encode(message_id).decode(), message_id),
            )
            for chat_row, position in rows:
                indexed = load_chat(self._connection, chat_row)
                if chat is None or chat in {indexed.source, indexed.session_id}:
                    start, stop = max(0, position - before), position + after + 1
                    return indexed, load_lines(self._connection, chat_row, start, stop)
        return None

    def with_answer(self, line: ChatLine, *, chat: str) -> list[ChatLine]:
        """Return a message, and after a question the next person's message, if any."""
        if not is_question(line.text):
            return [line]
        context = self.message_context(
            line.ids[0], before=0, after=_MESSAGES_AFTER, chat=chat
        )
        later = context[1] if context else []
        answers = (other for other in later if other.sender != line.sender)
        return [line, *islice(answers, 1)]

    def chats(self) -> list[IndexedChat]:
        """Return the chats, most recently active first."""
        with self._transaction():
            rows = self._connection.execute("SELECT facts FROM chat").fetchall()
        chats = sorted(
            (parse_chat(values) for (values,) in rows), key=lambda chat: chat.source
        )
        return sorted(chats, key=lambda chat: chat.last or "", reverse=True)

    def people(self) -> dict[str, int]:
        """Return the message count of each sender, in descending order."""
        senders = Counter[str]()
        for chat in self.chats():
            senders.update(chat.senders)
        return dict(sorted(senders.items(), key=lambda item: (-item[1], item[0])))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._close()

    def __enter__(self) -> Self:
        """Return the index."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the file."""
        self.close()

    def _connect(self) -> None:
        self._connection = open_index(self.path)
        self._inode = _inode(self.path)
        # Close the file if the index is garbage-collected without `close`.
        self._close = finalize(self, self._connection.close)

    def _replace_file(self, path: Path, part: Path) -> None:
        with self._lock:
            self._close()
            try:
                part.replace(path)
            except PermissionError:  # On Windows, another process has opened it.
                with (
                    closing(open_index(part)) as source,
                    closing(open_index(path)) as target,
                ):
                    source.backup(target)
            finally:
                self._connect()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock, translate_sqlite_errors(self.path):
            inode = _inode(self.path)
            if self._close.alive and inode not in {None, self._inode}:
                self._close()  # Another process has rebuilt the index.
                self._connect()
            with transaction(self._connection):
                yield

    def _iter_ranked_hits(
        self, expression: Expression, filters: Filters, limit: int
    ) -> Iterator[Hit]:
        """Yield hits; windows with a message that contains all words come first."""
        terms = expression.terms
        candidates = ranked_windows(self._connection, expression.all_terms, filters)
        for row in islice(candidates, _MAX_WINDOWS_CHECKED):
            marked = marked_words(self._connection, terms, row.window_id)
            if len(terms) in map(len, marked.values()):
                hit = self._create_hit(row, terms, filters)
                if hit.words == len(terms):
                    yield hit
        rare = expression.without_common(*self._count(terms))
        for row in best_windows(self._connection, rare.text, filters, limit):
            yield self._create_hit(row, rare.terms, filters)

    def _create_hit(
        self, row: RankedWindow, terms: Sequence[str], filters: Filters
    ) -> Hit:
        lines = load_lines(self._connection, row.chat_id, row.start, row.stop)
        marked = marked_words(self._connection, terms, row.window_id)
        counts = [len(marked.get(index, ())) for index in range(len(lines))]
        allowed = [i for i, line in enumerate(lines) if filters.includes(line)]
        words = max((counts[i] for i in allowed), default=0)
        best = [i for i in allowed if counts[i] == words]
        return Hit(
            document=create_document(load_chat(self._connection, row.chat_id), lines),
            matches=tuple(lines[i] for i in best),
            marked=frozenset(word for i in best for word in marked.get(i, ())),
            words=words,
            lines=tuple(lines),
        )


def _inode(path: Path | None) -> int | None:
    try:
        return path.stat().st_ino if path else None
    except OSError:
        return None


def _store_sessions(
    connection: sqlite3.Connection, sessions: SessionSource, note: str
) -> IndexCounts:
    """Replace the contents within a transaction."""
    chats = messages = 0
    reset_tables(connection)
    with closing(iter_sessions(sessions)) as source:
        for session in source:
            count = _store(connection, session)
            chats += count > 0
            messages += count
            del session
    connection.execute("INSERT INTO note VALUES (?)", (note,))
    return IndexCounts(chats, messages)


def _store(connection: sqlite3.Connection, session: ChatSession) -> int:
    """Write a session and return its number of messages."""
    chat, lines = read_chat(session)
    if not lines:
        return 0
    execute = connection.execute
    values = msgspec.json.encode(chat._asdict()).decode()
    chat_row = execute("INSERT INTO chat (facts) VALUES (?)", (values,)).lastrowid
    connection.executemany(
        "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?)",
        (
            (chat_row, position, msgspec.json.encode(line.ids).decode(), *line[1:])
            for position, line in enumerate(lines)
        ),
    )
    for start, stop in window_spans(session):
        window_lines = lines[start:stop]
        times = [line.time for line in window_lines if line.time is not None]
        first, last = min(times, default=None), max(times, default=None)
        window = execute(
            "INSERT INTO window (chat, start, stop, first, last) "
            "VALUES (?, ?, ?, ?, ?)",
            (chat_row, start, stop, first, last),
        ).lastrowid
        text = LINE_END.join(to_search_text(line.text) for line in window_lines)
        execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (window, text))
    return len(lines)
