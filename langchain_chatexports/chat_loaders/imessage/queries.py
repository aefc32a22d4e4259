"""The SQL queries of a Messages database, for the columns that it has.

Columns differ between macOS versions and even between machines with one version, so
versions are not considered: a missing column reads as `NULL`. Types of columns are not
enforced.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from langchain_chatexports.chat_loaders.imessage.database import Database
from langchain_chatexports.exceptions import ExportFormatError

APPLE_EPOCH_SECONDS = 978_307_200
"""2001-01-01 UTC in seconds since 1970."""

_NEEDED = ("message", "chat_message_join")
_TABLES = (
    *_NEEDED,
    "handle",
    "chat",
    "chat_handle_join",
    "chat_recoverable_message_join",
    "chat_lookup",
    "attachment",
    "message_attachment_join",
)
_ACCOUNT_PREFIX = re.compile(r"\A[A-Za-z]:")
_TEXTS = """guid service subject group_title associated_message_guid
    associated_message_emoji balloon_bundle_id thread_originator_guid
    thread_originator_part""".split()  # noqa: SIM905 - a list reads worse
_OTHERS = """text attributedBody date is_from_me handle_id item_type group_action_type
    other_handle share_status share_direction associated_message_type payload_data
    message_summary_info date_edited date_retracted is_audio_message schedule_type
    is_sent is_spam filter_action is_auto_reply cache_has_attachments cache_roomnames
    destination_caller_id account""".split()  # noqa: SIM905 - a list reads worse
_NOW = "CAST(strftime('%s', 'now') AS INTEGER)"
# Values from 10**12 are nanoseconds since 2001, smaller ones seconds since 2001 or, if
# that is in the future, Unix seconds up to the end of the year 9999.
_MOMENT = f"""CASE
    WHEN {{0}} <= 0 THEN NULL
    WHEN {{0}} >= 1000000000000
        THEN CAST({{0}} AS INTEGER) / 1000 + {APPLE_EPOCH_SECONDS}000000
    WHEN {{0}} + {APPLE_EPOCH_SECONDS} <= {_NOW} + 86400
        THEN CAST(({{0}} + {APPLE_EPOCH_SECONDS}) * 1000000 AS INTEGER)
    WHEN {{0}} <= 253402300799 THEN CAST({{0}} * 1000000 AS INTEGER)
    END"""
# No column has the unit of `date`, and upgraded databases have several. In a database
# made by hand, dates can be texts. The most frequent case is first, which halves the
# time of the query.
_TIME = f"""CASE
    WHEN date >= 1000000000000 AND typeof(date) = 'integer'
        THEN date / 1000 + {APPLE_EPOCH_SECONDS}000000
    WHEN typeof(date) IN ('integer', 'real') THEN {_MOMENT.format("date")}
    WHEN typeof(date) = 'text' AND CAST(CAST(date AS INTEGER) AS TEXT) = date
        THEN {_MOMENT.format("CAST(date AS INTEGER)")}
    END"""
# The kind of a message that is not ordinary text. The first match decides: a reaction
# is not an event, an event not a draft, and so on.
_KIND = f"""CASE
    WHEN associated_message_type = 1000 THEN 'sticker'
    WHEN associated_message_type BETWEEN 2000 AND 2007
        OR associated_message_type BETWEEN 3000 AND 3007 THEN 'reaction'
    WHEN associated_message_type = 4000
        OR associated_message_guid <> '' AND associated_message_guid IS NOT guid
        AND balloon_bundle_id LIKE '%com.apple.messages.Polls' THEN 'vote'
    WHEN item_type <> 0 THEN 'event'
    WHEN schedule_type = 2
        AND (coalesce(is_sent, 0) = 0 OR {_TIME} > {_NOW} * 1000000) THEN 'draft'
    WHEN is_spam = 1 OR filter_action IN (2, 3) THEN 'spam'
    WHEN is_auto_reply = 1 THEN 'auto_reply'
    WHEN balloon_bundle_id <> ''
        AND balloon_bundle_id NOT LIKE '%com.apple.messages.URLBalloonProvider'
        THEN 'app'
    END"""
_VIEW = f"""CREATE TEMP VIEW messages AS SELECT *, {_TIME} AS time, {_KIND} AS kind,
    coalesce(is_from_me = 1, 0) AS is_own,
    CASE WHEN text <> '' THEN NULL ELSE attributedBody END AS body,
    coalesce(subject <> '' OR cache_has_attachments = 1 OR balloon_bundle_id <> ''
        OR payload_data IS NOT NULL OR thread_originator_guid <> ''
        OR date_edited <> 0, 0) AS has_details
    FROM message_columns"""


class Chat(NamedTuple):
    """A row of `chat`; all fields except `row_id` may be missing."""

    row_id: Any
    guid: str | None = None
    style: int | None = None
    identifier: str | None = None
    service: str | None = None
    title: str | None = None
    group_id: str | None = None


class Activity(NamedTuple):
    """A chat with messages."""

    chat_id: Any
    latest: int | None
    speakers: tuple[Any, Any]  # The lowest and the highest handle of other senders.


class Details(NamedTuple):
    """The columns that few messages need, read for one message at a time."""

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
    """The queries of one open database."""

    def __init__(self, database: Database) -> None:
        """Look up all columns, and prepare the join of chats and messages."""
        self._database = database
        self._columns = {table: database.columns(table) for table in _TABLES}
        for table in _NEEDED:
            if not self._columns[table]:
                msg = (
                    f"{database.path} has no table '{table}': it is another "
                    "application's database, or an empty one. Give the path of chat.db "
                    "or sms.db."
                )
                raise ExportFormatError(msg, path=database.path)
        names = (*_TEXTS, *_OTHERS)
        columns = self._listed("message", names, _TEXTS)
        self._run(
            "CREATE TEMP VIEW message_columns AS "
            f"SELECT _rowid_ AS number, ROWID AS row_id, {columns} FROM message"
        )
        self._run(_VIEW)
        self._join = self._indexed_join()
        self._fill_other_rows()
        self._attachments: str | None = None

    def handles(self) -> list[tuple[Any, str, str]]:
        """Return row id, address and person of each handle."""
        names = ("ROWID", "id", "person_centric_id")
        return [row for row in self._select("handle", names, names[1:]) if row[1]]

    def chats(self) -> dict[Any, Chat]:
        """Return all rows of `chat` by row id."""
        texts = ("guid", "chat_identifier", "service_name", "display_name", "group_id")
        names = ("guid", "style", *texts[1:])
        rows = self._select("chat", ("ROWID", *names), texts)
        return {
            row[0]: Chat(row[0], *(value or None for value in row[1:])) for row in rows
        }

    def participants(self) -> Iterator[tuple[Any, Any]]:
        """Return the pairs of chat and handle, one per participant.

        They are not for finding the sender of a message: joined to messages, they
        repeat each message for every participant.
        """
        return self._select("chat_handle_join", ("chat_id", "handle_id"))

    def lookups(self) -> Iterator[tuple[Any, Any]]:
        """Return the pairs of identifier and chat (since macOS 26)."""
        return self._select("chat_lookup", ("identifier", "chat"))

    def activity(self) -> Iterator[Activity]:
        """Return the chats that have messages, most recently active first."""
        speaker = "CASE WHEN m.is_own THEN NULL ELSE m.handle_id END"
        values = f"max(m.time) AS latest, min({speaker}) AS low, max({speaker}) AS high"
        # Use the index on chats: in the order of the file, all rows would have to be
        # sorted by chat.
        parts = (
            f"SELECT j.chat_id, {values} FROM {join} AS j "
            "CROSS JOIN messages AS m ON m.number = j.message_id "
            "WHERE j.chat_id IS NOT NULL GROUP BY j.chat_id"
            for join in (self._join, "other_rows")
        )
        rows = self._database.query(
            "SELECT chat_id, max(latest), min(low), max(high) "
            f"FROM ({' UNION ALL '.join(parts)}) GROUP BY chat_id ORDER BY 2 DESC, 1"
        )
        for chat_id, latest, *speakers in rows:
            yield Activity(chat_id, latest, (speakers[0], speakers[1]))

    def own_addresses(self) -> tuple[bool, frozenset[str]]:
        """Return whether the owner wrote any message, and the owner's addresses.

        `destination_caller_id` is the owner's address on received messages as well.
        """
        sql = "SELECT DISTINCT is_own, destination_caller_id, account FROM messages"
        rows = list(self._database.query(sql))
        # `account` has a prefix for the kind of address.
        found = {
            _ACCOUNT_PREFIX.sub("", address).strip().casefold()
            for _, *addresses in rows
            for address in addresses
            if isinstance(address, str)
        }
        return any(is_own for is_own, *_ in rows), frozenset(found - {""})

    def shared(self) -> frozenset[int]:
        """Return the messages that are in several chats."""
        again = "GROUP BY message_id HAVING count(*) > 1"
        rows = self._database.query(
            f"SELECT message_id FROM {self._join} {again} "
            f"UNION SELECT message_id FROM other_rows {again}"
        )
        return frozenset(message_id for (message_id,) in rows)

    def messages(self, chat_ids: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
        """Return the messages of some chats, in any order.

        A message in two of the chats is returned twice. Rows are tuples, since named
        fields would double the cost: number, microseconds since 1970 or `None`, whether
        it is the owner's, `handle_id`, `guid`, `service`, `text`, `attributedBody` if
        there is no text, the kind (see `_KIND`), whether to read `Details`, and
        `deleted` or `orphan` if it is not in a chat.
        """
        # The caller sorts: SQLite's sorter would copy the text of each row.
        chosen = f"""JOIN messages AS m ON m.number = j.message_id
            WHERE j.chat_id IN ({", ".join("?" * len(chat_ids))})"""
        values = """m.number, m.time, m.is_own, m.handle_id, m.guid, m.service, m.text,
            m.body, m.kind, m.has_details"""
        return self._database.query(
            f"SELECT {values}, NULL FROM {self._join} AS j CROSS {chosen} UNION ALL "
            f"SELECT {values}, j.place FROM other_rows AS j CROSS {chosen}",
            (*chat_ids, *chat_ids),
        )

    def details(self, number: int) -> Details:
        """Return the rare columns of one message."""
        sql = f"SELECT {', '.join(Details._fields)} FROM messages WHERE number = ?"
        (row,) = self._database.query(sql, (number,))
        return Details(*row)

    def attachments(self, number: int) -> list[AttachmentRow]:
        """Return the attachments of one message."""
        if self._attachments is None:
            self._attachments = self._attachments_sql()
        rows = self._database.query(self._attachments, (number,))
        return list(map(AttachmentRow._make, rows))

    def _run(self, sql: str) -> None:
        list(self._database.query(sql))

    def _listed(self, table: str, names: Sequence[str], texts: Collection[str]) -> str:
        """Return the columns for a `SELECT`, with `NULL` for missing ones."""
        existing = self._columns[table] | {"rowid"}
        found = ((name, name if name.lower() in existing else "NULL") for name in names)
        return ", ".join(
            f"{f'CAST({column} AS TEXT)' if name in texts else column} AS {name}"
            for name, column in found
        )

    def _select(
        self, table: str, names: Sequence[str], texts: Collection[str] = ()
    ) -> Iterator[tuple[Any, ...]]:
        if not self._columns[table]:
            return iter(())
        columns = self._listed(table, names, texts)
        return self._database.query(f"SELECT {columns} FROM {table} ORDER BY 1, 2")

    def _attachments_sql(self) -> str:
        join = "message_attachment_join"
        if not (self._columns["attachment"] and self._columns[join]):
            return "SELECT NULL WHERE ? IS NULL"
        joined = (
            f"{join} AS j CROSS JOIN message AS m ON m.ROWID = j.message_id "
            "CROSS JOIN attachment AS a ON a.ROWID = j.attachment_id"
        )
        if not self._is_indexed(f"{joined} WHERE j.message_id = ?"):
            self._create(
                "attachment_rows",
                "message_id, attachment_id",
                f"SELECT m._rowid_, a._rowid_ FROM {joined}",
            )
            join = "attachment_rows"
        names = AttachmentRow._fields
        return (
            f"SELECT {self._listed('attachment', names, names[:5])} FROM {join} AS j "
            "JOIN attachment AS a ON a._rowid_ = j.attachment_id "
            "WHERE j.message_id = ? ORDER BY a.ROWID"
        )

    def _indexed_join(self) -> str:
        """Return an indexed table of the messages of each chat.

        Without an index, each chat would cost a scan of the whole join.
        """
        join = "chat_message_join"
        joined = f"{join} AS j CROSS JOIN message AS m ON m.ROWID = j.message_id"
        if self._is_indexed(f"{joined} WHERE j.chat_id = ?"):
            return join
        self._create(
            "chat_rows",
            "chat_id, message_id",
            f"SELECT j.chat_id, m._rowid_ FROM {joined} WHERE j.chat_id IS NOT NULL",
        )
        return "chat_rows"

    def _is_indexed(self, joined: str) -> bool:
        """Return whether a join uses an index, and row ids for all but the first table.

        In a copied table, `ROWID` can be a plain column or an `INT PRIMARY KEY`.
        """
        plan = self._database.query(f"EXPLAIN QUERY PLAN SELECT 1 FROM {joined}", (1,))
        first, *others = [detail for *_, detail in plan]
        is_searched = not any(
            word in detail for detail in (first, *others) for word in ("SCAN", "AUTO")
        )
        return is_searched and all("INTEGER PRIMARY KEY" in one for one in others)

    def _fill_other_rows(self) -> None:
        """Collect the messages that are in no chat in a table like the join.

        Messages in Recently Deleted belong to their former chat. Orphans get an
        artificial chat for each room or handle.
        """
        handle = "NULL"
        if "id" in self._columns["handle"]:
            handle = "(SELECT h.id FROM handle AS h WHERE h.ROWID = m.handle_id)"
        room = f"coalesce(nullif(m.cache_roomnames, ''), {handle}, 'unknown')"
        chat, place = f"'orphans:' || {room}", "'orphan'"
        source = """messages AS m LEFT JOIN chat_message_join AS j
            ON j.message_id = m.row_id AND j.chat_id IS NOT NULL"""
        if self._columns["chat_recoverable_message_join"]:
            chat = f"coalesce(r.chat_id, {chat})"
            place = "CASE WHEN r.chat_id IS NULL THEN 'orphan' ELSE 'deleted' END"
            source += """ LEFT JOIN chat_recoverable_message_join AS r
                ON r.message_id = m.row_id AND r.chat_id IS NOT NULL"""
        self._create(
            "other_rows",
            "chat_id, message_id, place",
            f"SELECT {chat}, m.number, {place} FROM {source} WHERE j.chat_id IS NULL",
        )

    def _create(self, table: str, columns: str, select: str) -> None:
        """Create a temporary table with an index by its first two columns."""
        first, second, *_ = columns.split(", ")
        self._run(f"CREATE TEMP TABLE {table} ({columns})")
        self._run(f"INSERT INTO {table} SELECT DISTINCT * FROM ({select})")
        self._run(f"CREATE INDEX temp.{table}_index ON {table} ({first}, {second})")
