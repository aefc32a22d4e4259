"""The chat loader for tables."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import tzinfo
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeAlias, cast

import msgspec
from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import BaseMessage
from typing_extensions import Unpack

from langchain_chatexports._temporary import private_folder
from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.base import ChatExportLoader, LoaderOptions
from langchain_chatexports.chat_loaders.date_order import (
    ORDERS,
    DateOrder,
    Order,
    checked_order,
)
from langchain_chatexports.chat_loaders.files import ExportFile, ExportFiles
from langchain_chatexports.chat_loaders.local_times import (
    LocalClock,
    find_time_zone,
    name_of_zone,
    warn_of_local_times,
)
from langchain_chatexports.chat_loaders.messages import Conversation, Message
from langchain_chatexports.chat_loaders.table.cells import (
    CSV_SUFFIXES,
    PARQUET_MAGIC,
    Cells,
    Database,
    checked_columns,
    read_cells,
)
from langchain_chatexports.chat_loaders.table.times import DateOrders, microseconds
from langchain_chatexports.exceptions import ChatExportError, ExportNotFoundError

OWNER_ROLE = "me"
"""The role of messages of the export's owner."""

_ROWS_A_BATCH = 1000
_CREATE = """
CREATE TABLE rows (file INTEGER, number BIGINT, conversation VARCHAR, cells VARCHAR)
"""
_INSERT = """
INSERT INTO rows SELECT ?, ? + generate_subscripts(?::VARCHAR[], 1),
unnest(?::VARCHAR[]), unnest(?::VARCHAR[])
"""
# Conversations in the order of their last rows; rows without one come first.
_SELECT = """
SELECT file, number, conversation, cells FROM rows LEFT JOIN (
    SELECT conversation, max((file, number)) AS ending FROM rows GROUP BY conversation
) USING (conversation) ORDER BY ending NULLS FIRST, file, number
"""
_Row: TypeAlias = tuple[int, int, str | None, str | None]
_CELLS = msgspec.json.Decoder(Cells)


@dataclass
class _Table:
    """A file of a table, with facts about its times."""

    file: ExportFile
    length: int = 0
    """The number of rows."""

    order: str | None = None
    """The order of day and month in its dates."""

    unread: int = 0
    """The number of unreadable times."""

    first_unread: int = 0
    """The row of the first unreadable time."""


class TableChatLoader(ChatExportLoader):
    """Load conversations from Parquet, JSON lines or CSV with a row per message.

    For support desks and other logs. The path is a file, or a folder of files, which
    are read in the order of their names. A file without a column of conversations is
    one conversation. Rows of a conversation need not be adjacent: DuckDB sorts them,
    with a private temporary folder if they do not fit into memory. Sessions are in the
    order of their last rows.
    """

    platform = "table"
    suffixes = (".parquet", ".jsonl", ".ndjson", *CSV_SUFFIXES)

    def __init__(
        self,
        path: str | Path | Collection[str | Path],
        *,
        columns: Mapping[str, str] | None = None,
        timezone: str | tzinfo | None = None,
        date_order: DateOrder | None = None,
        **options: Unpack[LoaderOptions],
    ) -> None:
        """Initialize the loader.

        Args:
            path: A file of Parquet, JSON lines or CSV, or a folder of these.
            columns: The column of each part: `text` (required), `conversation`,
                `sender`, `time`, `role`, `id`, `reply_to`, `title`. Parts that are not
                given are found by the names in `COLUMNS`.
            timezone: The zone of times without one, such as `Europe/Berlin`. Defaults
                to the zone of this machine.
            date_order: `dmy` or `mdy`, for dates such as `01/05/2024` where no row
                shows which number is the day; `ymd` for `24/05/01`.
            **options: The options of every loader, see `ChatExportLoader`. `owner` is
                a sender; by default the sender of rows with the role `me`, if there are
                any.

        Raises:
            ValueError: If `columns` has an unknown part, or if there is no such time
                zone or order.
        """
        super().__init__(path, **options)
        self.columns = checked_columns(columns)
        self.timezone = find_time_zone(timezone)
        self.date_order = checked_order(date_order)

    def conversations(self, files: ExportFiles) -> Iterator[Conversation]:
        """Yield the conversations, in the order of their last rows.

        Raises:
            ExportNotFoundError: If there is no table.
            MissingExtraError: If DuckDB is not installed.
        """
        tables = [
            _Table(file) for file in files if not file.name.startswith((".", "_"))
        ]
        if not tables:
            msg = f"{files.path} is a folder without .parquet, .jsonl or .csv files."
            raise ExportNotFoundError(msg, path=files.path)
        with _database(tables) as database:
            for number, table in enumerate(tables):
                try:
                    self._insert(number, table, database, files)
                except ChatExportError as error:  # noqa: PERF203 - a file, not a row
                    database.run("DELETE FROM rows WHERE file = ?", [number])
                    files.skip(error)
            used_zone = False
            rows = database.fetch(_SELECT)
            for conversation, found in groupby(rows, key=itemgetter(2)):
                clock = LocalClock(self.timezone)
                yield _ConversationReader(tables, clock).read(
                    conversation, found, files
                )
                used_zone |= clock.is_used
        if used_zone:
            files.details["time_zone"] = [name_of_zone(self.timezone)]
        self._warn_of_times(tables, files, used_zone=used_zone)

    def handles(self) -> Mapping[str, Collection[str]]:
        """Return an empty mapping: a table has one name for each person."""
        return {}

    def _count_messages(self) -> int | None:
        with self.open_export(is_quiet=True) as files:
            if any(file.read(4) == PARQUET_MAGIC for file in files):
                return None
            return sum(file.estimate_count(b"\n") for file in files)

    def _insert(
        self, number: int, table: _Table, database: Database, files: ExportFiles
    ) -> None:
        """Copy the rows of a file into the database."""
        orders = DateOrders(self.date_order)
        name = Path(table.file.name).stem
        rows = read_cells(table.file, self.columns, database)
        while batch := list(islice(rows, _ROWS_A_BATCH)):
            conversations: list[str | None] = []
            for row, cells in enumerate(batch, table.length + 1):
                found = cells.get("conversation", name) if cells else None
                conversations.append((found or "").strip() or None)
                if time := cells and cells.get("time"):
                    orders.note(time, row)
            encoded = [cells and msgspec.json.encode(cells).decode() for cells in batch]
            values = [number, table.length, conversations, conversations, encoded]
            database.run(_INSERT, values)
            table.length += len(batch)
            files.check_count(table.length)
        table.order = self.date_order
        if order := orders.find(table.file.path):
            table.order = order.order
            _note_order(order, table, files)

    def _warn_of_times(
        self, tables: list[_Table], files: ExportFiles, *, used_zone: bool
    ) -> None:
        if used_zone and self.timezone is None and not files.is_quiet:
            warn_of_local_times(self.path)
        unread = [table for table in tables if table.unread]
        if unread:
            total = plural(sum(table.unread for table in unread), "time")
            files.warn(
                f"{total} cannot be read, the first in row {unread[0].first_unread:,} "
                f"of {unread[0].file.label}: these messages have no time, and come "
                "first. Write times such as 2024-05-31 14:30, or with their zone as "
                "2024-05-31T14:30+02:00."
            )


