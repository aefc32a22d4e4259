"""The cells of a table's rows, in CSV, JSON lines or Parquet.

DuckDB reads Parquet, and its database orders the rows of any table. Python reads CSV:
DuckDB drops cells beyond the header, joins the rows behind a quote that nothing closes,
and cuts a cell with quotes in it, all without a word.
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
"""What a message can have, and the names under which its column is looked for."""

Cells: TypeAlias = dict[str, str | None]
"""The cells of a row by what they hold; numbers as they are written."""

CSV_SUFFIXES = (".csv", ".tsv")

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_HEAD_BYTES = 1 << 16
_MAX_LINE_BYTES = 1 << 24
_LINES_FOR_COLUMNS = 100
# Excel writes semicolons where the comma stands in numbers.
_DELIMITERS = ",;\t|"
# Excel obeys such a first line, and some programs write it for that.
_SEPARATOR_LINE = re.compile(r"\s*\"?sep=(?P<delimiter>[^\r\n])\"?\r?\n?")
_LEGACY = "cp1252"  # What Excel saves as "CSV" in Western Europe and America.
_OR_LEGACY = "langchain_chatexports.or_cp1252"
_OBJECT = msgspec.json.Decoder(dict[str, Any])
PARQUET_MAGIC = b"PAR1"

_NESTED = re.compile(r"\]$|^(?:BLOB|STRUCT|MAP|UNION|VARIANT)")
_PARQUET = "read_parquet(?, hive_partitioning = false)"
_PATTERN = re.compile(r"[*?\[{]")
_MEMORY = "200MB"
# Parquet packs logs 5 to 20 times smaller, and a value a billion times into 1 kB:
# more than these, and more for its size than any log, is refused.
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
    """A database of DuckDB that can read some files, and write in a private folder."""

    def __init__(self, folder: Path, files: Iterable[ExportFile]) -> None:
        """Open it."""
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
        """Return a connection of its own to the database."""
        return self._connection.cursor()

    def run(self, sql: str, values: Sequence[object] = ()) -> None:
        """Run a statement."""
        self._connection.execute(sql, values)

    def fetch(self, sql: str) -> Iterator[Any]:
        """Yield the rows of a query, some at a time."""
        with closing(self.cursor()) as cursor:
            cursor.execute(sql)
            while rows := cursor.fetchmany(_ROWS_A_BATCH):
                yield from rows

    def close(self) -> None:
        """Close it."""
        self._connection.close()

    @contextmanager
    def readable(self, file: ExportFile) -> Iterator[str]:
        """Provide a path at which DuckDB can open a file."""
        path = str(file.path.absolute())
        if file.path.name == file.name and not _PATTERN.search(path):
            yield path
            return
        # It is in a zip, or DuckDB would take its name for a pattern.
        copy = self._folder / "copy.parquet"
        with file.open() as source, copy.open("wb") as target:
            shutil.copyfileobj(source, target)
        yield str(copy)
        copy.unlink()


def matches_head(
    path: Path, head: bytes, columns: Mapping[str, str] | None = None
) -> bool:
    """Return whether a file's first bytes are those of a table of messages.

    That is Parquet, or a first line (a JSON object, or the header of a CSV file) with
    columns for the text, and for conversation or sender; also what is named `.csv`.

    Raises:
        MissingExtraError: If it is one, and the extra `table` is not installed.
    """
    start = head.removeprefix(_BYTE_ORDER_MARK).lstrip()
    if head.startswith(PARQUET_MAGIC):
        is_table = True
    elif start.startswith(b"{"):
        line, newline, _ = start.partition(b"\n")
        cells = (_parsed(line) if newline else None) or {}
        there = [name for name, value in cells.items() if _text(value) is not None]
        is_table = has_columns(there, columns or {})
    else:
        form = csv_form(head) if b"\n" in head or b"\r" in head else None
        is_table = form is not None and has_columns(form.header, columns or {})
        is_table = is_table or path.suffix.lower() in CSV_SUFFIXES
        # DiscordChatExporter's CSV lacks ids and replies, which its JSON has.
        is_table = is_table and not start.startswith(b"AuthorID,")
    if is_table:
        import_duckdb()
    return is_table


def read_cells(
    file: ExportFile, given: Mapping[str, str], database: Database
) -> Iterator[Cells | None]:
    """Yield the rows of a file; `None` for one that cannot be read.

    `given` are the columns that the user named. If the file is not a table, or lacks a
    column, a `ChatExportError` is raised.
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
        # A line may lack what is empty: the first ones tell the columns together.
        there = {name for cells in readable for name in cells}
        chosen = chosen_columns(file, there | {*given.values()}, given)
        for cells in chain(first, map(_parsed, lines)):
            yield None if cells is None else _json_texts(cells, chosen)


