"""The search index: find messages by words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from threading import RLock
from typing import NamedTuple
from weakref import finalize

import orjson
from langchain_core.chat_sessions import ChatSession
from langchain_core.documents import Document
from typing_extensions import Self

from langchain_chatexports.chat_loaders.base import time_bound
from langchain_chatexports.chat_loaders.json_data import without_lone_surrogates
from langchain_chatexports.chat_loaders.session_source import (
    SessionSource,
    iter_sessions,
)
from langchain_chatexports.retrieval.documents import (
    ChatLine,
    IndexedChat,
    read_chat,
    window_document,
    window_spans,
)
from langchain_chatexports.retrieval.queries import (
    LINE_END,
    Expression,
    match_expression,
    searchable,
)
from langchain_chatexports.retrieval.search import (
    Filters,
    Ranked,
    by_words,
    chat_of,
    make_filters,
    marked_words,
    ranked_windows,
    stored_chat,
    stored_lines,
)
from langchain_chatexports.retrieval.storage import (
    empty,
    explained,
    open_index,
    transaction,
)

# The number of windows to consider per hit, since neighbors share matches.
_POOL = 5
_MIN_POOL = 50
# The number of windows with all words in which one message with all of them is sought.
_MAX_CHECKED = 1000


class IndexCounts(NamedTuple):
    """The numbers of chats and messages in an index."""

    chats: int
    messages: int


class Hit(NamedTuple):
    """A window in the result of a search."""

    document: Document
    """The document, as by `sessions_to_documents`, and the id of its `match`."""

    matches: tuple[ChatLine, ...]
    """The best matching messages, several if they match equally well."""

    words: int
    """The number of words that a match contains; 0 if only its neighbors match."""

    marked: frozenset[str]
    """The words in the matches that are those of the query, such as other forms."""

    lines: tuple[ChatLine, ...]

    @property
    def match(self) -> ChatLine:
        """The first of the best matching messages."""
        return self.matches[0]


class ChatIndex:
    """A search index over chats, in one SQLite file or in memory.

    The file contains the messages' texts, and only its owner can read it. Several
    threads can use an index: calls wait for each other.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        """Open the index, and create an empty one if there is none.

        Args:
            path: Its file; `None` for an index in memory.

        Raises:
            ExportFormatError: If the file is something else.
            ChatExportError: If this Python's SQLite has no full-text search.
        """
        self.path = None if path is None else Path(path).expanduser()
        self._lock = RLock()
        self._connection = open_index(self.path)
        # Close the file if the index is garbage-collected without `close`.
        self._close = finalize(self, self._connection.close)

    def rebuild(self, sessions: SessionSource, *, note: str = "") -> IndexCounts:
        """Replace the contents of the index by sessions.

        After an error the index is unchanged. In the meantime, other programs read the
        previous contents.

        Args:
            sessions: A chat loader, a session, or an iterable of sessions.
            note: A note on the sources, for `note`.

        Returns:
            The new numbers of chats and messages.
        """
        chats = messages = 0
        with self._reading(write=True):
            empty(self._connection)
            with closing(iter_sessions(sessions)) as source:
                for session in source:
                    stored = self._store(session)
                    chats += stored > 0
                    messages += stored
                    del session
            self._connection.execute("INSERT INTO note VALUES (?)", (note,))
        return IndexCounts(chats, messages)

    def note(self) -> str:
        """Return the note of the last `rebuild`; empty if there is none."""
        with self._reading():
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
        """Find windows, best first.

        Args:
            query: A question or words. Phrases in quotation marks must occur.
            k: Maximum number of hits.
            person: A sender of the window, by name or by words of the name; case does
                not matter. One of several must match; an empty collection finds
                nothing. The hit's `match` is a message by that person.
            chat: Title, participant or id of the conversation, in the same way.
            start: The oldest time: an aware datetime, or a date in UTC.
            end: The end: an aware datetime (excluded), or a date in UTC (included).

        Returns:
            The hits.

        Raises:
            SenderNotFoundError: If there is no person or chat of that name.
            ValueError: If `start` or `end` is a datetime without a time zone.
        """
        first, last = time_bound(start, "start"), time_bound(end, "end")
        # Shells pass invalid UTF-8 as surrogates.
        expression = match_expression(without_lone_surrogates(query))
        with self._reading():
            filters = make_filters(self._connection, person, chat, first, last)
            if expression is None or k <= 0:
                return []
            # Neighboring windows share messages, so a message is the match of one hit
            # only. Compare lines, since ids may be equal in different conversations.
            matched: set[ChatLine] = set()
            hits: list[Hit] = []
            for hit in self._ranked(expression, filters, max(_MIN_POOL, _POOL * k)):
                new = tuple(line for line in hit.matches if line not in matched)
                if new:
                    matched.update(new)
                    hit.document.metadata["match"] = new[0].ids[0]
                    hits.append(hit._replace(matches=new))
                if len(hits) >= k:
                    break
            return hits

    def count_windows(self, words: Iterable[str]) -> tuple[dict[str, int], int]:
        """Return the number of windows with each word, and of all windows."""
        count = "SELECT count(*) FROM words WHERE words MATCH ?"
        with self._reading():
            (windows,) = self._connection.execute(
                "SELECT count(*) FROM window"
            ).fetchone()
            expressions = {word: match_expression(f'"{word}"') for word in words}
            counts = {
                word: self._connection.execute(count, (expression.text,)).fetchone()[0]
                for word, expression in expressions.items()
                if expression is not None
            }
        return counts, windows

    def lines_around(
        self, message_id: str, *, before: int, after: int, chat: str | None
    ) -> tuple[IndexedChat, list[ChatLine]] | None:
        """Return a message's conversation, and the messages around it.

        `chat` is the `source` or `session_id` of the conversation, if known.
        """
        with self._reading():
            # A merged message has several ids.
            rows = self._connection.execute(
                "SELECT chat, position FROM message WHERE instr(ids, ?) AND EXISTS "
                "(SELECT 1 FROM json_each(ids) WHERE json_each.value = ?) "
                "ORDER BY chat, position",
                (orjson.dumps(message_id).decode(), message_id),
            )
            for row, position in rows:
                facts = stored_chat(self._connection, row)
                if chat is None or chat in {facts.source, facts.session_id}:
                    start, stop = max(0, position - before), position + after + 1
                    return facts, stored_lines(self._connection, row, start, stop)
        return None

    def chats(self) -> list[IndexedChat]:
        """Return the chats, the one with the newest message first."""
        with self._reading():
            rows = self._connection.execute("SELECT facts FROM chat").fetchall()
        listed = sorted(
            (chat_of(about) for (about,) in rows), key=lambda chat: chat.source
        )
        return sorted(listed, key=lambda chat: chat.last or "", reverse=True)

    def people(self) -> dict[str, int]:
        """Return the number of messages of each sender, most first."""
        written = Counter[str]()
        for chat in self.chats():
            written.update(chat.senders)
        return dict(sorted(written.items(), key=lambda one: (-one[1], one[0])))

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

    @contextmanager
    def _reading(self, *, write: bool = False) -> Iterator[None]:
        with (
            self._lock,
            explained(self.path),
            transaction(self._connection, write=write),
        ):
            yield

    def _store(self, session: ChatSession) -> int:
        """Write a session, and return its number of messages."""
        facts, lines = read_chat(session)
        if not lines:
            return 0
        execute = self._connection.execute
        about = orjson.dumps(facts._asdict()).decode()
        chat = execute("INSERT INTO chat (facts) VALUES (?)", (about,)).lastrowid
        self._connection.executemany(
            "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?)",
            (
                (chat, position, orjson.dumps(line.ids).decode(), *line[1:])
                for position, line in enumerate(lines)
            ),
        )
        for start, stop in window_spans(session):
            held = lines[start:stop]
            times = [line.time for line in held if line.time is not None]
            window = execute(
                "INSERT INTO window (chat, start, stop, first, last) "
                "VALUES (?, ?, ?, ?, ?)",
                (chat, start, stop, min(times, default=None), max(times, default=None)),
            ).lastrowid
            text = LINE_END.join(searchable(line.text) for line in held)
            execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (window, text))
        return len(lines)

    def _ranked(
        self, expression: Expression, filters: Filters, limit: int
    ) -> Iterator[Hit]:
        """Yield windows, those with a message that has all words first."""
        terms = expression.terms
        found = ranked_windows(self._connection, expression.all_terms, filters)
        for row in islice(found, _MAX_CHECKED):
            marked = marked_words(self._connection, terms, row.window)
            if len(terms) in map(len, marked.values()):
                hit = self._hit(row, terms, filters)
                if hit.words == len(terms):
                    yield hit
        for row in by_words(self._connection, expression.text, filters, limit):
            yield self._hit(row, terms, filters)

    def _hit(self, ranked: Ranked, terms: Sequence[str], filters: Filters) -> Hit:
        place = (ranked.chat, ranked.start, ranked.stop)
        lines = stored_lines(self._connection, *place)
        marked = marked_words(self._connection, terms, ranked.window)
        counts = [len(marked.get(place, ())) for place in range(len(lines))]
        allowed = [i for i, line in enumerate(lines) if filters.includes(line)]
        words = max((counts[i] for i in allowed), default=0)
        best = [i for i in allowed if counts[i] == words]
        return Hit(
            document=window_document(stored_chat(self._connection, place[0]), lines),
            matches=tuple(lines[i] for i in best),
            marked=frozenset(word for i in best for word in marked.get(i, ())),
            words=words,
            lines=tuple(lines),
        )
