"""The chat loader for tables with a row per message."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from itertools import groupby, islice
from operator import attrgetter
from pathlib import Path
from typing import Any, Unpack

from langchain_chatexports._temporary import private_folder
from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.base import ChatExportLoader, LoaderOptions
from langchain_chatexports.chat_loaders.date_order import (
    ORDERS,
    DateOrder,
    other_order,
    validate_order,
)
from langchain_chatexports.chat_loaders.export_file import ExportFile
from langchain_chatexports.chat_loaders.files import ExportFiles
from langchain_chatexports.chat_loaders.local_times import (
    LocalClock,
    find_time_zone,
    report_local_times,
)
from langchain_chatexports.chat_loaders.messages import (
    Conversation,
    DetectedOwner,
    Message,
)
from langchain_chatexports.chat_loaders.table.columns import COLUMNS
from langchain_chatexports.chat_loaders.table.database import (
    Cells,
    Row,
    RowStore,
    open_database,
)
from langchain_chatexports.chat_loaders.table.files import (
    CSV_SUFFIXES,
    PARQUET_MAGIC,
    read_cells,
)
from langchain_chatexports.chat_loaders.written_times import detect_order, parse_time
from langchain_chatexports.exceptions import (
    ChatExportError,
    ExportFormatError,
    ExportNotFoundError,
    ExportWarning,
)

_OWNER_ROLE = "me"
_BATCH_SIZE = 256


@dataclass
class _Table:
    file: ExportFile
    length: int = 0
    order: str | None = None
    invalid_times: int = 0
    first_invalid: int = 0


class TableChatLoader(ChatExportLoader):
    """Load conversations from Parquet, JSON Lines or CSV with a row per message.

    For support tickets and other logs. The path is a file, or a folder of files, which
    are read in order of their names. A file without a conversation column is a single
    conversation. Rows of a conversation need not be adjacent: DuckDB sorts them, in a
    private temporary folder if they do not fit into memory. Sessions are in order of
    their last rows.
    """

    platform = "table"
    label = "table (Parquet, JSON Lines or CSV)"
    suffixes = (".parquet", ".jsonl", ".ndjson", *CSV_SUFFIXES)
    has_ids = False

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
            path: A file in Parquet, JSON Lines or CSV, or a folder of these.
            columns: The column of each field: `text` (required), `conversation`,
                `sender`, `time`, `role`, `id`, `reply_to`, `title`. By default, they
                are detected by name (see `COLUMNS`).
            timezone: The time zone of times without one, such as `Europe/Berlin`.
                Defaults to the local zone.
            date_order: `dmy` or `mdy` for dates such as `01/05/2024`, in case no row
                shows which number is the day; `ymd` for `24/05/01`.
            **options: The options of every loader (see `ChatExportLoader`). `owner` is
                a sender, by default the sender of rows with the role `me`.

        Raises:
            ValueError: If a field in `columns`, the time zone or the date order is
                unknown.
        """
        super().__init__(path, **options)
        self.columns = dict(columns or {})
        if unknown := sorted(self.columns.keys() - COLUMNS.keys()):
            msg = f"Unknown fields in columns: {unknown}. Use any of {list(COLUMNS)}."
            raise ValueError(msg)
        self.timezone = find_time_zone(timezone)
        self.date_order = validate_order(date_order)

    def conversations(self, files: ExportFiles) -> Iterator[Conversation]:
        """Yield the conversations, in the order of their last rows.

        Raises:
            ExportNotFoundError: If there is no table.
            MissingExtraError: If DuckDB is not installed.
        """
        tables = [_Table(file) for file in files if file.name[0] not in "._"]
        if not tables:
            msg = (
                f"{files.path} contains no .parquet, .jsonl or .csv files. Check the "
                "path."
            )
            raise ExportNotFoundError(msg, path=files.path)
        has_local_times = False
        with private_folder() as folder, open_database(folder) as database:
            store = RowStore(database)
            for index, table in enumerate(tables):
                rows = read_cells(table.file, self.columns, database, folder)
                try:
                    self._add_rows(index, table, rows, store, files)
                except ChatExportError as error:
                    store.remove(index)
                    files.skip(error, table.file)
            by_conversation = groupby(
                store.sorted_rows(), key=attrgetter("conversation")
            )
            for conversation_id, group in by_conversation:
                clock = LocalClock(self.timezone)
                yield _read_conversation(conversation_id, group, tables, clock, files)
                has_local_times |= clock.is_used
        if has_local_times:
            report_local_times(self.timezone, files)
        _warn_about_invalid_times(
            [table for table in tables if table.invalid_times], files
        )

    def _count_messages(self) -> int | None:
        with self.open_export(is_quiet=True) as files:
            if any(file.read(4) == PARQUET_MAGIC for file in files):
                return None
            return sum(file.estimate_count(b"\n") for file in files)

    def _add_rows(
        self,
        index: int,
        table: _Table,
        rows: Iterator[Cells | None],
        store: RowStore,
        files: ExportFiles,
    ) -> None:
        """Add the rows of a file to the store."""
        orders: set[str] = set()
        name = Path(table.file.name).stem
        while batch := list(islice(rows, _BATCH_SIZE)):
            conversations = []
            for cells in batch:
                cell = cells.get("conversation", name) if cells else None
                conversations.append(((cell or "").strip() or None, cells))
                order = detect_order((cells and cells.get("time")) or "")
                orders |= set() if order is None else {order}
            store.add(index, table.length, conversations)
            table.length += len(batch)
            files.check_count(table.length)
        table.order = self._resolve_order(orders, table, files)

    def _resolve_order(
        self, detected: Collection[str], table: _Table, files: ExportFiles
    ) -> str | None:
        """Return the date order of a file, with a warning if it is a guess."""
        order = self.date_order or ("mdy" if "mdy" in detected else "dmy")
        if not detected:
            return self.date_order
        if {"dmy", "mdy"} <= {*detected}:
            msg = (
                f"{table.file.label} uses two date orders. Write all dates in one "
                "format, such as 2024-05-31."
            )
            raise ExportFormatError(msg, path=table.file.path)
        is_guess = not self.date_order and {*detected} == {""}
        description = f"{ORDERS[order]}{' (a guess)' if is_guess else ''}"
        counts = files.details.setdefault("date_orders", {})
        counts[description] = counts.get(description, 0) + 1
        if is_guess:
            msg = (
                f"The dates of {table.file.label} do not show which number is the day; "
                f"they are read with the {ORDERS[order]}."
            )
            guess = ("date_order", other_order(order))
            files.warn(ExportWarning(msg, guess=guess))
        return order


