"""The SQL queries of a Messages database, for the schema that it has."""

from __future__ import annotations

import re
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from langchain_chatexports.chat_loaders.imessage.row_kinds import (
    has_more,
    is_from_me,
    kind_of,
)
from langchain_chatexports.chat_loaders.imessage.rows import (
    Activity,
    AttachmentRow,
    Chat,
    Details,
    Handle,
)
from langchain_chatexports.chat_loaders.imessage.times import time_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterator, Sequence

    from langchain_chatexports.chat_loaders.imessage.schema import Schema

__all__ = ["Queries"]


class Queries:
    """The queries of one open database."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        schema: Schema,
        *,
        include_deleted: bool = False,
        include_orphans: bool = False,
    ) -> None:
        """Initialize the queries.

        Args:
            connection: The database.
            schema: Its schema.
            include_deleted: Whether chats include what is in Recently Deleted.
            include_orphans: Whether messages of no chat get made-up ones.
        """
        self._connection = connection
        self._schema = schema
        self._time = time_of(schema)
        self._is_from_me = is_from_me(schema)
        self._include_deleted = include_deleted
        self._include_orphans = include_orphans
        self._rows_of_chats = self._prepare_rows_of_chats()

    def handles(self) -> list[Handle]:
        """Return all handles."""
        names = ("ROWID", "id", "person_centric_id")
        rows = self._select("handle", names, _TEXTS_OF_HANDLES)
        return [
            Handle(row_id, address, person or None)
            for row_id, address, person in rows
            if address
        ]

    def chats(self) -> dict[Any, Chat]:
        """Return all rows of `chat` by their ROWID."""
        names = ("guid", "style", "chat_identifier", "service_name", "display_name")
        rows = self._select("chat", ("ROWID", *names, "group_id"), _TEXTS_OF_CHATS)
        return {
            row[0]: Chat(row[0], *(value or None for value in row[1:])) for row in rows
        }

    def participants(self) -> Iterator[tuple[Any, Any]]:
        """Return the pairs of chat and handle that say who takes part.

        They do not lead from a message to its sender: joined to messages, they repeat
        each message once for every participant.
        """
        return self._select("chat_handle_join", ("chat_id", "handle_id"))

    def lookups(self) -> Iterator[tuple[Any, Any]]:
        """Return the pairs of identifier and chat (since macOS 26)."""
        return self._select("chat_lookup", ("identifier", "chat"))

    def activity(self) -> list[Activity]:
        """Return what each chat holds, most recently active first."""
        handle = self._schema.column("message", "handle_id")
        speaker = f"CASE WHEN {self._is_from_me} THEN NULL ELSE {handle} END"
        # In the order of the chats, by the index that leads to their rows: in that of
        # the file, all rows would have to be sorted by chat.
        rows = self._connection.execute(
            f"""
            SELECT j.chat_id, count(*), MAX({self._time}),
                   MIN({speaker}), MAX({speaker})
            FROM {self._rows_of_chats} AS j
            CROSS JOIN message AS m ON m._rowid_ = j.message_id
            WHERE j.chat_id IS NOT NULL
            GROUP BY j.chat_id
            ORDER BY 3 DESC, 1
            """
        )
        return [
            Activity(chat_id, count, latest, (first, last))
            for chat_id, count, latest, first, last in rows
        ]

    def own_addresses(self) -> tuple[bool, frozenset[str]]:
        """Return whether the owner wrote any message, and the owner's addresses.

        `destination_caller_id` is the owner's side on received messages, too.
        """
        names = ("destination_caller_id", "account")
        columns = ", ".join(self._schema.column("message", name) for name in names)
        rows = self._connection.execute(
            f"SELECT DISTINCT {self._is_from_me}, {columns} FROM message AS m"
        )
        has_own = False
        found: set[str] = set()
        for is_own, *addresses in rows:
            has_own = has_own or bool(is_own)
            found.update(address for address in addresses if isinstance(address, str))
        # `account` has a prefix for the kind of address.
        bare = (
            _ACCOUNT_PREFIX.sub("", address).strip().casefold() for address in found
        )
        return has_own, frozenset(address for address in bare if address)

    def messages(self, chat_ids: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
        """Return the rows of some chats, oldest first, those without a time before.

        A message that is in two of the chats comes twice in a row.

        Returns:
            Tuples (a name for each value would cost as much as reading it): the row's
            number, microseconds since 1970 or `None`, whether it is the owner's,
            `handle_id`, `guid`, `service`, `text`, `attributedBody` where there is no
            text, the kind (see `kind_of`), whether there are `Details`.
        """
        marks = ", ".join("?" * len(chat_ids))
        sql = self._messages.replace("(?)", f"({marks})")
        return self._connection.execute(sql, chat_ids)

    @contextmanager
    def strict_texts(self) -> Iterator[None]:
        """Make badly encoded text an error, so that all other text is read faster.

        The error is an `sqlite3.OperationalError` that holds the text.
        """
        lenient = self._connection.text_factory
        self._connection.text_factory = str
        try:
            yield
        finally:
            self._connection.text_factory = lenient

    def handles_of(self, chat_ids: Sequence[Any]) -> list[Any]:
        """Return the handles that the messages of some chats name."""
        marks = ", ".join("?" * len(chat_ids))
        rows = self._connection.execute(
            f"""
            SELECT DISTINCT {self._schema.column("message", "handle_id")}
            FROM {self._rows_of_chats} AS j
            JOIN message AS m ON m._rowid_ = j.message_id
            WHERE j.chat_id IN ({marks}) ORDER BY 1
            """,
            chat_ids,
        )
        return [handle_id for (handle_id,) in rows]

    def details(self, row_id: int) -> Details:
        """Return the rare columns of one message."""
        row = self._connection.execute(self._details, (row_id,)).fetchone()
        return Details(*row)

    def attachments(self, message_id: int | None) -> list[AttachmentRow]:
        """Return the attachments of one message."""
        if self._attachments is None:
            return []
        rows = self._connection.execute(self._attachments, (message_id,))
        return [AttachmentRow(*row) for row in rows]

    def count_orphans(self, rows_in_chats: int) -> int:
        """Count the messages that are in no chat, and not Recently Deleted either.

        Args:
            rows_in_chats: How many rows `activity` found in all chats.
        """
        if self._is_each_in_one_chat(rows_in_chats):
            return 0
        return self._count(f"SELECT count(*) FROM message AS m WHERE {self._is_orphan}")

    def count_deleted(self) -> int:
        """Count the rows of Recently Deleted."""
        if not self._schema.has("chat_recoverable_message_join"):
            return 0
        return self._count(f"SELECT count(*) {self._deleted}")

    def _is_each_in_one_chat(self, rows_in_chats: int) -> bool:
        """Return whether each message is in one chat, by numbers that indexes give."""
        join = "chat_message_join"
        if self._rows_of_chats != join or not self._schema.is_indexed(
            join, "message_id"
        ):
            return False
        is_so = self._count(
            f"SELECT (SELECT count(*) FROM message) = {rows_in_chats} AND "
            f"(SELECT count(*) FROM {join}) = "
            f"(SELECT count(DISTINCT message_id) FROM {join})"
        )
        return bool(is_so)

    def _count(self, sql: str) -> int:
        (count,) = self._connection.execute(sql).fetchone()
        return int(count)

    def _select(
        self, table: str, names: Sequence[str], texts: Collection[str] = ()
    ) -> Iterator[tuple[Any, ...]]:
        if not self._schema.has(table):
            return iter(())
        listed = ", ".join(self._column(table, name, texts) for name in names)
        alias = table[0]
        return self._connection.execute(
            f"SELECT {listed} FROM {table} AS {alias} ORDER BY 1, 2"
        )

    def _column(self, table: str, name: str, texts: Collection[str]) -> str:
        column = self._schema.column(table, name)
        return f"CAST({column} AS TEXT)" if name in texts else column

    @cached_property
    def _messages(self) -> str:
        column = self._schema.column
        text, body = (column("message", name) for name in ("text", "attributedBody"))
        # Sorted by their numbers first: SQLite's sorter would carry each text, once for
        # every row that leads to it. The limit keeps SQLite from merging the two.
        return f"""
            SELECT m._rowid_, sorted.microseconds, {self._is_from_me},
                   {column("message", "handle_id")},
                   CAST({column("message", "guid")} AS TEXT),
                   {column("message", "service")},
                   {text}, CASE WHEN {text} <> '' THEN NULL ELSE {body} END,
                   {kind_of(self._schema)}, {has_more(self._schema)}
            FROM (
                SELECT m._rowid_ AS row_id, {self._time} AS microseconds
                FROM {self._rows_of_chats} AS j
                JOIN message AS m ON m._rowid_ = j.message_id
                WHERE j.chat_id IN (?)
                ORDER BY microseconds, m._rowid_ LIMIT -1
            ) AS sorted
            CROSS JOIN message AS m ON m._rowid_ = sorted.row_id"""

    @cached_property
    def _details(self) -> str:
        _, *names = Details.__dataclass_fields__
        columns = ", ".join(
            self._column("message", name, _TEXTS_OF_DETAILS) for name in names
        )
        return f"SELECT m.ROWID, {columns} FROM message AS m WHERE m._rowid_ = ?"

    @cached_property
    def _attachments(self) -> str | None:
        join = "message_attachment_join"
        if not (self._schema.has("attachment") and self._schema.has(join)):
            return None
        if not (
            self._schema.is_indexed(join, "message_id")
            and self._schema.is_row_id_the_key("attachment")
        ):
            self._connection.execute(
                f"CREATE TEMP TABLE attachment_rows AS "
                f"SELECT j.message_id, a._rowid_ AS attachment_id FROM {join} AS j "
                "JOIN attachment AS a ON a.ROWID = j.attachment_id"
            )
            self._connection.execute(
                "CREATE INDEX temp.attachment_rows_by_message "
                "ON attachment_rows (message_id)"
            )
            join = "attachment_rows"
        names = ("guid", "filename", "uti", "mime_type", "transfer_name")
        columns = [
            self._column("attachment", name, names)
            for name in (*names, "is_sticker", "hide_attachment")
        ]
        return (
            f"SELECT {', '.join(columns)} FROM {join} AS j "
            "JOIN attachment AS a ON a._rowid_ = j.attachment_id "
            "WHERE j.message_id = ? ORDER BY a.ROWID"
        )

    @cached_property
    def _is_orphan(self) -> str:
        tests = [_IS_IN_NO_CHAT]
        if self._schema.is_indexed("chat_message_join", "message_id"):
            tests = [_IS_IN_NO_CHAT_BY_INDEX]
        if self._schema.has("chat_recoverable_message_join"):
            tests.append(_IS_NOT_DELETED)
        return " AND ".join(tests)

    @cached_property
    def _deleted(self) -> str:
        return (
            "FROM chat_recoverable_message_join AS r "
            "JOIN message AS m ON m.ROWID = r.message_id "
            f"WHERE r.chat_id IS NOT NULL AND {_IS_IN_NO_CHAT}"
        )

    def _prepare_rows_of_chats(self) -> str:
        """Name the table that leads from a chat to its messages, by an index.

        Without one, each chat would cost a scan of the whole join.
        """
        if (
            self._schema.is_indexed("chat_message_join", "chat_id")
            and self._schema.is_row_id_the_key("message")
            and not self._include_deleted
            and not self._include_orphans
        ):
            return "chat_message_join"
        self._connection.execute(
            "CREATE TEMP TABLE chat_rows (chat_id, message_id INT)"
        )
        self._fill(
            "SELECT j.chat_id, m._rowid_ FROM chat_message_join AS j "
            "JOIN message AS m ON m.ROWID = j.message_id WHERE j.chat_id IS NOT NULL"
        )
        if self._include_deleted and self._schema.has("chat_recoverable_message_join"):
            self._fill(f"SELECT r.chat_id, m._rowid_ {self._deleted}")
        if self._include_orphans:
            self._fill(self._orphans)
        self._connection.execute(
            "CREATE INDEX temp.chat_rows_by_chat ON chat_rows (chat_id, message_id)"
        )
        return "chat_rows"

    @property
    def _orphans(self) -> str:
        """Orphans, in one made-up chat for each room or handle that they name."""
        room = f"nullif({self._schema.column('message', 'cache_roomnames')}, '')"
        handle = "NULL"
        if self._schema.has("handle", "id") and self._schema.has(
            "message", "handle_id"
        ):
            handle = "(SELECT h.id FROM handle AS h WHERE h.ROWID = m.handle_id)"
        return (
            f"SELECT 'orphans:' || coalesce({room}, {handle}, 'unknown'), m._rowid_ "
            f"FROM message AS m WHERE {self._is_orphan}"
        )

    def _fill(self, select: str) -> None:
        self._connection.execute(f"INSERT INTO chat_rows {select}")


# Types of columns are not enforced.
_TEXTS_OF_HANDLES = frozenset({"id", "person_centric_id"})
_TEXTS_OF_CHATS = frozenset(
    {"guid", "chat_identifier", "service_name", "display_name", "group_id"}
)
_TEXTS_OF_DETAILS = frozenset(
    {
        "subject",
        "group_title",
        "associated_message_guid",
        "associated_message_emoji",
        "balloon_bundle_id",
        "thread_originator_guid",
        "thread_originator_part",
    }
)
_ACCOUNT_PREFIX = re.compile(r"\A[A-Za-z]:")
_IS_IN_NO_CHAT = (
    "m.ROWID NOT IN (SELECT message_id FROM chat_message_join "
    "WHERE chat_id IS NOT NULL AND message_id IS NOT NULL)"
)
# Faster with an index, and a scan for each message without one.
_IS_IN_NO_CHAT_BY_INDEX = (
    "NOT EXISTS (SELECT 1 FROM chat_message_join AS j "
    "WHERE j.message_id = m.ROWID AND j.chat_id IS NOT NULL)"
)
_IS_NOT_DELETED = (
    "m.ROWID NOT IN (SELECT message_id FROM chat_recoverable_message_join "
    "WHERE chat_id IS NOT NULL AND message_id IS NOT NULL)"
)
