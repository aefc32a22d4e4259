"""Conversations from a table in Parquet, JSON lines or CSV, with a row per message.

DuckDB reads Parquet, and sorts the rows of any table. Python reads CSV, since DuckDB
silently drops cells beyond the header and joins the rows after an unclosed quote.
"""

import codecs
import csv
import io
import re
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import tzinfo
from itertools import chain, groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
from typing_extensions import Unpack

from langchain_chatexports._temporary import private_folder
from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.base import ChatExportLoader, LoaderOptions
from langchain_chatexports.chat_loaders.date_order import (
    ORDERS,
    DateOrder,
    checked_order,
)
from langchain_chatexports.chat_loaders.files import ExportFile, ExportFiles
from langchain_chatexports.chat_loaders.json_data import NOT_DECODED, decode_json
from langchain_chatexports.chat_loaders.local_times import (
    LocalClock,
    find_time_zone,
    name_of_zone,
    warn_of_local_times,
)
from langchain_chatexports.chat_loaders.messages import Conversation, Message
from langchain_chatexports.chat_loaders.written_times import (
    microseconds,
    order_shown_by,
)
from langchain_chatexports.exceptions import (
    ChatExportError,
    ExportFormatError,
    ExportNotFoundError,
    MissingExtraError,
)

COLUMNS: dict[str, tuple[str, ...]] = {
    "conversation": (
        *("conversation_id", "conversation", "thread_id", "ticket_id", "chat_id"),
        "session_id",
    ),
    "sender": ("sender", "author", "from", "user", "name"),
    "time": ("time", "timestamp", "created_at", "sent_at", "date"),
    "text": ("text", "body", "message", "content"),
    "role": ("role", "author_type", "sender_type"),
    "id": ("message_id", "id"),
    "reply_to": ("reply_to", "in_reply_to"),
    "title": ("title", "subject"),
}
"""The parts of a message, and the column names recognized for each."""

_Cells: TypeAlias = dict[str, str | None]  # By part, with numbers as text.
_Row: TypeAlias = tuple[int, int, str | None, str | None]

_OWNER_ROLE = "me"
_CSV_SUFFIXES = (".csv", ".tsv")
_PARQUET_MAGIC = b"PAR1"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_HEAD_BYTES = 1 << 16
_LINES_FOR_COLUMNS = 100
# Excel writes semicolons in countries with decimal commas.
_DELIMITERS = ",;\t|"
_LEGACY = "cp1252"  # Excel's "CSV" in Western Europe and America.
_OR_LEGACY = "langchain_chatexports.or_cp1252"
_NESTED = re.compile(r"\]$|^(?:BLOB|STRUCT|MAP|UNION|VARIANT)")
_ROWS_A_BATCH = 256
# Parquet compresses logs by a factor of 5 to 20, but can pack a billion equal values
# into 1 kB.
_MAX_BYTES, _MAX_RATIO = 1 << 26, 50

_OBJECT = msgspec.json.Decoder(dict[str, Any])
_CELLS = msgspec.json.Decoder(_Cells)
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


@dataclass
class _Table:
    file: ExportFile
    length: int = 0
    order: str | None = None
    unread_times: int = 0
    first_unread: int = 0


