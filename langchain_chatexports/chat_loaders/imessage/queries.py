"""SQL for the schema that is there: only columns that exist are named.

Column sets differ between macOS versions and even between machines on one version, so
nothing here asks for a version: `PRAGMA table_info` decides, and what is missing reads
as `NULL`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_chatexports.exceptions import ExportFormatError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["Activity", "Chat", "Details", "Handle", "MessageRow", "Queries"]

_TABLES = (
    "message",
    "handle",
    "chat",
    "chat_message_join",
    "chat_handle_join",
    "chat_recoverable_message_join",
    "chat_lookup",
    "attachment",
    "message_attachment_join",
)
_NEEDED = ("message", "chat_message_join")

_APPLE_EPOCH_SECONDS = 978_307_200
_FIRST_NANOSECONDS = 10**12
_LAST_UNIX_SECONDS = 253_402_300_799  # End of the year 9999.
_DAY_SECONDS = 86_400

URL_PREVIEW = "com.apple.messages.URLBalloonProvider"
POLL = "com.apple.messages.Polls"


class Handle(NamedTuple):
    """An address that messages came from or went to."""

    row_id: int
    address: str
    person: str | None


class Chat(NamedTuple):
    """A row of `chat`; everything but `row_id` may be missing."""

    row_id: Any
    guid: str | None = None
    style: int | None = None
    identifier: str | None = None
    service: str | None = None
    title: str | None = None
    group_id: str | None = None


class Activity(NamedTuple):
    """What one pass over the joined rows says of a chat."""

    chat_id: Any
    rows: int
    latest: int | None
    """Microseconds since 1970 of its newest message."""

    speakers: tuple[Any, Any]
    """Two handles that other people wrote from; the same twice if there is only one."""


class MessageRow(NamedTuple):
    """A message as the main query gives it."""

    row_id: int
    microseconds: int | None
    is_from_me: int
    handle_id: Any
    guid: str | None
    service: str | None
    text: str | None
    body: bytes | None
    kind: str | None
    """What it is if not ordinary speech; see `_KINDS`."""

    has_more: int
    """Whether `Details` hold something that this row does not."""


@dataclass(frozen=True)
class Details:
    """Columns that few messages use, read for one message at a time."""

    message_id: int | None = None
    handle_id: Any = None
    subject: str | None = None
    attributedBody: bytes | None = None  # noqa: N815 - the column's name
    item_type: int | None = None
    group_title: str | None = None
    group_action_type: int | None = None
    other_handle: Any = None
    share_status: int | None = None
    share_direction: int | None = None
    associated_message_guid: str | None = None
    associated_message_type: int | None = None
    associated_message_emoji: str | None = None
    balloon_bundle_id: str | None = None
    payload_data: bytes | None = None
    message_summary_info: bytes | None = None
    thread_originator_guid: str | None = None
    thread_originator_part: str | None = None
    date_edited: int | None = None
    date_retracted: int | None = None
    is_audio_message: int | None = None


class AttachmentRow(NamedTuple):
    """A row of `attachment`."""

    guid: str | None
    filename: str | None
    uti: str | None
    mime_type: str | None
    transfer_name: str | None
    is_sticker: int | None
    is_hidden: int | None


class Queries:
    """Everything that is asked of one open database."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        *,
        include_deleted: bool = False,
        include_orphans: bool = False,
    ) -> None:
        """Probe the schema and decide where the rows of a chat come from.

        Raises:
            ExportFormatError: If the tables of Messages are not there.
        """
        self._connection = connection
        self._include_deleted = include_deleted
        self._include_orphans = include_orphans
        self._columns = {table: self._columns_of(table) for table in _TABLES}
        for table in _NEEDED:
            if not self._columns[table]:
                msg = (
                    f"{path} has no table '{table}': it is another application's "
                    "database, or an empty one. Give the path of chat.db or sms.db."
                )
                raise ExportFormatError(msg)
        self._rows_of_chats = self._prepare_rows_of_chats()

    def handles(self) -> list[Handle]:
        """Give all handles."""
        rows = self._select("handle", ("ROWID", "id", "person_centric_id"))
        return [
            Handle(row_id, address, person or None)
            for row_id, address, person in rows
            if isinstance(address, str) and address
        ]

    def chats(self) -> dict[Any, Chat]:
        """Give all rows of `chat` by their ROWID."""
        names = ("guid", "style", "chat_identifier", "service_name", "display_name")
        rows = self._select("chat", ("ROWID", *names, "group_id"))
        return {
            row[0]: Chat(row[0], *(value or None for value in row[1:])) for row in rows
        }

    def participants(self) -> Iterator[tuple[Any, Any]]:
        """Give the pairs of chat and handle that say who takes part.

        They are no way from a message to its sender: joined to messages, they multiply
        each by the number of participants.
        """
        return self._select("chat_handle_join", ("chat_id", "handle_id"))

    def lookups(self) -> Iterator[tuple[Any, Any]]:
        """Give the pairs of identifier and chat (since macOS 26)."""
        return self._select("chat_lookup", ("identifier", "chat"))

    def activity(self) -> list[Activity]:
        """Give what each chat holds, most recently active first."""
        handle = self._column("message", "handle_id")
        speaker = f"CASE WHEN {self._is_from_me} THEN NULL ELSE {handle} END"
        # Read in the order of the file, not of the chats, at half the cost; the limit
        # keeps SQLite from turning it round.
        is_turned = self._is_indexed(self._rows_of_chats, "message_id")
        limit, join = ("LIMIT -1", "CROSS JOIN") if is_turned else ("", "JOIN")
        rows = self._connection.execute(
            f"""
            SELECT j.chat_id, count(*), MAX(microseconds), MIN(speaker), MAX(speaker)
            FROM (
                SELECT m._rowid_ AS id, {self._time} AS microseconds,
                       {speaker} AS speaker
                FROM message AS m {limit}
            ) AS m
            {join} {self._rows_of_chats} AS j ON j.message_id = m.id
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
        """Tell whether any message is the owner's, and give his addresses, lower case.

        `destination_caller_id` is the owner's side on received messages, too.
        """
        names = ("destination_caller_id", "account")
        columns = ", ".join(self._column("message", name) for name in names)
        rows = self._connection.execute(
            f"SELECT DISTINCT {self._is_from_me}, {columns} FROM message AS m"
        )
        has_own = False
        found: set[str] = set()
        for is_from_me, *addresses in rows:
            has_own = has_own or bool(is_from_me)
            found.update(address for address in addresses if isinstance(address, str))
        # `account` has a prefix for the kind of address.
        bare = (
            _ACCOUNT_PREFIX.sub("", address).strip().casefold() for address in found
        )
        return has_own, frozenset(address for address in bare if address)

    def messages(self, chat_ids: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
        """Give the rows of some chats, oldest first; those without a time stand first.

        A message that is in two of the chats comes twice in a row.

        Returns:
            Tuples in the order of `MessageRow`: naming each would cost as much as
            reading it.
        """
        marks = ", ".join("?" * len(chat_ids))
        return self._connection.execute(
            f"{self._messages} ({marks}) {_ORDER}", chat_ids
        )

    def handles_of(self, chat_ids: Sequence[Any]) -> list[Any]:
        """Give the handles that the messages of some chats name."""
        marks = ", ".join("?" * len(chat_ids))
        rows = self._connection.execute(
            f"""
            SELECT DISTINCT {self._column("message", "handle_id")}
            FROM {self._rows_of_chats} AS j
            JOIN message AS m ON m._rowid_ = j.message_id
            WHERE j.chat_id IN ({marks}) ORDER BY 1
            """,
            chat_ids,
        )
        return [handle_id for (handle_id,) in rows]

    def details(self, row_id: int) -> Details:
        """Give the rare columns of one message."""
        row = self._connection.execute(self._details, (row_id,)).fetchone()
        return Details(*row)

    def attachments(self, message_id: int | None) -> list[AttachmentRow]:
        """Give the attachments of one message."""
        if self._attachments is None:
            return []
        rows = self._connection.execute(self._attachments, (message_id,))
        return [AttachmentRow(*row) for row in rows]

    def count_orphans(self) -> int:
        """Count the messages that are in no chat, and not Recently Deleted either."""
        return self._count(f"SELECT count(*) FROM message AS m WHERE {self._is_orphan}")

    def count_deleted(self) -> int:
        """Count the rows of Recently Deleted."""
        if not self._columns["chat_recoverable_message_join"]:
            return 0
        return self._count(f"SELECT count(*) {self._deleted}")

    def _count(self, sql: str) -> int:
        (count,) = self._connection.execute(sql).fetchone()
        return int(count)

    def _columns_of(self, table: str) -> frozenset[str]:
        rows = self._connection.execute(f"PRAGMA table_info({table})")
        return frozenset(row[1].lower() for row in rows)

    def _has(self, table: str, *columns: str) -> bool:
        return self._columns[table].issuperset(column.lower() for column in columns)

    def _column(self, table: str, name: str) -> str:
        """Name a column, or `NULL` where the table lacks it."""
        known = name == "ROWID" or self._has(table, name)
        return f"{table[0]}.{name}" if known else "NULL"

    def _select(self, table: str, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        if not self._columns[table]:
            return iter(())
        listed = ", ".join(self._column(table, name) for name in names)
        alias = table[0]
        return self._connection.execute(
            f"SELECT {listed} FROM {table} AS {alias} ORDER BY 1, 2"
        )

    @cached_property
    def _time(self) -> str:
        """Microseconds since 1970; see "Time" in the iMessage notes.

        There is no flag for the unit, and upgraded databases hold several.
        """
        value = self._column("message", "date")
        tomorrow = int(time()) + _DAY_SECONDS
        return f"""CASE
            WHEN typeof({value}) NOT IN ('integer', 'real') OR {value} <= 0 THEN NULL
            WHEN {value} >= {_FIRST_NANOSECONDS}
                THEN CAST({value} AS INTEGER) / 1000 + {_APPLE_EPOCH_SECONDS}000000
            WHEN {value} + {_APPLE_EPOCH_SECONDS} <= {tomorrow}
                THEN CAST(({value} + {_APPLE_EPOCH_SECONDS}) * 1000000 AS INTEGER)
            WHEN {value} <= {_LAST_UNIX_SECONDS}
                THEN CAST({value} * 1000000 AS INTEGER)
            END"""

    @cached_property
    def _is_from_me(self) -> str:
        return f"coalesce({self._column('message', 'is_from_me')} = 1, 0)"

    @cached_property
    def _kind(self) -> str:
        """What a row is if not ordinary speech, in the order that the notes give."""
        tests = (
            (("associated_message_type",), _IS_ASSOCIATED, _KIND_OF_ASSOCIATED),
            (_POLL_COLUMNS, _IS_POLL_UPDATE, "'vote'"),
            (("item_type",), "m.item_type <> 0", "'event'"),
            (("schedule_type",), self._is_draft, "'draft'"),
            (("is_spam",), "m.is_spam = 1", "'spam'"),
            (("filter_action",), "m.filter_action IN (2, 3)", "'spam'"),
            (("is_auto_reply",), "m.is_auto_reply = 1", "'auto_reply'"),
            (("balloon_bundle_id",), _IS_APP, "'app'"),
        )
        whens = [
            f"WHEN {test} THEN {kind}"
            for columns, test, kind in tests
            if self._has("message", *columns)
        ]
        return f"CASE {' '.join(whens)} END" if whens else "NULL"

    @cached_property
    def _is_draft(self) -> str:
        sent = self._column("message", "is_sent")
        return (
            "m.schedule_type = 2 AND "
            f"(coalesce({sent}, 0) = 0 OR {self._time} > {int(time())}000000)"
        )

    @cached_property
    def _has_more(self) -> str:
        tests = (
            ("subject", "m.subject <> ''"),
            ("cache_has_attachments", "m.cache_has_attachments = 1"),
            ("is_audio_message", "m.is_audio_message = 1"),
            ("balloon_bundle_id", "m.balloon_bundle_id IS NOT NULL"),
            ("payload_data", "m.payload_data IS NOT NULL"),
            ("thread_originator_guid", "m.thread_originator_guid IS NOT NULL"),
            ("date_edited", "m.date_edited <> 0"),
            ("date_retracted", "m.date_retracted <> 0"),
        )
        present = [test for column, test in tests if self._has("message", column)]
        return f"coalesce({' OR '.join(present)}, 0)" if present else "0"

    @cached_property
    def _messages(self) -> str:
        column = self._column
        text, body = (column("message", name) for name in ("text", "attributedBody"))
        return f"""
            SELECT m._rowid_, {self._time} AS microseconds, {self._is_from_me},
                   {column("message", "handle_id")},
                   CAST({column("message", "guid")} AS TEXT),
                   {column("message", "service")},
                   {text}, CASE WHEN {text} <> '' THEN NULL ELSE {body} END,
                   {self._kind}, {self._has_more}
            FROM {self._rows_of_chats} AS j
            JOIN message AS m ON m._rowid_ = j.message_id
            WHERE j.chat_id IN"""

    @cached_property
    def _details(self) -> str:
        _, *names = Details.__dataclass_fields__
        columns = ", ".join(
            f"CAST({self._column('message', name)} AS TEXT)"
            if name in _TEXTS_OF_DETAILS
            else self._column("message", name)
            for name in names
        )
        return f"SELECT m.ROWID, {columns} FROM message AS m WHERE m._rowid_ = ?"

    @cached_property
    def _attachments(self) -> str | None:
        join = "message_attachment_join"
        if not (self._columns["attachment"] and self._columns[join]):
            return None
        if not self._is_indexed(join, "message_id"):
            self._connection.execute(
                f"CREATE TEMP TABLE attachment_rows AS "
                f"SELECT message_id, attachment_id FROM {join}"
            )
            self._connection.execute(
                "CREATE INDEX temp.attachment_rows_by_message "
                "ON attachment_rows (message_id)"
            )
            join = "attachment_rows"
        names = ("guid", "filename", "uti", "mime_type", "transfer_name")
        columns = [
            self._column("attachment", name)
            for name in (*names, "is_sticker", "hide_attachment")
        ]
        return (
            f"SELECT {', '.join(columns)} FROM {join} AS j "
            "JOIN attachment AS a ON a.ROWID = j.attachment_id "
            "WHERE j.message_id = ? ORDER BY a.ROWID"
        )

    @cached_property
    def _is_orphan(self) -> str:
        tests = [_IS_IN_NO_CHAT]
        if self._is_indexed("chat_message_join", "message_id"):
            tests = [_IS_IN_NO_CHAT_BY_INDEX]
        if self._columns["chat_recoverable_message_join"]:
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
            self._is_indexed("chat_message_join", "chat_id")
            and self._is_row_id_the_key()
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
        if self._include_deleted and self._columns["chat_recoverable_message_join"]:
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
        room = f"nullif({self._column('message', 'cache_roomnames')}, '')"
        handle = "NULL"
        if self._has("handle", "id") and self._has("message", "handle_id"):
            handle = "(SELECT h.id FROM handle AS h WHERE h.ROWID = m.handle_id)"
        return (
            f"SELECT 'orphans:' || coalesce({room}, {handle}, 'unknown'), m._rowid_ "
            f"FROM message AS m WHERE {self._is_orphan}"
        )

    def _fill(self, select: str) -> None:
        self._connection.execute(f"INSERT INTO chat_rows {select}")

    def _is_indexed(self, table: str, column: str) -> bool:
        listed = self._connection.execute(f"PRAGMA index_list({table})")
        names = [row[1] for row in listed if not row[4]]  # A partial one is no help.
        for name in names:
            quoted = name.replace('"', '""')
            parts = self._connection.execute(
                f'PRAGMA index_info("{quoted}")'
            ).fetchall()
            if parts and parts[0][2] == column:
                return True
        return False

    def _is_row_id_the_key(self) -> bool:
        """Tell whether `message.ROWID` finds a row; a plain copy's column does not."""
        rows = self._connection.execute("PRAGMA table_info(message)").fetchall()
        return all(row[5] for row in rows if row[1].lower() == "rowid")


# Types of columns are not enforced.
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
_ORDER = "ORDER BY microseconds, m._rowid_"
_IS_ASSOCIATED = (
    "m.associated_message_type >= 1000 AND (m.associated_message_type IN (1000, 4000) "
    "OR m.associated_message_type BETWEEN 2000 AND 2007 "
    "OR m.associated_message_type BETWEEN 3000 AND 3007)"
)
_KIND_OF_ASSOCIATED = (
    "CASE m.associated_message_type WHEN 1000 THEN 'sticker' WHEN 4000 THEN 'vote' "
    "ELSE 'reaction' END"
)
_POLL_COLUMNS = ("balloon_bundle_id", "associated_message_guid", "guid")
# A bundle id can stand behind a prefix: `com.apple.messages.MSMessageExtension…:…:id`.
_IS_POLL_UPDATE = (
    "m.associated_message_guid <> '' AND m.associated_message_guid IS NOT m.guid "
    f"AND m.balloon_bundle_id LIKE '%{POLL}'"
)
_IS_APP = f"m.balloon_bundle_id <> '' AND m.balloon_bundle_id NOT LIKE '%{URL_PREVIEW}'"
