"""Read the cells of a table in CSV, JSON lines or Parquet.

DuckDB reads Parquet, and sorts the rows of any table. Python reads CSV, since DuckDB
silently drops cells beyond the header, joins the rows after an unclosed quote, and cuts
cells that contain quotes.
"""

import codecs
import csv
import io
import re
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, NamedTuple, TextIO, TypeAlias

import msgspec

from langchain_chatexports.chat_loaders.files import ExportFile
from langchain_chatexports.chat_loaders.json_data import NOT_DECODED, decode_json
from langchain_chatexports.exceptions import ExportFormatError, MissingExtraError

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

Cells: TypeAlias = dict[str, str | None]
"""The cells of a row by part, with numbers as text."""

CSV_SUFFIXES = (".csv", ".tsv")

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_HEAD_BYTES = 1 << 16
_MAX_LINE_BYTES = 1 << 24
_LINES_FOR_COLUMNS = 100
# Excel writes semicolons in countries with decimal commas.
_DELIMITERS = ",;\t|"
# Some programs write this first line for Excel.
_SEPARATOR_LINE = re.compile(r"\s*\"?sep=(?P<delimiter>[^\r\n])\"?\r?\n?")
_LEGACY = "cp1252"  # Excel's "CSV" in Western Europe and America.
_OR_LEGACY = "langchain_chatexports.or_cp1252"
_OBJECT = msgspec.json.Decoder(dict[str, Any])
PARQUET_MAGIC = b"PAR1"

_NESTED = re.compile(r"\]$|^(?:BLOB|STRUCT|MAP|UNION|VARIANT)")
_PARQUET = "read_parquet(?, hive_partitioning = false)"
_PATTERN = re.compile(r"[*?\[{]")
_MEMORY = "200MB"
# Parquet compresses logs by a factor of 5 to 20, but can pack a billion equal values
# into 1 kB. Files over these limits, in total or relative to their size, are refused.
_MAX_ROWS, _MIN_BYTES_PER_ROW = 100_000, 8
_MAX_BYTES, _MAX_RATIO = 1 << 26, 50
_ROWS_A_BATCH = 256