class TableChatLoader(ChatExportLoader):
    """Load conversations from Parquet, JSON lines or CSV with a row per message.

    For support desks and other logs. The path is a file, or a folder of files, which
    are read in the order of their names. A file without a column of conversations is
    one conversation. Rows of a conversation need not be adjacent: DuckDB sorts them,
    with a private temporary folder if they do not fit into memory. Sessions are in the
    order of their last rows.
    """

    platform = "table"
    suffixes = (".parquet", ".jsonl", ".ndjson", *_CSV_SUFFIXES)

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
        self.columns = dict(columns or {})
        if unknown := sorted(self.columns.keys() - COLUMNS.keys()):
            msg = f"columns has {unknown}; a message can have {list(COLUMNS)}."
            raise ValueError(msg)
        self.timezone = find_time_zone(timezone)
        self.date_order = checked_order(date_order)

    def conversations(self, files: ExportFiles) -> Iterator[Conversation]:
        """Yield the conversations, in the order of their last rows.

        Raises:
            ExportNotFoundError: If there is no table.
            MissingExtraError: If DuckDB is not installed.
        """
        tables = [_Table(file) for file in files if file.name[0] not in "._"]
        if not tables:
            msg = f"{files.path} is a folder without .parquet, .jsonl or .csv files."
            raise ExportNotFoundError(msg, path=files.path)
        used_zone = False
        with private_folder() as folder, open_database(folder) as database:
            database.execute(_CREATE)
            for number, table in enumerate(tables):
                rows = _read_cells(table.file, self.columns, database, folder)
                try:
                    self._insert(number, table, rows, database, files)
                except ChatExportError as error:
                    database.execute("DELETE FROM rows WHERE file = ?", [number])
                    files.skip(error)
            sorted_rows = _fetched(database.execute(_SELECT))
            for conversation, found in groupby(sorted_rows, key=itemgetter(2)):
                clock = LocalClock(self.timezone)
                yield _conversation(conversation, found, tables, clock, files)
                used_zone |= clock.is_used
        if used_zone:
            files.details["time_zone"] = [name_of_zone(self.timezone)]
            if self.timezone is None and not files.is_quiet:
                warn_of_local_times(self.path)
        _warn_of_unread_times([table for table in tables if table.unread_times], files)

    def handles(self) -> Mapping[str, Collection[str]]:
        """Return an empty mapping: a table has one name for each person."""
        return {}

    def _count_messages(self) -> int | None:
        with self.open_export(is_quiet=True) as files:
            if any(file.read(4) == _PARQUET_MAGIC for file in files):
                return None
            return sum(file.estimate_count(b"\n") for file in files)

    def _insert(
        self,
        number: int,
        table: _Table,
        rows: Iterator[_Cells | None],
        database: Any,
        files: ExportFiles,
    ) -> None:
        """Copy the rows of a file into the database."""
        orders: set[str] = set()
        name = Path(table.file.name).stem
        while batch := list(islice(rows, _ROWS_A_BATCH)):
            conversations: list[str | None] = []
            for cells in batch:
                found = cells.get("conversation", name) if cells else None
                conversations.append((found or "").strip() or None)
                order = order_shown_by((cells and cells.get("time")) or "")
                orders |= set() if order is None else {order}
            encoded = [cells and msgspec.json.encode(cells).decode() for cells in batch]
            values = [number, table.length, conversations, conversations, encoded]
            database.execute(_INSERT, values)
            table.length += len(batch)
            files.check_count(table.length)
        table.order = self._found_order(orders, table, files)

    def _found_order(
        self, shown: Collection[str], table: _Table, files: ExportFiles
    ) -> str | None:
        """Return the order of day and month in a file, and warn if it is a guess."""
        order = self.date_order or ("mdy" if "mdy" in shown else "dmy")
        if not shown:
            return self.date_order
        if {"dmy", "mdy"} <= {*shown}:
            msg = (
                f"{table.file.label} mixes two orders of day and month. Write all "
                "dates in one form, such as 2024-05-31."
            )
            raise ExportFormatError(msg, path=table.file.path)
        is_guess = not self.date_order and {*shown} == {""}
        words = f"{ORDERS[order]}{' (a guess)' if is_guess else ''}"
        counts = files.details.setdefault("date_orders", {})
        counts[words] = counts.get(words, 0) + 1
        if is_guess:
            files.warn(
                f"The dates of {table.file.label} do not show which number is the day; "
                f"they are read with the {ORDERS[order]}. If that is wrong, give "
                "date_order (--date-order)."
            )
        return order