def _note_order(order: Order, table: _Table, files: ExportFiles) -> None:
    words = ORDERS[order.order]
    key = f"{words} (a guess)" if order.is_guess else words
    orders = files.details.setdefault("date_orders", {})
    orders[key] = orders.get(key, 0) + 1
    if order.is_guess:
        files.warn(
            f"The dates of {table.file.label} do not show which number is the day; "
            f"they are read with the {words}. If that is wrong, give date_order "
            "in Python."
        )


@contextmanager
def _database(tables: Iterable[_Table]) -> Iterator[Database]:
    with private_folder() as folder:
        database = Database(folder, [table.file for table in tables])
        with closing(database):
            database.run(_CREATE)
            yield database


class _ConversationReader:
    """Turns the rows of one conversation into messages."""

    def __init__(self, tables: list[_Table], clock: LocalClock) -> None:
        self._tables = tables
        self._clock = clock
        self._texts: dict[str, str] = {}
        self._title = ""
        self._owner: str | None = None

    def read(
        self, conversation: str | None, rows: Iterable[_Row], files: ExportFiles
    ) -> Conversation:
        """Read the rows; those without a conversation are orphans."""
        messages: list[Message] = []
        for file, number, _, encoded in rows:
            if encoded is None:
                messages.append(Message(None, "", "", kind="unreadable"))
            else:
                cells = _CELLS.decode(encoded)
                message = self._message(cells, file, number)
                message.kind = "text" if conversation else "orphan"
                messages.append(message)
            files.check_count(len(messages))
        return Conversation(
            id=conversation or "",
            messages=messages,
            title=self._title or None,
            owner=self._owner,
            owner_found_by=self._owner and "role",
        )

    def _message(self, cells: Cells, file: int, number: int) -> Message:
        short = {part: (cell or "").strip() for part, cell in cells.items()}
        role, reply = short.get("role"), short.get("reply_to")
        # Some tables only distinguish customers from agents.
        sender = short.get("sender") or role or ""
        if role == OWNER_ROLE and self._owner is None:
            self._owner = sender
        self._title = self._title or short.get("title", "")
        text, message_id = cells.get("text") or "", short.get("id", "")
        if self._texts.setdefault(message_id, text) != text:
            message_id = ""  # Not unique, so it is not a message's id.
        extra: dict[str, Any] = {"role": role} if role else {}
        if reply:
            extra["reply_to"] = {"id": reply}
        time = self._time(short.get("time", ""), file, number)
        return Message(time, sender, text, "text", message_id, extra)

    def _time(self, text: str, file: int, number: int) -> int | None:
        if not text:
            return None
        table = self._tables[file]
        time = microseconds(text, self._clock, table.order)
        if time is None:
            table.first_unread = min(number, table.first_unread or number)
            table.unread += 1
        return time


def table_rows(sessions: Iterable[ChatSession]) -> Iterator[dict[str, Any]]:
    """Yield a row for each message, with columns that `TableChatLoader` recognizes.

    Rows have conversation, title, sender, role, time, text, id and reply, but no
    reactions, edits and attachments.

    Args:
        sessions: The sessions.

    Yields:
        The rows in order, session by session.
    """
    for number, session in enumerate(sessions, 1):
        found = cast("Mapping[str, Any]", session).get("metadata")
        metadata = found if isinstance(found, Mapping) else {}
        about = {
            "conversation_id": str(metadata.get("id") or number),
            "title": metadata.get("title"),
        }
        for message in session.get("messages", ()):
            row = {**about, **_cells_of(message)}
            yield {name: cell for name, cell in row.items() if cell is not None}
        del session


def _cells_of(message: BaseMessage) -> dict[str, Any]:
    extra = message.additional_kwargs
    reply = extra.get("reply_to")
    role = OWNER_ROLE if extra.get("is_from_me") is True else extra.get("role")
    return {
        "sender": extra.get("sender"),
        "role": role,
        "time": extra.get("message_time"),
        "text": str(message.text),
        "message_id": message.id,
        "reply_to": reply.get("id") if isinstance(reply, Mapping) else reply,
    }