def _as_legacy(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    data = error.object[error.start : error.end]
    return data.decode(_LEGACY, "replace"), error.end


codecs.register_error(_OR_LEGACY, _as_legacy)


def import_duckdb() -> Any:
    """Return DuckDB; without it, a `MissingExtraError` is raised."""
    try:
        import duckdb
    except ImportError as error:
        feature = "Reading tables"
        raise MissingExtraError(feature, "table") from error
    return duckdb


class Database:
    """A DuckDB database limited to some files and a private folder."""

    def __init__(self, folder: Path, files: Iterable[ExportFile]) -> None:
        self._folder = folder
        config = {
            "allow_community_extensions": "false",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "memory_limit": _MEMORY,
            "temp_directory": str(folder),
            "threads": "1",
        }
        self._connection = import_duckdb().connect(":memory:", config=config)
        paths = [str(file.path.absolute()) for file in files]
        self.run("SET TimeZone = 'UTC'")
        self.run("SET allowed_paths = ?", [paths])
        self.run("SET allowed_directories = ?", [[str(folder)]])
        self.run("SET enable_external_access = false")
        self.run("SET lock_configuration = true")

    def cursor(self) -> Any:
        """Return a separate connection to the database."""
        return self._connection.cursor()

    def run(self, sql: str, values: Sequence[object] = ()) -> None:
        """Run a statement."""
        self._connection.execute(sql, values)

    def fetch(self, sql: str) -> Iterator[Any]:
        """Yield the rows of a query, fetched in batches."""
        with closing(self.cursor()) as cursor:
            cursor.execute(sql)
            while rows := cursor.fetchmany(_ROWS_A_BATCH):
                yield from rows

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    @contextmanager
    def readable(self, file: ExportFile) -> Iterator[str]:
        """Provide a path at which DuckDB can open a file."""
        path = str(file.path.absolute())
        if file.path.name == file.name and not _PATTERN.search(path):
            yield path
            return
        # It is in a zip, or DuckDB would read its name as a pattern.
        copy = self._folder / "copy.parquet"
        with file.open() as source, copy.open("wb") as target:
            shutil.copyfileobj(source, target)
        yield str(copy)
        copy.unlink()


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
    if head.startswith(PARQUET_MAGIC):
        is_table = True
    elif start.startswith(b"{"):
        line, newline, _ = start.partition(b"\n")
        cells = (_parsed(line) if newline else None) or {}
        names = [name for name, value in cells.items() if _text(value) is not None]
        is_table = has_columns(names, columns or {})
    else:
        form = csv_form(head) if b"\n" in head or b"\r" in head else None
        is_table = form is not None and has_columns(form.header, columns or {})
        is_table = is_table or path.suffix.lower() in CSV_SUFFIXES
        # DiscordChatExporter's CSV is refused, since it lacks the ids of its JSON.
        is_table = is_table and not start.startswith(b"AuthorID,")
    if is_table:
        import_duckdb()
    return is_table


def read_cells(
    file: ExportFile, given: Mapping[str, str], database: Database
) -> Iterator[Cells | None]:
    """Yield the rows of a file; `None` for an unreadable one.

    `given` are the user's columns. A file that is not a table, or lacks a column, is a
    `ChatExportError`.
    """
    head = file.read(_HEAD_BYTES)
    if head.startswith(PARQUET_MAGIC):
        return parquet_cells(file, given, database)
    form = csv_form(head)
    is_csv = file.name.lower().endswith(CSV_SUFFIXES)
    is_csv = is_csv or bool(form and has_columns(form.header, given))
    if not is_csv or head.removeprefix(_BYTE_ORDER_MARK).lstrip().startswith(b"{"):
        return _json_cells(file, given)
    return _csv_cells(file, form, given) if form else iter(())


def _json_cells(file: ExportFile, given: Mapping[str, str]) -> Iterator[Cells | None]:
    with file.open() as source:
        lines = (line for line in _lines(source) if line.strip())
        first = list(map(_parsed, islice(lines, _LINES_FOR_COLUMNS)))
        readable = [cells for cells in first if cells is not None]
        if first and not readable:
            msg = (
                f"{file.label} is not a table: neither Parquet nor a JSON object in "
                "each line, nor CSV. Check the path, or write the table as JSON lines."
            )
            raise ExportFormatError(msg, path=file.path)
        if not first:
            return
        # Lines may omit empty values, so collect the columns of the first ones.
        columns = {name for cells in readable for name in cells}
        chosen = chosen_columns(file, columns | {*given.values()}, given)
        for cells in chain(first, map(_parsed, lines)):
            yield None if cells is None else _json_texts(cells, chosen)


def _lines(source: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines, with `[]` for a line that is far too long."""
    line = source.readline(_MAX_LINE_BYTES).removeprefix(_BYTE_ORDER_MARK)
    while line:
        is_whole = line.endswith(b"\n") or len(line) < _MAX_LINE_BYTES
        yield line if is_whole else b"[]"
        while len(line) >= _MAX_LINE_BYTES and not line.endswith(b"\n"):
            line = source.readline(_MAX_LINE_BYTES)
        line = source.readline(_MAX_LINE_BYTES)


def _parsed(line: bytes) -> dict[str, Any] | None:
    if not line.lstrip().startswith(b"{"):
        return None
    try:
        return decode_json(line, _OBJECT, "a line")
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


def _json_texts(cells: dict[str, Any], chosen: Mapping[str, str]) -> Cells | None:
    if isinstance(cells.get(chosen["text"]), (dict, list)):
        return None
    try:
        return {part: _text(cells.get(name)) for part, name in chosen.items()}
    except ValueError:  # A number with thousands of digits.
        return None


class CsvForm(NamedTuple):
    """The form of a CSV file."""

    encoding: str
    """Its encoding; bytes that are not UTF-8 are read as Windows-1252."""

    delimiter: str
    header: list[str]
    """The names of the columns."""

    before_header: int
    """The number of rows before the header."""

    @property
    def errors(self) -> str:
        """The error handler for bytes that are invalid in the encoding."""
        return _OR_LEGACY if self.encoding == "utf-8-sig" else "replace"


def csv_form(head: bytes) -> CsvForm | None:
    """Return the form of a CSV file, by its first bytes; `None` if it has no row."""
    encoding = "utf-16" if head.startswith(_UTF_16_MARKS) else "utf-8-sig"
    form = CsvForm(encoding, ",", [], 0)
    text = head.decode(encoding, form.errors)
    separator = _SEPARATOR_LINE.match(text)
    if separator:
        delimiter = separator["delimiter"]
        text = text[separator.end() :]
    else:
        # Column names contain no delimiter, so choose the most frequent one.
        first = text.lstrip().partition("\n")[0]
        delimiter = max(_DELIMITERS, key=re.sub(r'"[^"]*"?', "", first).count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    with suppress(csv.Error):
        for before, row in enumerate(rows, bool(separator)):
            if any(header := [name.strip() for name in row]):
                return form._replace(
                    delimiter=delimiter, header=header, before_header=before
                )
    return None


def _csv_cells(
    file: ExportFile, form: CsvForm, given: Mapping[str, str]
) -> Iterator[Cells | None]:
    """Yield rows; `None` for a row without text, or with more cells than the header."""
    names = form.header
    chosen = chosen_columns(file, names, given, are_names=False)
    indexes = {part: names.index(name) for part, name in chosen.items()}
    needed = max(indexes[part] for part in indexes.keys() & {"conversation", "text"})
    with (
        file.open() as source,
        io.TextIOWrapper(
            source, encoding=form.encoding, errors=form.errors, newline=""
        ) as text,
    ):
        for row in islice(
            _csv_rows(text, form.delimiter), form.before_header + 1, None
        ):
            if row and len(row) > needed and not any(row[len(names) :]):
                yield {part: row[at] for part, at in indexes.items() if at < len(row)}
            elif row != []:
                yield None


def _csv_rows(text: TextIO, delimiter: str) -> Iterator[list[str] | None]:
    """Yield rows; `None` for a line with an unclosed quote."""
    taken: list[str] = []
    again: list[str] = []

    def lines() -> Iterator[str]:
        while line := again.pop() if again else text.readline():
            taken.append(line)
            yield line

    rows = csv.reader(lines(), delimiter=delimiter, strict=True)
    while True:
        taken.clear()
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error:  # An unclosed quote, or a cell that is too long.
            again += taken[:0:-1]
            rows = csv.reader(lines(), delimiter=delimiter, strict=True)
            yield None
        else:
            yield row


def checked_columns(columns: Mapping[str, str] | None) -> dict[str, str]:
    """Return the user's columns; unknown parts are a `ValueError`."""
    given = dict(columns or {})
    if unknown := sorted(given.keys() - COLUMNS.keys()):
        msg = f"columns has {unknown}; a message can have {list(COLUMNS)}."
        raise ValueError(msg)
    return given


def has_columns(columns: Collection[str], given: Mapping[str, str]) -> bool:
    """Return whether a table has the columns of messages."""
    if not {*given.values()} <= {*columns}:
        return False
    found = _guessed_columns(columns, given)
    return "text" in found and ("conversation" in found or "sender" in found)


def chosen_columns(
    file: ExportFile,
    columns: Collection[str],
    given: Mapping[str, str],
    *,
    are_names: bool = True,
) -> dict[str, str]:
    """Return the column of each part.

    `given` are the user's columns; the others are found by `COLUMNS`. Errors only show
    `columns` if they `are_names` for sure: the first line of a CSV file may be a
    message.
    """
    missing = sorted(set(given.values()) - set(columns))
    found = _guessed_columns(columns, given)
    listed = f"; it has {sorted(columns)}" if are_names else " in its first line"
    if missing:
        msg = f"{file.label} has no column {missing}{listed}."
    elif "text" not in found:
        msg = (
            f"{file.label} has no column that is known to hold text{listed}. Rename it "
            "to text, or name it: columns={'text': ...}."
        )
    elif twice := [name for name in found.values() if [*columns].count(name) > 1]:
        msg = f"{file.label} has the column {twice[0]!r} twice. Rename the wrong one."
    else:
        return found
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


def parquet_cells(
    file: ExportFile, given: Mapping[str, str], database: Database
) -> Iterator[Cells | None]:
    """Yield the rows of a Parquet file; `None` for rows with a nested text column."""
    duckdb = import_duckdb()
    with database.readable(file) as path, closing(database.cursor()) as cursor:
        try:
            cursor.execute(f"DESCRIBE SELECT * FROM {_PARQUET}", [path])
            types = {name: kind for name, kind, *_ in cursor.fetchall()}
            chosen = chosen_columns(file, types, given)
            is_text = not _NESTED.search(types[chosen["text"]])
            chosen = {p: n for p, n in chosen.items() if not _NESTED.search(types[n])}
            sql = ["''", *(_cell_sql(name, types[name]) for name in chosen.values())]
            sizes = " + ".join(f"coalesce(sum(strlen({cell})), 0)" for cell in sql)
            cursor.execute(f"SELECT count(*), {sizes} FROM {_PARQUET}", [path])
            count, size = cursor.fetchone()
            max_rows = max(_MAX_ROWS, file.size // _MIN_BYTES_PER_ROW)
            if count > max_rows or size > max(_MAX_BYTES, _MAX_RATIO * file.size):
                msg = (
                    f"{file.label} unpacks to far more than a log of chats. If it is "
                    "real, write it as JSON lines."
                )
                raise ExportFormatError(msg, path=file.path)
            cursor.execute(f"SELECT {', '.join(sql)} FROM {_PARQUET}", [path])
            while rows := cursor.fetchmany(_ROWS_A_BATCH):
                for _, *row in rows:
                    yield dict(zip(chosen, row, strict=True)) if is_text else None
        except duckdb.Error:
            # DuckDB's errors quote the file.
            msg = f"{file.label} is a damaged Parquet file, or one of another kind."
            raise ExportFormatError(msg, path=file.path) from None


def _cell_sql(name: str, kind: str) -> str:
    """Return the SQL that converts a cell to text."""
    column = '"' + name.replace('"', '""') + '"'
    if kind in {"DOUBLE", "FLOAT"}:
        # Whole numbers with gaps are stored as floats, with NaN for a gap.
        whole = f"{column} = trunc({column}) AND abs({column}) < 1e18"
        return (
            f"CASE WHEN {whole} THEN CAST(CAST({column} AS BIGINT) AS VARCHAR) "
            f"WHEN isfinite({column}) THEN CAST({column} AS VARCHAR) END"
        )
    return f"CAST({column} AS VARCHAR)"
