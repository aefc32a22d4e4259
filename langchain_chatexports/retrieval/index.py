"""The search index: what was said, found by words and, with embeddings, by meaning."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, NamedTuple
from weakref import finalize

import orjson

from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.base import time_bound
from langchain_chatexports.chat_loaders.documents import (
    ChatFacts,
    ChatLine,
    Windows,
    chat_facts,
    chat_lines,
    iso_seconds,
    window_document,
)
from langchain_chatexports.chat_loaders.json_data import without_lone_surrogates
from langchain_chatexports.chat_loaders.session_source import iter_sessions
from langchain_chatexports.retrieval.forgetting import Forgotten
from langchain_chatexports.retrieval.queries import match_expression
from langchain_chatexports.retrieval.rows import (
    Changes,
    facts_of,
    remove_chat,
    store_chat,
    stored_facts,
    stored_lines,
)
from langchain_chatexports.retrieval.search import (
    Filters,
    by_words,
    joined_by_rank,
    make_filters,
    marked_words,
)
from langchain_chatexports.retrieval.storage import (
    explained,
    open_index,
    set_setting,
    setting,
    snapshot,
    transaction,
)
from langchain_chatexports.retrieval.vectors import WindowVectors

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import date, datetime

    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings
    from typing_extensions import Self

    from langchain_chatexports.chat_loaders.session_source import SessionSource

__all__ = ["ChatIndex", "ForgetCounts", "Hit", "IndexCounts", "IndexedChat"]

# How many windows each way of searching contributes.
_POOL = 50
# Of words and of meaning. By benchmarks/retrieval.py, meaning finds less than words do:
# it orders what words find, and comes behind it.
_WEIGHTS = (1.0, 0.25)


class IndexCounts(NamedTuple):
    """What an update did, in windows."""

    added: int
    changed: int
    removed: int
    unchanged: int


class ForgetCounts(NamedTuple):
    """What was removed."""

    chats: int
    """Chats that are gone as a whole."""

    messages: int

    def in_words(self) -> str:
        """Return it for people."""
        messages = plural(self.messages, "message")
        return f"{messages} taken out, {plural(self.chats, 'chat')} as a whole"


class IndexedChat(NamedTuple):
    """A chat in an index."""

    source: str
    session_id: str
    platform: str
    title: str | None
    participants: tuple[str, ...]
    is_group: bool | None
    senders: dict[str, int]
    """Who wrote how many messages, most first."""

    first: str | None
    """Time of the first message, ISO 8601 in UTC."""

    last: str | None

    @property
    def messages(self) -> int:
        """The number of messages."""
        return sum(self.senders.values())


class Hit(NamedTuple):
    """A window that was found."""

    document: Document
    """As `sessions_to_documents` makes it."""

    matches: tuple[ChatLine, ...]
    """The messages in it that fit best: several if they fit equally well."""

    score: float
    """Higher is better; comparable within one search only."""

    words: int
    """How many words of a match fit: 0 if its neighbors or its meaning do."""

    lines: tuple[ChatLine, ...]
    """All messages of the window."""

    @property
    def match(self) -> ChatLine:
        """The first message that fits best."""
        return self.matches[0]


class ChatIndex:
    """A search index over chats, in one SQLite file or in memory.

    The file holds the messages' texts; only its owner can read it. One index is for one
    thread at a time or several: calls wait for each other.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        embeddings: Embeddings | None = None,
        min_similarity: float = 0.2,
        windows: Windows | None = None,
    ) -> None:
        """Open the index, and create it if there is none.

        Args:
            path: Its file; `None` for an index in memory.
            embeddings: Finds by meaning too, such as `WordLlamaEmbeddings()`; `None`
                for words only.
            min_similarity: The cosine from which on a window fits by meaning. The
                default is for WordLlama, in which unrelated texts have up to 0.15.
            windows: Where conversations are cut; `None` for the default.

        Raises:
            ExportFormatError: If the file is something else.
            ChatExportError: If this Python's SQLite has no full-text search.
            MissingExtraError: If embeddings are given and numpy is not installed.
        """
        self.path = None if path is None else Path(path).expanduser()
        self._windows = windows or Windows()
        self._windows.check()
        self._lock = RLock()
        self._connection = open_index(self.path)
        # An index that nobody closes closes its file when nobody has it any more.
        self._close = finalize(self, self._connection.close)
        self._vectors = (
            None
            if embeddings is None
            else WindowVectors(self._connection, embeddings, min_similarity)
        )

    def update(self, sessions: SessionSource, *, complete: bool = False) -> IndexCounts:
        """Bring the index up to date with sessions.

        Chats and windows that are as they were stay untouched, and so do their vectors.
        A conversation becomes what these sessions have of it: parts of one, such as
        those of two exports or of `SplitSessions`, belong into one call.

        Args:
            sessions: A chat loader, a session, or an iterable of sessions.
            complete: Whether the sessions are everything: chats of the index that are
                not among them are removed.

        Returns:
            What changed.
        """
        with self._lock, explained(self.path):
            with transaction(self._connection):
                changes = self._store(sessions, complete=complete)
            if self._vectors is not None:
                self._vectors.fill()
        return IndexCounts(*changes)

    def _store(self, sessions: SessionSource, *, complete: bool) -> Changes:
        connection, forgotten = self._connection, Forgotten(self._connection)
        changes = Changes()
        parts: Counter[str] = Counter()
        with closing(iter_sessions(sessions)) as source:
            for session in source:
                facts = chat_facts(session)
                rest = forgotten.rest(facts, chat_lines(session, facts))
                del session
                if rest is None or not rest[1]:
                    continue
                part = parts[facts.source]
                parts[facts.source] += 1
                stored = store_chat(connection, rest[0], part, rest[1], self._windows)
                changes = changes.plus(stored)
        rows = connection.execute("SELECT id, source, part FROM chat").fetchall()
        for chat, name, part in rows:
            if part >= parts[name] and (complete or name in parts):
                removed = remove_chat(connection, chat)
                changes = changes.plus(Changes(removed=removed))
        return changes

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
            query: A question or words; what stands in quotation marks must occur.
            k: Maximum number of hits.
            person: Who wrote a message of the window: a name, or a part of it in whole
                words, without regard to case; of several, any. The hit's `match` is a
                message of theirs.
            chat: Title, participant or id of the conversation, in the same way.
            start: As for loaders: the oldest moment, or a day in UTC.
            end: The end (a moment itself is not included, a day in UTC is).

        Returns:
            The hits; none if nothing fits.

        Raises:
            SenderNotFoundError: If nobody has the name, or no chat.
            ValueError: If `start` or `end` is a datetime without a time zone.
        """
        first, last = time_bound(start, "start"), time_bound(end, "end")
        # A shell passes bytes that are no text in this form.
        query = without_lone_surrogates(query)
        with self._lock, explained(self.path), snapshot(self._connection):
            filters = make_filters(
                self._connection,
                person,
                chat,
                None if first is None else first.timestamp(),
                None if last is None else last.timestamp(),
            )
            rankings = self._rankings(query, filters, max(_POOL, 5 * k))
            # Neighboring windows share messages: each is the match of one hit only. Ids
            # alone do not tell them apart, if a table counts in each conversation.
            matched: set[ChatLine] = set()
            hits: list[Hit] = []
            for window, score in joined_by_rank(rankings, _WEIGHTS):
                if len(hits) >= k:
                    break
                hit = self._hit(window, score, query, filters)
                if hit is None:
                    continue
                new = tuple(line for line in hit.matches if line not in matched)
                if new:
                    matched.update(new)
                    hits.append(hit._replace(matches=new))
            return hits

    def _rankings(self, query: str, filters: Filters, limit: int) -> list[list[int]]:
        expression = match_expression(query)
        if expression is None:
            return []
        rankings = [by_words(self._connection, expression, filters, limit)]
        if self._vectors is not None:
            among = None if filters.is_everything else self._allowed(filters)
            rankings.append(self._vectors.nearest(query, limit, among))
        return rankings

    def _allowed(self, filters: Filters) -> list[int]:
        condition, values = filters.condition()
        rows = self._connection.execute(
            f"SELECT id FROM window WHERE {condition}", values
        )
        return [number for (number,) in rows]

    def _hit(
        self,
        window: int,
        score: float,
        query: str,
        filters: Filters,
    ) -> Hit | None:
        chat, start, stop = self._connection.execute(
            "SELECT chat, start, stop FROM window WHERE id = ?", (window,)
        ).fetchone()
        lines = stored_lines(self._connection, chat, start, stop)
        open_lines = [i for i, line in enumerate(lines) if filters.takes(line)]
        if not open_lines:
            return None
        counts = marked_words(self._connection, match_expression(query) or "", window)
        if counts:
            words = max(counts[i] for i in open_lines)
            matches = [lines[i] for i in open_lines if counts[i] == words]
        else:
            # Only its meaning has found it.
            words, among = 0, [lines[i] for i in open_lines]
            near = self._vectors.best_line(query, among) if self._vectors else 0
            matches = [among[near]]
        document = window_document(stored_facts(self._connection, chat), lines)
        return Hit(document, tuple(matches), score, words, tuple(lines))

    def around(
        self,
        message_id: str,
        *,
        before: int = 5,
        after: int = 5,
        chat: str | None = None,
    ) -> Document | None:
        """Return a message with its neighbors in the conversation.

        Args:
            message_id: The id, as hits have it.
            before: How many messages before it.
            after: How many messages after it.
            chat: The `source` or `session_id` of its conversation, if it is known.

        Returns:
            A document of these messages; `None` if there is no such message.
        """
        found = self.lines_around(message_id, before=before, after=after, chat=chat)
        return None if found is None else window_document(*found)

    def lines_around(
        self, message_id: str, *, before: int, after: int, chat: str | None
    ) -> tuple[ChatFacts, list[ChatLine]] | None:
        """Return the conversation and the messages of `around`."""
        with self._lock, explained(self.path), snapshot(self._connection):
            # An id can also be one of those of a merged message.
            condition = (
                "EXISTS (SELECT 1 FROM json_each(ids) WHERE json_each.value = ?)"
            )
            rows = self._connection.execute(
                "SELECT chat, position FROM message WHERE instr(ids, ?) "
                f"AND {condition} ORDER BY chat, position",
                (_in_json(message_id), message_id),
            )
            for row, position in rows:
                facts = stored_facts(self._connection, row)
                if chat is None or chat in {facts.source, facts.session_id}:
                    lines = stored_lines(
                        self._connection,
                        row,
                        max(0, position - before),
                        position + after + 1,
                    )
                    return facts, lines
        return None

    def chats(self) -> list[IndexedChat]:
        """Return the chats, the one with the newest message first."""
        with self._lock, explained(self.path), snapshot(self._connection):
            rows = self._connection.execute(
                "SELECT chat, name, count(*), min(time), max(time) FROM message "
                "JOIN person ON person.id = sender GROUP BY chat, sender"
            ).fetchall()
            facts = dict(self._connection.execute("SELECT id, facts FROM chat"))
        by_chat: dict[int, list[_SenderRow]] = {}
        for chat, *row in rows:
            by_chat.setdefault(chat, []).append(_SenderRow(*row))
        listed = [
            _indexed_chat(facts_of(facts[chat]), senders)
            for chat, senders in by_chat.items()
        ]
        listed.sort(key=lambda chat: chat.source)
        return sorted(listed, key=lambda chat: chat.last or "", reverse=True)

    def people(self) -> dict[str, int]:
        """Return who wrote how many messages, most first."""
        with self._lock, explained(self.path):
            return dict(
                self._connection.execute(
                    "SELECT name, count(*) FROM message "
                    "JOIN person ON person.id = sender "
                    "GROUP BY sender ORDER BY count(*) DESC, name"
                )
            )

    def forget(
        self,
        people: str | Collection[str] = (),
        conversations: str | Collection[str] = (),
    ) -> ForgetCounts:
        """Remove people and conversations for good.

        Of a person, the messages and every chat between them and one other are removed.
        Later updates leave them out: the index keeps a salted hash of each name.

        Args:
            people: Names, as senders in the export, without regard to case.
            conversations: The `session_id` or `source` of each.

        Returns:
            What was removed.
        """
        with self._lock, explained(self.path):
            with transaction(self._connection):
                before = self._totals()
                self._remove(_listed(people), _listed(conversations))
                after = self._totals()
            self._scrub()
        return ForgetCounts(
            *(old - new for old, new in zip(before, after, strict=True))
        )

    def forgotten(
        self, people: Collection[str], conversations: Collection[str]
    ) -> tuple[list[str], list[str]]:
        """Return which of these were forgotten, so that another index can do so too.

        Args:
            people: Names.
            conversations: As for `forget`.
        """
        with self._lock, explained(self.path):
            forgotten = Forgotten(self._connection)
        return (
            [name for name in people if forgotten.has_person(name)],
            [one for one in conversations if forgotten.has_conversation(one)],
        )

    def _totals(self) -> tuple[int, int]:
        (chats,) = self._connection.execute("SELECT count(*) FROM chat").fetchone()
        (messages,) = self._connection.execute(
            "SELECT count(*) FROM message"
        ).fetchone()
        return chats, messages

    def _remove(self, people: Collection[str], conversations: Collection[str]) -> None:
        connection, forgotten = self._connection, Forgotten(self._connection)
        forgotten.add(people, conversations)
        for chat, part in connection.execute("SELECT id, part FROM chat").fetchall():
            facts, lines = (
                stored_facts(connection, chat),
                stored_lines(connection, chat),
            )
            rest = forgotten.rest(facts, lines)
            if rest is None:
                remove_chat(connection, chat)
            elif rest != (facts, lines):
                store_chat(connection, rest[0], part, rest[1], self._windows)
        connection.execute(
            "DELETE FROM person WHERE id NOT IN (SELECT sender FROM message)"
        )

    def _scrub(self) -> None:
        """Write the file anew, so that nothing deleted is left in it."""
        self._connection.execute("INSERT INTO words (words) VALUES ('rebuild')")
        self._connection.execute("VACUUM")

    def note(self, name: str) -> str | None:
        """Return what `set_note` has noted; `None` if there is nothing."""
        with self._lock, explained(self.path):
            return setting(self._connection, f"note {name}")

    def set_note(self, name: str, value: str) -> None:
        """Note something in the index, such as what it was made from."""
        with self._lock, explained(self.path):
            set_setting(self._connection, f"note {name}", value)

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


class _SenderRow(NamedTuple):
    """What one person wrote in a chat."""

    name: str
    messages: int
    first: int | None
    last: int | None


def _indexed_chat(facts: ChatFacts, senders: Sequence[_SenderRow]) -> IndexedChat:
    most_first = sorted(senders, key=lambda row: (-row.messages, row.name))
    firsts = (row.first for row in senders if row.first is not None)
    lasts = (row.last for row in senders if row.last is not None)
    return IndexedChat(
        source=facts.source,
        session_id=facts.session_id,
        platform=facts.platform,
        title=facts.title or None,
        participants=facts.participants,
        is_group=facts.is_group,
        senders={row.name: row.messages for row in most_first},
        first=iso_seconds(min(firsts, default=None)),
        last=iso_seconds(max(lasts, default=None)),
    )


def _in_json(text: str) -> str:
    return orjson.dumps(text).decode()


def _listed(names: str | Collection[str]) -> list[str]:
    return [names] if isinstance(names, str) else [*names]