def _lines(source: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines; of one that is far too long, an empty JSON list."""
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
        return str(value).lower()  # As JSON has it.
    # A column of ids with gaps has `7.0`.
    return str(value).removesuffix(".0")


def _json_texts(cells: dict[str, Any], chosen: Mapping[str, str]) -> Cells | None:
    if isinstance(cells.get(chosen["text"]), (dict, list)):
        return None
    try:
        return {part: _text(cells.get(name)) for part, name in chosen.items()}
    except ValueError:  # A number with thousands of digits.
        return None


class CsvForm(NamedTuple):
    """How a CSV file is written."""

    encoding: str
    """Its encoding; where that is UTF-8, other bytes are Windows-1252."""

    delimiter: str
    header: list[str]
    """The names of its columns."""

    before_header: int
    """How many rows stand before these."""

    @property
    def errors(self) -> str:
        """The handler of bytes that are not of the encoding."""
        return _OR_LEGACY if self.encoding == "utf-8-sig" else "replace"


def csv_form(head: bytes) -> CsvForm | None:
    """Return how a CSV file is written, by its first bytes; `None` without a row."""
    encoding = "utf-16" if head.startswith(_UTF_16_MARKS) else "utf-8-sig"
    form = CsvForm(encoding, ",", [], 0)
    text = head.decode(encoding, form.errors)
    separator = _SEPARATOR_LINE.match(text)
    if separator:
        delimiter = separator["delimiter"]
        text = text[separator.end() :]
    else:
        # Names of columns hold no delimiter: the most frequent one is it.
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
    """Yield rows; `None` for one with more cells than the header, or without a text."""
    names = form.header
    chosen = chosen_columns(file, names, given, are_names=False)
    places = {part: names.index(name) for part, name in chosen.items()}
    needed = max(places[part] for part in places.keys() & {"conversation", "text"})
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
                yield {part: row[at] for part, at in places.items() if at < len(row)}
            elif row != []:
                yield None


def _csv_rows(text: TextIO, delimiter: str) -> Iterator[list[str] | None]:
    """Yield rows; a quote that nothing closes costs its line: `None`."""
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
        except csv.Error:  # Or a cell that is too long.
            again += taken[:0:-1]
            rows = csv.reader(lines(), delimiter=delimiter, strict=True)
            yield None
        else:
            yield row


def checked_columns(columns: Mapping[str, str] | None) -> dict[str, str]:
    """Return the columns that the user named; a `ValueError` names unknown parts."""
    given = dict(columns or {})
    if unknown := sorted(given.keys() - COLUMNS.keys()):
        msg = f"columns has {unknown}; a message can have {list(COLUMNS)}."
        raise ValueError(msg)
    return given


def has_columns(there: Collection[str], given: Mapping[str, str]) -> bool:
    """Return whether columns are those of a table of messages."""
    if not {*given.values()} <= {*there}:
        return False
    found = _guessed_columns(there, given)
    return "text" in found and ("conversation" in found or "sender" in found)


def chosen_columns(
    file: ExportFile,
    there: Collection[str],
    given: Mapping[str, str],
    *,
    are_names: bool = True,
) -> dict[str, str]:
    """Return the column by what it holds.

    The user named the columns `given`; the others are looked for by `COLUMNS`. Unless
    the columns that are there `are_names` for sure, no error shows them: the first line
    of a CSV file may be a message.
    """
    missing = sorted(set(given.values()) - set(there))
    found = _guessed_columns(there, given)
    listed = f"; it has {sorted(there)}" if are_names else " in its first line"
    if missing:
        msg = f"{file.label} has no column {missing}{listed}."
    elif "text" not in found:
        msg = (
            f"{file.label} has no column that is known to hold text{listed}. Rename it "
            "to text, or name it: columns={'text': ...}."
        )
    elif twice := [name for name in found.values() if [*there].count(name) > 1]:
        msg = f"{file.label} has the column {twice[0]!r} twice. Rename the wrong one."
    else:
        return found
    raise ExportFormatError(msg, path=file.path)


def _guessed_columns(
    there: Collection[str], given: Mapping[str, str]
) -> dict[str, str]:
    """Return the columns that are known; `Ticket ID` is `ticket_id`, too."""
    plain = {name: name for name in there}
    for name in there:
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
    """Yield the rows of a Parquet file; `None` for one whose text is none."""
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
                    f"{file.label} unpacks to far more than a log of chats does. If it "
                    "is real, write it as JSON lines."
                )
                raise ExportFormatError(msg, path=file.path)
            cursor.execute(f"SELECT {', '.join(sql)} FROM {_PARQUET}", [path])
            while rows := cursor.fetchmany(_ROWS_A_BATCH):
                for _, *row in rows:
                    yield dict(zip(chosen, row, strict=True)) if is_text else None
        except duckdb.Error:
            # DuckDB's own errors quote the file.
            msg = f"{file.label} is a damaged Parquet file, or one of another kind."
            raise ExportFormatError(msg, path=file.path) from None


def _cell_sql(name: str, kind: str) -> str:
    """Return the SQL of a cell as a text."""
    column = '"' + name.replace('"', '""') + '"'
    if kind in {"DOUBLE", "FLOAT"}:
        # A column of whole numbers with gaps; NaN is such a gap.
        whole = f"{column} = trunc({column}) AND abs({column}) < 1e18"
        return (
            f"CASE WHEN {whole} THEN CAST(CAST({column} AS BIGINT) AS VARCHAR) "
            f"WHEN isfinite({column}) THEN CAST({column} AS VARCHAR) END"
        )
    return f"CAST({column} AS VARCHAR)"
