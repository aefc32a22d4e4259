"""SQL queries on a Messages database.

Columns differ between macOS versions, and even between machines with the same version.
So the queries ignore the version and read a missing column as `NULL`. SQLite does not
enforce column types.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from langchain_chatexports.chat_loaders.database import Database
from langchain_chatexports.exceptions import ExportFormatError

APPLE_EPOCH_SECONDS = 978_307_200
"""2001-01-01 UTC in seconds since 1970."""

_REQUIRED_TABLES = ("message", "chat_message_join")
_TABLES = (
    *_REQUIRED_TABLES,
    "handle",
    "chat",
    "chat_handle_join",
    "chat_recoverable_message_join",
    "chat_lookup",
    "attachment",
    "message_attachment_join",
)
_ACCOUNT_PREFIX = re.compile(r"\A[A-Za-z]:")
_TEXT_COLUMNS = """guid service subject group_title associated_message_guid
    associated_message_emoji balloon_bundle_id thread_originator_guid
    thread_originator_part""".split()  # noqa: SIM905 - a list literal is harder to read
_OTHER_COLUMNS = """text attributedBody date is_from_me handle_id item_type
    group_action_type other_handle share_status share_direction associated_message_type
    payload_data message_summary_info date_edited date_retracted is_audio_message
    schedule_type is_sent is_spam filter_action is_auto_reply cache_has_attachments
    cache_roomnames destination_caller_id account""".split()  # noqa: SIM905 - a list literal is harder to read
_NOW = "CAST(strftime('%s', 'now') AS INTEGER)"
# Values of 10**12 and more are nanoseconds since 2001. Smaller ones are seconds since
# 2001 or, if that is in the future, Unix seconds up to the end of the year 9999.
_MICROSECONDS = f"""CASE
    WHEN {{0}} <= 0 THEN NULL
    WHEN {{0}} >= 1000000000000
        THEN CAST({{0}} AS INTEGER) / 1000 + {APPLE_EPOCH_SECONDS}000000
    WHEN {{0}} + {APPLE_EPOCH_SECONDS} <= {_NOW} + 86400
        THEN CAST(({{0}} + {APPLE_EPOCH_SECONDS}) * 1000000 AS INTEGER)
    WHEN {{0}} <= 253402300799 THEN CAST({{0}} * 1000000 AS INTEGER)
    END"""
# No column stores the unit of `date`, and upgraded databases mix several. Databases
# built by hand may store dates as text. The most frequent case comes first, which
# halves the query time.
_TIME = f"""CASE
    WHEN date >= 1000000000000 AND typeof(date) = 'integer'
        THEN date / 1000 + {APPLE_EPOCH_SECONDS}000000
    WHEN typeof(date) IN ('integer', 'real') THEN {_MICROSECONDS.format("date")}
    WHEN typeof(date) = 'text' AND CAST(CAST(date AS INTEGER) AS TEXT) = date
        THEN {_MICROSECONDS.format("CAST(date AS INTEGER)")}
    END"""
_REACTION = """associated_message_type BETWEEN 2000 AND 2007
    OR associated_message_type BETWEEN 3000 AND 3007"""
_DRAFT = f"""schedule_type = 2
    AND (coalesce(is_sent, 0) = 0 OR {_TIME} > {_NOW} * 1000000)"""
_SPAM = "is_spam = 1 OR filter_action IN (2, 3)"
# The kind of a message that is not ordinary text. The first match wins, for example
# an event before a draft.
_KIND = f"""CASE
    WHEN associated_message_type = 1000 THEN 'sticker'
    WHEN {_REACTION} THEN 'reaction'
    WHEN associated_message_type = 4000
        OR associated_message_guid <> '' AND associated_message_guid IS NOT guid
        AND balloon_bundle_id LIKE '%com.apple.messages.Polls' THEN 'vote'
    WHEN item_type <> 0 THEN 'event'
    WHEN {_DRAFT} THEN 'draft'
    WHEN {_SPAM} THEN 'spam'
    WHEN is_auto_reply = 1 THEN 'auto_reply'
    WHEN balloon_bundle_id <> ''
        AND balloon_bundle_id NOT LIKE '%com.apple.messages.URLBalloonProvider'
        THEN 'app'
    END"""
# Whether a message has a kind or more than text. Most do not, so rows stay narrow.
_IS_RICH = f"""CASE
    WHEN associated_message_type IN (1000, 4000) OR {_REACTION} OR item_type <> 0
        OR {_DRAFT} OR {_SPAM} OR is_auto_reply = 1
        OR balloon_bundle_id <> '' OR subject <> '' OR cache_has_attachments = 1
        OR payload_data IS NOT NULL OR thread_originator_guid <> '' OR date_edited <> 0
    THEN 1 ELSE 0 END"""
_VIEW = f"""CREATE TEMP VIEW messages AS SELECT *, {_TIME} AS time, {_KIND} AS kind,
    is_from_me IS 1 AS is_own, {_IS_RICH} AS is_rich,
    CASE WHEN text <> '' THEN NULL ELSE attributedBody END AS body
    FROM message_columns"""


class Chat(NamedTuple):
    """A row of `chat`. Only `row_id` is always set."""

    row_id: Any
    guid: str | None = None
    style: int | None = None
    identifier: str | None = None
    service: str | None = None
    title: str | None = None
    group_id: str | None = None


class Activity(NamedTuple):
    """The last message time and senders of a chat."""

    chat_id: Any
    latest: int | None
    # The lowest and highest handle id among the other people's messages.
    senders: tuple[Any, Any]


class Details(NamedTuple):
    """The rarely used columns of a message, read only if needed."""

    kind: str | None = None  # See `_KIND`.
    handle_id: Any = None
    subject: str | None = None
    attributedBody: Any = None  # noqa: N815 - the column's name
    item_type: Any = None
    group_title: str | None = None
    group_action_type: Any = None
    other_handle: Any = None
    share_status: Any = None
    share_direction: Any = None
    associated_message_guid: str | None = None
    associated_message_type: Any = None
    associated_message_emoji: str | None = None
    balloon_bundle_id: str | None = None
    payload_data: Any = None
    message_summary_info: Any = None
    thread_originator_guid: str | None = None
    thread_originator_part: str | None = None
    date_edited: Any = None
    date_retracted: Any = None
    is_audio_message: Any = None


class AttachmentRow(NamedTuple):
    """A row of `attachment`."""

    guid: str | None
    filename: str | None
    uti: str | None
    mime_type: str | None
    transfer_name: str | None
    is_sticker: Any
    hide_attachment: Any


class Queries:
    """Runs queries on one open database."""

    def __init__(self, database: Database) -> None:
        """Look up the columns, and prepare the join table of chats and messages."""
        self._database = database
        self._columns = {table: database.get_columns(table) for table in _TABLES}
        for table in _REQUIRED_TABLES:
            if not self._columns[table]:
                msg = (
                    f"{database.path} has no table '{table}': it is empty, or another "
                    "application's database. Pass the path to chat.db or sms.db."
                )
                raise ExportFormatError(msg, path=database.path)
        names = (*_TEXT_COLUMNS, *_OTHER_COLUMNS)
        columns = self._build_column_list("message", names, _TEXT_COLUMNS)
        self._run(
            "CREATE TEMP VIEW message_columns AS "
            f"SELECT _rowid_ AS row_id, ROWID AS rowid_column, {columns} FROM message"
        )
        self._run(_VIEW)
        self._join = self._find_indexed_join()
        self._create_unlinked_rows()
        self._attachments_query: str | None = None

    def get_handles(self) -> list[tuple[Any, str, str]]:
        """Return the row id, address and person key of each handle."""
        names = ("ROWID", "id", "person_centric_id")
        return [row for row in self._read_table("handle", names, names[1:]) if row[1]]

    def get_chats(self) -> dict[Any, Chat]:
        """Return the rows of `chat` by row id."""
        texts = ("guid", "chat_identifier", "service_name", "display_name", "group_id")
        names = ("ROWID", "guid", "style", *texts[1:])
        rows = self._read_table("chat", names, texts)
        return {
            row[0]: Chat(row[0], *(value or None for value in row[1:])) for row in rows
        }

    def get_participants(self) -> Iterator[tuple[Any, Any]]:
        """Return pairs of chat and handle, one per participant.

        Joining them to messages would repeat each message for every participant.
        """
        return self._read_table("chat_handle_join", ("chat_id", "handle_id"))

    def get_chat_lookups(self) -> Iterator[tuple[Any, Any]]:
        """Return pairs of group identifier and chat (since macOS 26)."""
        return self._read_table("chat_lookup", ("identifier", "chat"))

    def get_activity(self) -> Iterator[Activity]:
        """Return the chats that have messages, most recently active first."""
        sender = "CASE WHEN m.is_own THEN NULL ELSE m.handle_id END"
        values = f"max(m.time) AS latest, min({sender}) AS low, max({sender}) AS high"
        # Use the index on chats. Reading in file order would sort all rows by chat.
        parts = (
            f"SELECT j.chat_id, {values} FROM {join} AS j "
            "CROSS JOIN messages AS m ON m.row_id = j.message_id "
            "WHERE j.chat_id IS NOT NULL GROUP BY j.chat_id"
            for join in (self._join, "unlinked_rows")
        )
        rows = self._database.query(
            "SELECT chat_id, max(latest), min(low), max(high) "
            f"FROM ({' UNION ALL '.join(parts)}) GROUP BY chat_id ORDER BY 2 DESC, 1"
        )
        for chat_id, latest, *senders in rows:
            yield Activity(chat_id, latest, (senders[0], senders[1]))

    def get_owner_addresses(self) -> tuple[bool, frozenset[str]]:
        """Return whether the owner sent any message, and the owner's addresses.

        `destination_caller_id` is the owner's address, even on received messages.
        """
        sql = "SELECT DISTINCT is_own, destination_caller_id, account FROM messages"
        rows = list(self._database.query(sql))
        # `account` has a prefix for the kind of address.
        addresses = {
            _ACCOUNT_PREFIX.sub("", address).strip().casefold()
            for _, *columns in rows
            for address in columns
            if isinstance(address, str)
        }
        return any(is_own for is_own, *_ in rows), frozenset(addresses - {""})

    def get_shared_messages(self) -> frozenset[int]:
        """Return the row ids of messages in more than one chat."""
        repeated = "GROUP BY message_id HAVING count(*) > 1"
        rows = self._database.query(
            f"SELECT message_id FROM {self._join} {repeated} "
            f"UNION SELECT message_id FROM unlinked_rows {repeated}"
        )
        return frozenset(message_id for (message_id,) in rows)

    def get_messages(self, chat_ids: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
        """Return the messages of some chats, in any order.

        A message in two of the chats is returned twice. Rows are plain tuples, since
        named fields would double the cost: row id, microseconds since 1970 or `None`,
        whether the owner sent it, `handle_id`, `guid`, `service`, `text`,
        `attributedBody` if there is no text, whether the message has `Details`, and
        the status `deleted` or `orphan` of a message without a chat.
        """
        # Leave sorting to the caller: SQLite's sorter would copy the text of each row.
        source = f"""JOIN messages AS m ON m.row_id = j.message_id
            WHERE j.chat_id IN ({", ".join("?" * len(chat_ids))})"""
        values = """m.row_id, m.time, m.is_own, m.handle_id, m.guid, m.service,
            m.text, m.body, m.is_rich"""
        return self._database.query(
            f"SELECT {values}, NULL FROM {self._join} AS j CROSS {source} UNION ALL "
            f"SELECT {values}, j.status FROM unlinked_rows AS j CROSS {source}",
            (*chat_ids, *chat_ids),
        )

    def get_details(self, row_id: int) -> Details:
        """Return the rarely used columns of one message."""
        sql = f"SELECT {', '.join(Details._fields)} FROM messages WHERE row_id = ?"
        (row,) = self._database.query(sql, (row_id,))
        return Details(*row)

    def get_attachments(self, row_id: int) -> list[AttachmentRow]:
        """Return the attachments of one message."""
        if self._attachments_query is None:
            self._attachments_query = self._build_attachments_query()
        rows = self._database.query(self._attachments_query, (row_id,))
        return list(map(AttachmentRow._make, rows))

    def _run(self, sql: str) -> None:
        list(self._database.query(sql))

    def _build_column_list(
        self, table: str, names: Sequence[str], text_columns: Collection[str]
    ) -> str:
        """Return a column list for `SELECT`, with `NULL` for missing columns."""
        existing = self._columns[table] | {"rowid"}
        columns = (
            (name, name if name.lower() in existing else "NULL") for name in names
        )
        return ", ".join(
            f"{f'CAST({column} AS TEXT)' if name in text_columns else column} AS {name}"
            for name, column in columns
        )

    def _read_table(
        self, table: str, names: Sequence[str], text_columns: Collection[str] = ()
    ) -> Iterator[tuple[Any, ...]]:
        if not self._columns[table]:
            return iter(())
        columns = self._build_column_list(table, names, text_columns)
        return self._database.query(f"SELECT {columns} FROM {table} ORDER BY 1, 2")

    def _build_attachments_query(self) -> str:
        join = "message_attachment_join"
        if not (self._columns["attachment"] and self._columns[join]):
            return "SELECT NULL WHERE ? IS NULL"
        join_sql = (
            f"{join} AS j CROSS JOIN message AS m ON m.ROWID = j.message_id "
            "CROSS JOIN attachment AS a ON a.ROWID = j.attachment_id"
        )
        if not self._is_indexed(f"{join_sql} WHERE j.message_id = ?"):
            self._create_table(
                "attachment_rows",
                "message_id, attachment_id",
                f"SELECT m._rowid_, a._rowid_ FROM {join_sql}",
            )
            join = "attachment_rows"
        names = AttachmentRow._fields
        columns = self._build_column_list("attachment", names, names[:5])
        return (
            f"SELECT {columns} FROM {join} AS j "
            "JOIN attachment AS a ON a._rowid_ = j.attachment_id "
            "WHERE j.message_id = ? ORDER BY a.ROWID"
        )

    def _find_indexed_join(self) -> str:
        """Return the name of an indexed join table for chats and messages.

        Without an index, every chat would scan the whole join.
        """
        join = "chat_message_join"
        join_sql = f"{join} AS j CROSS JOIN message AS m ON m.ROWID = j.message_id"
        if self._is_indexed(f"{join_sql} WHERE j.chat_id = ?"):
            return join
        self._create_table(
            "chat_rows",
            "chat_id, message_id",
            f"SELECT j.chat_id, m._rowid_ FROM {join_sql} WHERE j.chat_id IS NOT NULL",
        )
        return "chat_rows"

    def _is_indexed(self, join_sql: str) -> bool:
        """Return whether a join uses an index, and finds later tables by row id.

        In a copied table, `ROWID` can be a plain column or an `INT PRIMARY KEY`.
        """
        plan = self._database.query(
            f"EXPLAIN QUERY PLAN SELECT 1 FROM {join_sql}", (1,)
        )
        first_step, *later_steps = [detail for *_, detail in plan]
        is_searched = not any(
            word in step
            for step in (first_step, *later_steps)
            for word in ("SCAN", "AUTO")
        )
        return is_searched and all(
            "INTEGER PRIMARY KEY" in step for step in later_steps
        )

    def _create_unlinked_rows(self) -> None:
        """Create a join table for messages without a chat.

        Messages in Recently Deleted stay in their former chat. Orphans get an
        artificial chat per room or handle.
        """
        handle = "NULL"
        if "id" in self._columns["handle"]:
            handle = "(SELECT h.id FROM handle AS h WHERE h.ROWID = m.handle_id)"
        room = f"coalesce(nullif(m.cache_roomnames, ''), {handle}, 'unknown')"
        chat, status = f"'orphans:' || {room}", "'orphan'"
        source = """messages AS m LEFT JOIN chat_message_join AS j
            ON j.message_id = m.rowid_column AND j.chat_id IS NOT NULL"""
        if self._columns["chat_recoverable_message_join"]:
            chat = f"coalesce(r.chat_id, {chat})"
            status = "CASE WHEN r.chat_id IS NULL THEN 'orphan' ELSE 'deleted' END"
            source += """ LEFT JOIN chat_recoverable_message_join AS r
                ON r.message_id = m.rowid_column AND r.chat_id IS NOT NULL"""
        self._create_table(
            "unlinked_rows",
            "chat_id, message_id, status",
            f"SELECT {chat}, m.row_id, {status} FROM {source} WHERE j.chat_id IS NULL",
        )

    def _create_table(self, table: str, columns: str, select: str) -> None:
        """Create a temporary table, indexed by its first two columns."""
        first, second, *_ = columns.split(", ")
        self._run(f"CREATE TEMP TABLE {table} ({columns})")
        self._run(f"INSERT INTO {table} SELECT DISTINCT * FROM ({select})")
        self._run(f"CREATE INDEX temp.{table}_index ON {table} ({first}, {second})")