def matches_head(
    path: Path, head: bytes, columns: Mapping[str, str] | None = None
) -> bool:
    """Return whether a file is a table of messages, by its first bytes.

    It is Parquet, or its first line (a JSON object, or the header of a CSV file) has
    columns for the text, and for conversation or sender, or it is named `.csv`.

    Raises:
        MissingExtraError: If it is a table, and the extra `table` is not installed.
    """
    start = head.removeprefix(_BYTE_ORDER_MARK).lstrip()
    names: Collection[str] = ()
    is_table = head.startswith(_PARQUET_MAGIC)
    if start.startswith(b"{"):
        line, newline, _ = start.partition(b"\n")
        cells = (_parsed(line) if newline else None) or {}
        names = [name for name, value in cells.items() if _text(value) is not None]
    else:
        names = _header(head) if b"\n" in head or b"\r" in head else ()
        is_table = is_table or path.suffix.lower() in _CSV_SUFFIXES
    if is_table := is_table or _has_columns(names, columns or {}):
        _import_duckdb()
    return is_table


@contextmanager
def open_database(folder: Path) -> Iterator[Any]:
    """Open a DuckDB database that can only access a private folder."""
    config = {
        "allow_community_extensions": "false",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "memory_limit": "200MB",
        "temp_directory": str(folder),
        "threads": "1",
    }
    with closing(_import_duckdb().connect(":memory:", config=config)) as database:
        database.execute("SET TimeZone = 'UTC'")
        database.execute("SET allowed_directories = ?", [[str(folder)]])
        database.execute("SET enable_external_access = false")
        database.execute("SET lock_configuration = true")
        yield database


def _import_duckdb() -> Any:
    try:
        import duckdb
    except ImportError as error:
        feature = "Reading tables"
        raise MissingExtraError(feature, "table") from error
    return duckdb


def _fetched(result: Any) -> Iterator[Any]:
    while rows := result.fetchmany(_ROWS_A_BATCH):
        yield from rows


def _read_cells(
    file: ExportFile, given: Mapping[str, str], database: Any, folder: Path
) -> Iterator[_Cells | None]:
    """Yield the rows of a file; `None` for an unreadable one."""
    head = file.read(_HEAD_BYTES)
    start = head.removeprefix(_BYTE_ORDER_MARK).lstrip()
    if head.startswith(_PARQUET_MAGIC):
        # The file may be in a zip, or DuckDB would read its name as a pattern.
        copy = folder / "copy.parquet"
        with file.open() as source, copy.open("wb") as target:
            shutil.copyfileobj(source, target)
        yield from _parquet_cells(file, copy, given, database)
        copy.unlink()
    elif not start.startswith(b"{") and (
        file.name.lower().endswith(_CSV_SUFFIXES) or _has_columns(_header(head), given)
    ):
        yield from _csv_cells(file, head, given)
    elif start:
        yield from _json_cells(file, given)


def _json_cells(file: ExportFile, given: Mapping[str, str]) -> Iterator[_Cells | None]:
    with file.open() as source:
        lines = (line for line in source if line.strip())
        first = list(map(_parsed, islice(lines, _LINES_FOR_COLUMNS)))
        if not any(first):
            msg = (
                f"{file.label} is not a table: neither Parquet nor a JSON object in "
                "each line, nor CSV. Check the path, or write the table as JSON lines."
            )
            raise ExportFormatError(msg, path=file.path)
        # Lines may omit empty values, so collect the columns of the first ones.
        columns = {name for cells in first for name in cells or ()}
        chosen = _chosen_columns(file, columns | {*given.values()}, given)
        for cells in chain(first, map(_parsed, lines)):
            if cells is None or isinstance(cells.get(chosen["text"]), (dict, list)):
                yield None
            else:
                yield {part: _text(cells.get(name)) for part, name in chosen.items()}


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        return decode_json(line.removeprefix(_BYTE_ORDER_MARK), _OBJECT, "a line")
    except (*NOT_DECODED, ExportFormatError):
        return None