def _read_conversation(
    conversation_id: str | None,
    rows: Iterable[Row],
    tables: Sequence[_Table],
    clock: LocalClock,
    files: ExportFiles,
) -> Conversation:
    """Convert the rows of a conversation; rows without a conversation are orphans."""
    messages: list[Message] = []
    content_by_id: dict[str, object] = {}
    has_message_ids = True
    title = owner = None
    for row in rows:
        files.check_count(len(messages))
        if row.cells is None:
            messages.append(Message(None, "", "", kind="unreadable"))
            continue
        stripped = {field: (cell or "").strip() for field, cell in row.cells.items()}
        message = _convert_row(row, stripped, tables[row.file], clock)
        if stripped.get("role") == _OWNER_ROLE:
            owner = owner or message.sender
        title = title or stripped.get("title")
        content = message.time, message.sender, message.text
        if message.id and content_by_id.setdefault(message.id, content) != content:
            has_message_ids = False
        if not conversation_id:
            message.kind = "orphan"
        messages.append(message)
    if not has_message_ids:
        # The column has the ids of conversations, of people, or of something else.
        for message in messages:
            message.id = ""
    return Conversation(
        id=conversation_id or "",
        messages=messages,
        title=title or None,
        owner=DetectedOwner(owner, "role") if owner else None,
    )


def _convert_row(
    row: Row, stripped: Mapping[str, str], table: _Table, clock: LocalClock
) -> Message:
    role, reply_to = stripped.get("role"), stripped.get("reply_to")
    extra: dict[str, Any] = {"role": role} if role else {}
    if reply_to:
        extra["reply_to"] = {"id": reply_to}
    time = None
    if time_text := stripped.get("time"):
        time = parse_time(time_text, clock, table.order)
        if time is None:
            table.invalid_times += 1
            table.first_invalid = min(row.number, table.first_invalid or row.number)
    # Some tables only have roles, such as customer and agent.
    sender = stripped.get("sender") or role or ""
    text = (row.cells or {}).get("text") or ""
    return Message(time, sender, text, id=stripped.get("id", ""), extra=extra)


def _warn_about_invalid_times(tables: Sequence[_Table], files: ExportFiles) -> None:
    if not tables:
        return
    total = plural(sum(table.invalid_times for table in tables), "time")
    files.warn(
        f"{total} cannot be parsed, first in row {tables[0].first_invalid:,} of "
        f"{tables[0].file.label}: these messages have no time and come first. Write "
        "times as 2024-05-31 14:30, or with a zone as 2024-05-31T14:30+02:00."
    )
