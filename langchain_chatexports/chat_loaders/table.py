"""Load conversations from Parquet, JSON Lines or CSV tables, with a row per message.

DuckDB reads Parquet, and sorts the rows of every table. Python reads CSV, since DuckDB
silently drops cells beyond the header, and joins the rows after an unclosed quote.
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
from typing import Any, TypeAlias, Unpack

import msgspec

from langchain_chatexports._temporary import private_folder
from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.base import ChatExportLoader, LoaderOptions
from langchain_chatexports.chat_loaders.date_order import (
    ORDERS,
    DateOrder,
    validate_order,
)
from langchain_chatexports.chat_loaders.files import ExportFile, ExportFiles
from langchain_chatexports.chat_loaders.json_data import DECODE_ERRORS, decode_json
from langchain_chatexports.chat_loaders.local_times import (
    LocalClock,
    find_time_zone,
    warn_about_local_times,
    zone_name,
)
from langchain_chatexports.chat_loaders.messages import (
    Conversation,
    Message,
    Person,
)
from langchain_chatexports.chat_loaders.written_times import (
    detect_order,
    parse_time,
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
"""The fields of a message, and the recognized column names for each."""

_Cells: TypeAlias = dict[str, str | None]  # By field, with numbers as text.
_Row: TypeAlias = tuple[int, int, str | None, str | None]

_OWNER_ROLE = "me"
_CSV_SUFFIXES = (".csv", ".tsv")
_PARQUET_MAGIC = b"PAR1"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_HEAD_BYTES = 1 << 16
_MAX_INSPECTED_LINES = 100
# Excel uses semicolons in locales with a decimal comma.
_DELIMITERS = ",;\t|"
_LEGACY_ENCODING = "cp1252"  # Excel's "CSV" in Western Europe and America.
_LEGACY_FALLBACK = "langchain_chatexports.cp1252_fallback"
_NESTED = re.compile(r"\]$|^(?:BLOB|STRUCT|MAP|UNION|VARIANT)")
_BATCH_SIZE = 256
# Parquet compresses logs by a factor of 5 to 20, but a billion equal values fit into
# 1 kB.
_MAX_BYTES, _MAX_RATIO = 1 << 26, 50

_OBJECT_DECODER = msgspec.json.Decoder(dict[str, Any])
_CELLS_DECODER = msgspec.json.Decoder(_Cells)
_CREATE = """
CREATE TABLE rows (file INTEGER, number BIGINT, conversation VARCHAR, cells VARCHAR)
"""
_INSERT = """
INSERT INTO rows SELECT ?, ? + generate_subscripts(?::VARCHAR[], 1),
unnest(?::VARCHAR[]), unnest(?::VARCHAR[])
"""
# Conversations in the order of their last rows; rows without a conversation come first.
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
            database.execute(_CREATE)
            for index, table in enumerate(tables):
                rows = _read_cells(table.file, self.columns, database, folder)
                try:
                    self._insert(index, table, rows, database, files)
                except ChatExportError as error:
                    database.execute("DELETE FROM rows WHERE file = ?", [index])
                    files.skip(error, table.file)
            sorted_rows = _fetch_rows(database.execute(_SELECT))
            for conversation_id, group in groupby(sorted_rows, key=itemgetter(2)):
                clock = LocalClock(self.timezone)
                yield _read_conversation(conversation_id, group, tables, clock, files)
                has_local_times |= clock.is_used
        if has_local_times:
            files.details["time_zone"] = [zone_name(self.timezone)]
            if self.timezone is None and not files.is_quiet:
                warn_about_local_times(self.path)
        _warn_about_invalid_times(
            [table for table in tables if table.invalid_times], files
        )

    def list_people(self, files: ExportFiles) -> Iterator[Mapping[str, Person]]:
        """Yield nothing, since tables have one name per person."""
        del files
        yield from ()

    def _count_messages(self) -> int | None:
        with self.open_export(is_quiet=True) as files:
            if any(file.read(4) == _PARQUET_MAGIC for file in files):
                return None
            return sum(file.estimate_count(b"\n") for file in files)

    def _insert(
        self,
        index: int,
        table: _Table,
        rows: Iterator[_Cells | None],
        database: Any,
        files: ExportFiles,
    ) -> None:
        """Insert the rows of a file into the database."""
        orders: set[str] = set()
        name = Path(table.file.name).stem
        while batch := list(islice(rows, _BATCH_SIZE)):
            conversation_ids: list[str | None] = []
            for cells in batch:
                cell = cells.get("conversation", name) if cells else None
                conversation_ids.append((cell or "").strip() or None)
                order = detect_order((cells and cells.get("time")) or "")
                orders |= set() if order is None else {order}
            encoded = [cells and msgspec.json.encode(cells).decode() for cells in batch]
            values = [index, table.length, conversation_ids, conversation_ids, encoded]
            database.execute(_INSERT, values)
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
            files.warn(
                f"The dates of {table.file.label} do not show which number is the day; "
                f"they are read with the {ORDERS[order]}. If that is wrong, set "
                "date_order (--date-order)."
            )
        return order


def matches_head(
    path: Path, head: bytes, columns: Mapping[str, str] | None = None
) -> bool:
    """Return whether a file is a table of messages, by its name and first bytes.

    This holds for Parquet, for CSV suffixes, and if the first line (a JSON object, or a
    CSV header) has columns for the text, and for the conversation or the sender.

    Raises:
        MissingExtraError: If it is a table but the extra `table` is not installed.
    """
    start = head.removeprefix(_BYTE_ORDER_MARK).lstrip()
    names: Collection[str] = ()
    is_table = head.startswith(_PARQUET_MAGIC)
    if start.startswith(b"{"):
        line, newline, _ = start.partition(b"\n")
        cells = (_parse_line(line) if newline else None) or {}
        names = [
            name for name, value in cells.items() if _cell_to_text(value) is not None
        ]
    else:
        names = _read_header(head) if b"\n" in head or b"\r" in head else ()
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


def _fetch_rows(result: Any) -> Iterator[Any]:
    while rows := result.fetchmany(_BATCH_SIZE):
        yield from rows


def _read_cells(
    file: ExportFile, user_columns: Mapping[str, str], database: Any, folder: Path
) -> Iterator[_Cells | None]:
    """Yield the rows of a file, `None` for each unreadable one."""
    head = file.read(_HEAD_BYTES)
    start = head.removeprefix(_BYTE_ORDER_MARK).lstrip()
    if head.startswith(_PARQUET_MAGIC):
        # Copy the file, as it may be in a zip, and DuckDB expands patterns in names.
        copy = folder / "copy.parquet"
        with file.open() as source, copy.open("wb") as target:
            shutil.copyfileobj(source, target)
        yield from _read_parquet_cells(file, copy, user_columns, database)
        copy.unlink()
    elif not start.startswith(b"{") and (
        file.name.lower().endswith(_CSV_SUFFIXES)
        or _has_columns(_read_header(head), user_columns)
    ):
        yield from _read_csv_cells(file, head, user_columns)
    elif start:
        yield from _read_json_cells(file, user_columns)


def _read_json_cells(
    file: ExportFile, user_columns: Mapping[str, str]
) -> Iterator[_Cells | None]:
    with file.open() as source:
        lines = (line for line in source if line.strip())
        first_rows = list(map(_parse_line, islice(lines, _MAX_INSPECTED_LINES)))
        if not any(first_rows):
            msg = (
                f"{file.label} is not a table: it is neither Parquet, nor JSON Lines, "
                "nor CSV. Check the path, or save the table as JSON Lines."
            )
            raise ExportFormatError(msg, path=file.path)
        # Lines may omit empty values, so collect the columns of several lines.
        columns = {name for cells in first_rows for name in cells or ()}
        chosen = _choose_columns(file, columns | {*user_columns.values()}, user_columns)
        for cells in chain(first_rows, map(_parse_line, lines)):
            if cells is None or isinstance(cells.get(chosen["text"]), (dict, list)):
                yield None
            else:
                yield {
                    field: _cell_to_text(cells.get(name))
                    for field, name in chosen.items()
                }


def _parse_line(line: bytes) -> dict[str, Any] | None:
    try:
        return decode_json(
            line.removeprefix(_BYTE_ORDER_MARK), _OBJECT_DECODER, "a line"
        )
    except (*DECODE_ERRORS, ExportFormatError):
        return None


def _cell_to_text(value: Any) -> str | None:
    """Convert a cell to text; `None` for a list or an object."""
    if value is None or isinstance(value, (str, dict, list)):
        return value if isinstance(value, str) else None
    if isinstance(value, bool):
        return str(value).lower()  # As in JSON.
    # If a column of ids has gaps, 7 is stored as `7.0`.
    return str(value).removesuffix(".0")


def _decode_as_legacy(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    if error.encoding != "utf-8":
        return "\ufffd", error.end
    data = error.object[error.start : error.end]
    return data.decode(_LEGACY_ENCODING, "replace"), error.end


codecs.register_error(_LEGACY_FALLBACK, _decode_as_legacy)


def _detect_encoding(head: bytes) -> str:
    return "utf-16" if head.startswith(_UTF_16_MARKS) else "utf-8-sig"


def _detect_delimiter(line: str) -> str:
    # Column names rarely contain delimiters, so choose the most frequent one.
    return max(_DELIMITERS, key=re.sub(r'"[^"]*"?', "", line).count)


def _read_header(head: bytes) -> list[str]:
    """Read the column names in the first line of a CSV file."""
    line = head.decode(_detect_encoding(head), _LEGACY_FALLBACK).partition("\n")[0]
    with suppress(csv.Error):
        rows = csv.reader(
            io.StringIO(line, newline=""), delimiter=_detect_delimiter(line)
        )
        return [name.strip() for name in next(rows, [])]
    return []


def _read_csv_cells(
    file: ExportFile, head: bytes, user_columns: Mapping[str, str]
) -> Iterator[_Cells | None]:
    names = _read_header(head)
    chosen = _choose_columns(file, names, user_columns, show_columns=False)
    indexes = {field: names.index(name) for field, name in chosen.items()}
    with (
        file.open() as source,
        io.TextIOWrapper(
            source, _detect_encoding(head), _LEGACY_FALLBACK, newline=""
        ) as text,
    ):
        rows = csv.reader(
            text, delimiter=_detect_delimiter(text.readline()), strict=True
        )
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
            # Excel pads rows with empty cells.
            if len(row) > indexes["text"] and not any(row[len(names) :]):
                yield {
                    field: row[index]
                    for field, index in indexes.items()
                    if index < len(row)
                }
            elif row:
                yield None


def _read_parquet_cells(
    file: ExportFile, copy: Path, user_columns: Mapping[str, str], database: Any
) -> Iterator[_Cells | None]:
    source = "read_parquet(?, hive_partitioning = false)"
    with closing(database.cursor()) as cursor:
        try:
            cursor.execute(f"DESCRIBE SELECT * FROM {source}", [str(copy)])
            types = {name: kind for name, kind, *_ in cursor.fetchall()}
            scalar_names = [n for n, kind in types.items() if not _NESTED.search(kind)]
            chosen = _choose_columns(file, scalar_names, user_columns)
            cells = [_build_cell_sql(name, types[name]) for name in chosen.values()]
            sizes = " + ".join(f"coalesce(sum(strlen({cell})), 0)" for cell in cells)
            cursor.execute(f"SELECT {sizes} FROM {source}", [str(copy)])
            if cursor.fetchone()[0] > max(_MAX_BYTES, _MAX_RATIO * file.size):
                msg = (
                    f"{file.label} unpacks to far more than a chat log. If it is a "
                    "chat log, save it as JSON Lines."
                )
                raise ExportFormatError(msg, path=file.path)
            cursor.execute(f"SELECT {', '.join(cells)} FROM {source}", [str(copy)])
            for row in _fetch_rows(cursor):
                yield dict(zip(chosen, row, strict=True))
        except _import_duckdb().Error:
            # DuckDB's errors quote the file.
            msg = (
                f"{file.label} is a damaged or unsupported Parquet file. Save the "
                "table again, or as JSON Lines."
            )
            raise ExportFormatError(msg, path=file.path) from None


def _build_cell_sql(name: str, kind: str) -> str:
    """Return the SQL that converts a cell to text."""
    column = '"' + name.replace('"', '""') + '"'
    if kind in {"DOUBLE", "FLOAT"}:
        # If a column of integers has gaps, it is stored as floats, with NaN in gaps.
        text = f"CAST(nullif({column}, 'nan') AS VARCHAR)"
        return f"regexp_replace({text}, '\\.0$', '')"
    return f"CAST({column} AS VARCHAR)"


def _has_columns(columns: Collection[str], user_columns: Mapping[str, str]) -> bool:
    """Return whether a table has the columns that messages need."""
    if not {*user_columns.values()} <= {*columns}:
        return False
    chosen = _guess_columns(columns, user_columns)
    return "text" in chosen and ("conversation" in chosen or "sender" in chosen)


def _choose_columns(
    file: ExportFile,
    columns: Collection[str],
    user_columns: Mapping[str, str],
    *,
    show_columns: bool = True,
) -> dict[str, str]:
    """Return the column of each field, chosen by the user or by name.

    Errors only list the columns if `show_columns` is true, since the first line of a
    CSV file may be a message instead of a header.
    """
    missing = sorted(set(user_columns.values()) - set(columns))
    chosen = _guess_columns(columns, user_columns)
    if not missing and "text" in chosen:
        return chosen
    listed = f"; it has {sorted(columns)}" if show_columns else " in its first line"
    if missing:
        msg = f"{file.label} has no column {missing}{listed}. Check the option columns."
    else:
        msg = (
            f"{file.label} has no recognized text column{listed}. Rename the column to "
            "text, or set columns={'text': ...}."
        )
    raise ExportFormatError(msg, path=file.path)


def _guess_columns(
    columns: Collection[str], user_columns: Mapping[str, str]
) -> dict[str, str]:
    """Choose columns by name; `Ticket ID` matches `ticket_id`."""
    by_normalized_name = {name: name for name in columns}
    for name in columns:
        by_normalized_name.setdefault("_".join(name.casefold().split()), name)
    chosen = dict(user_columns)
    for field, names in COLUMNS.items():
        candidates = (by_normalized_name.get(name) for name in names)
        column = next((c for c in candidates if c and c not in chosen.values()), None)
        if field not in chosen and column:
            chosen[field] = column
    return chosen


def _read_conversation(
    conversation_id: str | None,
    rows: Iterable[_Row],
    tables: Sequence[_Table],
    clock: LocalClock,
    files: ExportFiles,
) -> Conversation:
    """Convert the rows of a conversation; rows without a conversation are orphans."""
    messages: list[Message] = []
    text_by_id: dict[str, str] = {}
    title = owner = None
    for file, number, _, encoded in rows:
        files.check_count(len(messages))
        if encoded is None:
            messages.append(Message(None, "", "", kind="unreadable"))
            continue
        cells = _CELLS_DECODER.decode(encoded)
        stripped = {field: (cell or "").strip() for field, cell in cells.items()}
        role, reply = stripped.get("role"), stripped.get("reply_to")
        # Some tables only have roles, such as customer and agent.
        sender = stripped.get("sender") or role or ""
        if role == _OWNER_ROLE:
            owner = owner or sender
        title = title or stripped.get("title")
        text, message_id = cells.get("text") or "", stripped.get("id", "")
        if text_by_id.setdefault(message_id, text) != text:
            message_id = ""  # The column is not unique.
        extra: dict[str, Any] = {"role": role} if role else {}
        if reply:
            extra["reply_to"] = {"id": reply}
        time = None
        if time_text := stripped.get("time"):
            table = tables[file]
            time = parse_time(time_text, clock, table.order)
            if time is None:
                table.invalid_times += 1
                table.first_invalid = min(number, table.first_invalid or number)
        kind = "text" if conversation_id else "orphan"
        messages.append(Message(time, sender, text, kind, message_id, extra))
    return Conversation(
        id=conversation_id or "",
        messages=messages,
        title=title or None,
        owner=owner,
        owner_found_by=owner and "role",
    )


def _warn_about_invalid_times(tables: Sequence[_Table], files: ExportFiles) -> None:
    if not tables:
        return
    total = plural(sum(table.invalid_times for table in tables), "time")
    files.warn(
        f"{total} cannot be parsed, first in row {tables[0].first_invalid:,} of "
        f"{tables[0].file.label}: these messages have no time and come first. Write "
        "times as 2024-05-31 14:30, or with a zone as 2024-05-31T14:30+02:00."
    )