def _text(value: Any) -> str | None:
    """Return a cell as a text; `None` for a list or an object."""
    if value is None or isinstance(value, (str, dict, list)):
        return value if isinstance(value, str) else None
    if isinstance(value, bool):
        return str(value).lower()  # As in JSON.
    # In a column of ids with gaps, 7 is stored as `7.0`.
    return str(value).removesuffix(".0")


def _as_legacy(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    if error.encoding != "utf-8":
        return "\ufffd", error.end
    data = error.object[error.start : error.end]
    return data.decode(_LEGACY, "replace"), error.end


codecs.register_error(_OR_LEGACY, _as_legacy)


def _encoding(head: bytes) -> str:
    return "utf-16" if head.startswith(_UTF_16_MARKS) else "utf-8-sig"


def _delimiter(line: str) -> str:
    # Column names contain no delimiter, so choose the most frequent one.
    return max(_DELIMITERS, key=re.sub(r'"[^"]*"?', "", line).count)


def _header(head: bytes) -> list[str]:
    """Return the names in the first line of a CSV file."""
    line = head.decode(_encoding(head), _OR_LEGACY).partition("\n")[0]
    with suppress(csv.Error):
        rows = csv.reader(io.StringIO(line, newline=""), delimiter=_delimiter(line))
        return [name.strip() for name in next(rows, [])]
    return []


def _csv_cells(
    file: ExportFile, head: bytes, given: Mapping[str, str]
) -> Iterator[_Cells | None]:
    names = _header(head)
    chosen = _chosen_columns(file, names, given, are_names=False)
    indexes = {part: names.index(name) for part, name in chosen.items()}
    with (
        file.open() as source,
        io.TextIOWrapper(source, _encoding(head), _OR_LEGACY, newline="") as text,
    ):
        rows = csv.reader(text, delimiter=_delimiter(text.readline()), strict=True)
        while True:
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                if "end of data" in str(error):
                    msg = (
                        f"{file.label} has a quotation mark that is never closed. "
                        "Close or remove it."
                    )
                    raise ExportFormatError(msg, path=file.path) from None
                yield None
                continue
            # Excel fills rows up with empty cells.
            if len(row) > indexes["text"] and not any(row[len(names) :]):
                yield {part: row[at] for part, at in indexes.items() if at < len(row)}
            elif row:
                yield None


def _parquet_cells(
    file: ExportFile, copy: Path, given: Mapping[str, str], database: Any
) -> Iterator[_Cells | None]:
    source = "read_parquet(?, hive_partitioning = false)"
    with closing(database.cursor()) as cursor:
        try:
            cursor.execute(f"DESCRIBE SELECT * FROM {source}", [str(copy)])
            types = {name: kind for name, kind, *_ in cursor.fetchall()}
            plain = [name for name, kind in types.items() if not _NESTED.search(kind)]
            chosen = _chosen_columns(file, plain, given)
            cells = [_cell_sql(name, types[name]) for name in chosen.values()]
            sizes = " + ".join(f"coalesce(sum(strlen({cell})), 0)" for cell in cells)
            cursor.execute(f"SELECT {sizes} FROM {source}", [str(copy)])
            if cursor.fetchone()[0] > max(_MAX_BYTES, _MAX_RATIO * file.size):
                msg = (
                    f"{file.label} unpacks to far more than a log of chats. If it is "
                    "real, write it as JSON lines."
                )
                raise ExportFormatError(msg, path=file.path)
            cursor.execute(f"SELECT {', '.join(cells)} FROM {source}", [str(copy)])
            for row in _fetched(cursor):
                yield dict(zip(chosen, row, strict=True))
        except _import_duckdb().Error:
            # DuckDB's errors quote the file.
            msg = f"{file.label} is a damaged Parquet file, or one of another kind."
            raise ExportFormatError(msg, path=file.path) from None


def _cell_sql(name: str, kind: str) -> str:
    """Return the SQL that converts a cell to text."""
    column = '"' + name.replace('"', '""') + '"'
    if kind in {"DOUBLE", "FLOAT"}:
        # Whole numbers with gaps are stored as floats, with NaN for a gap.
        text = f"CAST(nullif({column}, 'nan') AS VARCHAR)"
        return f"regexp_replace({text}, '\\.0$', '')"
    return f"CAST({column} AS VARCHAR)"


def _has_columns(columns: Collection[str], given: Mapping[str, str]) -> bool:
    """Return whether a table has the columns of messages."""
    if not {*given.values()} <= {*columns}:
        return False
    found = _guessed_columns(columns, given)
    return "text" in found and ("conversation" in found or "sender" in found)


def _chosen_columns(
    file: ExportFile,
    columns: Collection[str],
    given: Mapping[str, str],
    *,
    are_names: bool = True,
) -> dict[str, str]:
    """Return the column of each part; the user's, or else those in `COLUMNS`.

    Errors only show `columns` if they `are_names` for sure: the first line of a CSV
    file may be a message.
    """
    missing = sorted(set(given.values()) - set(columns))
    found = _guessed_columns(columns, given)
    if not missing and "text" in found:
        return found
    listed = f"; it has {sorted(columns)}" if are_names else " in its first line"
    if missing:
        msg = f"{file.label} has no column {missing}{listed}."
    else:
        msg = (
            f"{file.label} has no column that is known to hold text{listed}. Rename it "
            "to text, or name it: columns={'text': ...}."
        )
    raise ExportFormatError(msg, path=file.path)


def _guessed_columns(
    columns: Collection[str], given: Mapping[str, str]
) -> dict[str, str]:
    """Return the recognized columns; `Ticket ID` matches `ticket_id`."""
    plain = {name: name for name in columns}
    for name in columns:
        plain.setdefault("_".join(name.casefold().split()), name)
    chosen = dict(given)
    for part, names in COLUMNS.items():
        free = (plain[n] for n in names if n in plain)
        found = next((name for name in free if name not in chosen.values()), None)
        if part not in chosen and found:
            chosen[part] = found
    return chosen


def _conversation(
    conversation: str | None,
    rows: Iterable[_Row],
    tables: Sequence[_Table],
    clock: LocalClock,
    files: ExportFiles,
) -> Conversation:
    """Read the rows of a conversation; those without one are orphans."""
    messages: list[Message] = []
    texts: dict[str, str] = {}
    title = owner = None
    for file, number, _, encoded in rows:
        files.check_count(len(messages))
        if encoded is None:
            messages.append(Message(None, "", "", kind="unreadable"))
            continue
        cells = _CELLS.decode(encoded)
        short = {part: (cell or "").strip() for part, cell in cells.items()}
        role, reply = short.get("role"), short.get("reply_to")
        # Some tables only distinguish customers from agents.
        sender = short.get("sender") or role or ""
        if role == _OWNER_ROLE:
            owner = owner or sender
        title = title or short.get("title")
        text, message_id = cells.get("text") or "", short.get("id", "")
        if texts.setdefault(message_id, text) != text:
            message_id = ""  # Not unique, so it is not a message's id.
        extra: dict[str, Any] = {"role": role} if role else {}
        if reply:
            extra["reply_to"] = {"id": reply}
        time = None
        if written := short.get("time"):
            table = tables[file]
            time = microseconds(written, clock, table.order)
            if time is None:
                table.unread_times += 1
                table.first_unread = min(number, table.first_unread or number)
        kind = "text" if conversation else "orphan"
        messages.append(Message(time, sender, text, kind, message_id, extra))
    return Conversation(
        id=conversation or "",
        messages=messages,
        title=title or None,
        owner=owner,
        owner_found_by=owner and "role",
    )


def _warn_of_unread_times(tables: Sequence[_Table], files: ExportFiles) -> None:
    if not tables:
        return
    total = plural(sum(table.unread_times for table in tables), "time")
    files.warn(
        f"{total} cannot be read, the first in row {tables[0].first_unread:,} of "
        f"{tables[0].file.label}: these messages have no time, and come first. Write "
        "times such as 2024-05-31 14:30, or with their zone as 2024-05-31T14:30+02:00."
    )
