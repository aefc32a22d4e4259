"""The cells of a table's rows: which columns there are, and what stands in them."""

import codecs
import csv
import io
import re
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, TypeAlias

import msgspec

from langchain_chatexports.chat_loaders.files import ExportFile
from langchain_chatexports.chat_loaders.json_data import NOT_DECODED, decode_json
from langchain_chatexports.exceptions import (
    ChatExportError,
    ExportFormatError,
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
"""What a message can have, and the names under which its column is looked for."""

CSV_SUFFIXES = (".csv", ".tsv")
PARQUET_MAGIC = b"PAR1"

Cells: TypeAlias = dict[str, str | None]
"""The cells of a row by what they hold; numbers as they are written."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BYTE_ORDER_MARKS = {
    _BYTE_ORDER_MARK: "utf-8-sig",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
_HEAD_BYTES = 1 << 16
_MAX_LINE_BYTES = 1 << 24
_LINES_FOR_COLUMNS = 100
# Excel writes semicolons where the comma stands in numbers.
_DELIMITERS = ",;\t|"
# Excel obeys such a first line, and some programs write it for that.
_SEPARATOR_LINE = re.compile(r"\s*\"?sep=(?P<delimiter>[^\r\n])\"?\r?\n?")
_LONG_NAME = 60
_VALUE = re.compile(r"[\d\s.,:/+-]+(?:[AP]M|Z)?|\d{4}-\d\d-\d\d.*")
_ROWS_BELOW = 20
_NO_QUOTES: Final = csv.QUOTE_NONE
_LEGACY = "cp1252"  # What Excel saves as "CSV" in Western Europe and America.
_OR_LEGACY = "langchain_chatexports.or_cp1252"
_END = ""  # Lines have an end of their own, but for the last one, which is not empty.
_NESTED = re.compile(r"\]$|^(?:BLOB|STRUCT|MAP|UNION|VARIANT)")
_PARQUET = "read_parquet(?, hive_partitioning = false)"
_PATTERN = re.compile(r"[*?\[{]")
_MEMORY = "200MB"
# Parquet packs logs 5 to 20 times smaller, and a value a billion times into 1 kB:
# more than these, and more for its size than any log, is refused.
_MAX_ROWS, _MIN_BYTES_PER_ROW = 100_000, 8
_MAX_BYTES, _MAX_RATIO = 1 << 26, 50
_ROWS_A_BATCH = 256
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _as_legacy(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    data = error.object[error.start : error.end]
    return data.decode(_LEGACY, "replace"), error.end


codecs.register_error(_OR_LEGACY, _as_legacy)


def checked_columns(columns: Mapping[str, str] | None) -> dict[str, str]:
    """Return the columns that the user named, by what they hold.

    Raises:
        ValueError: If a message has no such part.
    """
    given = dict(columns or {})
    if unknown := sorted(given.keys() - COLUMNS.keys()):
        msg = f"columns has {unknown}; a message can have {list(COLUMNS)}."
        raise ValueError(msg)
    return given


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
        cells = _parsed(line) if newline else None
        is_table = cells is not None and _has_columns(
            [name for name, raw in cells.items() if bytes(raw)[:1] not in b"{[n"],
            columns,
        )
    else:
        form = csv_form(head) if b"\n" in head or b"\r" in head else None
        is_table = form is not None and _has_columns(form.header, columns)
        is_table = is_table or path.suffix.lower() in CSV_SUFFIXES
        # DiscordChatExporter's CSV lacks ids and replies, which its JSON has.
        is_table = is_table and not start.startswith(b"AuthorID,")
    if is_table:
        import_duckdb()
    return is_table


def _has_columns(there: Collection[str], given: Mapping[str, str] | None) -> bool:
    if not {*(given or {}).values()} <= {*there}:
        return False
    found = _guessed_columns(there, given or {})
    return "text" in found and ("conversation" in found or "sender" in found)


def import_duckdb() -> Any:
    """Return DuckDB.

    Raises:
        MissingExtraError: If it is not installed.
    """
    try:
        import duckdb
    except ImportError as error:
        feature = "Reading tables"
        raise MissingExtraError(feature, "table") from error
    return duckdb


def read_cells(
    file: ExportFile, given: Mapping[str, str], database: "Database"
) -> Iterator[Cells | None]:
    """Yield the rows of a file; `None` for one that cannot be read.

    Args:
        file: The file.
        given: The columns that the user named.
        database: Reads Parquet.

    Raises:
        ChatExportError: If the file is no table, or lacks a column.
    """
    head = file.read(_HEAD_BYTES)
    if head.startswith(PARQUET_MAGIC):
        yield from _parquet_cells(file, given, database)
        return
    is_csv = file.name.lower().endswith(CSV_SUFFIXES)
    form = csv_form(head)
    if not head.removeprefix(_BYTE_ORDER_MARK).lstrip().startswith(b"{") and (
        is_csv or (form and _has_columns(form.header, given))
    ):
        if form:
            yield from _csv_cells(file, form, given)
        return
    yield from _json_cells(file, given)


def _chosen_columns(
    file: ExportFile,
    there: Collection[str],
    given: Mapping[str, str],
    *,
    has_names: bool = True,
) -> dict[str, str]:
    """Return the column by what it holds.

    Args:
        file: The table.
        there: The columns that it has.
        given: The columns that the user named; the others are looked for by `COLUMNS`.
        has_names: Whether these are names, and not what a message holds.

    Raises:
        ExportFormatError: If a column is missing, or there twice.
    """
    missing = sorted(set(given.values()) - set(there))
    found = _guessed_columns(there, given)
    if not has_names and (missing or "text" not in found):
        msg = (
            f"{file.label} has no line with names of columns. Add one at its "
            "beginning, such as conversation_id,sender,time,text."
        )
    elif missing:
        msg = f"{file.label} has no column {missing}; it has {sorted(there)}."
    elif "text" not in found:
        msg = (
            f"{file.label} has no column that is known to hold text; it has "
            f"{sorted(there)}. Name it: columns={{'text': ...}}, or --column text=NAME."
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


def _parquet_cells(
    file: ExportFile, given: Mapping[str, str], database: "Database"
) -> Iterator[Cells | None]:
    duckdb = import_duckdb()
    with database.readable(file) as path, closing(database.cursor()) as cursor:
        try:
            cursor.execute(f"DESCRIBE SELECT * FROM {_PARQUET}", [path])
            types = {name: kind for name, kind, *_ in cursor.fetchall()}
            chosen = _chosen_columns(file, types, given)
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


def is_parquet(file: ExportFile) -> bool:
    """Return whether a file is Parquet, by its first bytes."""
    with suppress(ChatExportError):
        return file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC
    return False


def parquet_length(file: ExportFile, database: "Database") -> int:
    """Return how many rows a Parquet file says that it has; 0 if it is damaged."""
    sql = "SELECT sum(num_rows) FROM parquet_file_metadata(?)"
    with database.readable(file) as path, closing(database.cursor()) as cursor:
        try:
            ((count,),) = cursor.execute(sql, [path]).fetchall()
        except import_duckdb().Error:
            return 0
    return int(count or 0)


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
        chosen = _chosen_columns(file, there | {*given.values()}, given)
        for cells in chain(first, map(_parsed, lines)):
            yield None if cells is None else _json_texts(cells, chosen)


def _lines(source: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines; of one that is far too long, an empty JSON list."""
    is_long = False
    at_start = True
    while line := source.readline(_MAX_LINE_BYTES):
        was_long, is_long = (
            is_long,
            not line.endswith(b"\n") and len(line) == _MAX_LINE_BYTES,
        )
        if at_start:
            line = line.removeprefix(_BYTE_ORDER_MARK)
            at_start = False
        if not was_long:
            yield b"[]" if is_long else line


def _parsed(line: bytes) -> dict[str, msgspec.Raw] | None:
    if not line.lstrip().startswith(b"{"):
        return None
    try:
        return decode_json(line, _OBJECT, "a line")
    except (*NOT_DECODED, ExportFormatError):
        return None


def _json_texts(
    cells: dict[str, msgspec.Raw], chosen: Mapping[str, str]
) -> Cells | None:
    texts: Cells = dict.fromkeys(chosen)
    for part, name in chosen.items():
        raw = bytes(cells.get(name, b"null"))
        if raw.startswith(b'"'):
            try:
                texts[part] = msgspec.json.decode(raw, type=str)
            except NOT_DECODED:
                return None
        elif raw.startswith((b"{", b"[")):
            if part == "text":
                return None
        elif raw != b"null":
            # A number as it is written; a column of ids with gaps has `7.0`.
            texts[part] = raw.decode("ascii", "replace").removesuffix(".0")
    return texts


class CsvForm(NamedTuple):
    """How a CSV file is written."""

    encoding: str
    """Its encoding; where that is UTF-8, other bytes are Windows-1252."""

    delimiter: str
    header: list[str]
    """The names of its columns."""

    before_header: int
    """How many rows stand before these."""

    has_names: bool
    """Whether these are likely names, and not a message: none is a number or a time,
    and none stands below itself again."""

    @property
    def errors(self) -> str:
        """The handler of bytes that are not of the encoding."""
        return _OR_LEGACY if self.encoding.startswith("utf-8") else "replace"


def csv_form(head: bytes) -> CsvForm | None:
    """Return how a CSV file is written, by its first bytes; `None` without a row."""
    form = CsvForm(_encoding(head), ",", [], 0, has_names=True)
    text = head.decode(form.encoding, form.errors)
    separator = _SEPARATOR_LINE.match(text)
    if separator:
        delimiter = separator["delimiter"]
        text = text[separator.end() :]
    else:
        # Names of columns hold no delimiter: the most frequent one is it.
        first = text.lstrip().partition("\n")[0]
        delimiter = max(_DELIMITERS, key=re.sub(r'"[^"]*"?', "", first).count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header: list[str] = []
    before = -1 + bool(separator)
    has_names = True
    with suppress(csv.Error, StopIteration):
        while not any(header):
            header = [name.strip() for name in next(rows)]
            before += 1
        has_names = not any(map(_is_value, header))
        for row in islice(rows, _ROWS_BELOW):
            pairs = zip(header, map(str.strip, row), strict=False)
            has_names &= not any(above == below != "" for above, below in pairs)
    if not any(header):
        return None
    return CsvForm(form.encoding, delimiter, header, before, has_names)


def _encoding(head: bytes) -> str:
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if head.startswith(mark):
            return encoding
    if head[1:2] == b"\0":
        return "utf-16-le"
    return "utf-16-be" if head[:1] == b"\0" else "utf-8"


def _is_value(name: str) -> bool:
    return len(name) > _LONG_NAME or bool(_VALUE.fullmatch(name))


def _csv_cells(
    file: ExportFile, form: CsvForm, given: Mapping[str, str]
) -> Iterator[Cells | None]:
    """Yield rows; `None` for one with more cells than the header, or without a text.

    Python reads CSV: DuckDB drops cells beyond the header, joins the rows behind a
    quote that nothing closes, and cuts a cell with quotes in it, all without a word.
    """
    names = form.header
    chosen = _chosen_columns(file, names, given, has_names=form.has_names)
    places = {part: names.index(name) for part, name in chosen.items()}
    needed = max(places[part] for part in places.keys() & {"conversation", "text"})
    with (
        file.open() as source,
        io.TextIOWrapper(
            source, encoding=form.encoding, errors=form.errors, newline=""
        ) as text,
    ):
        rows = _csv_rows(text, form.delimiter)
        for row in islice(rows, form.before_header + 1, None):
            if row == []:
                continue
            if row is None or len(row) <= needed or any(row[len(names) :]):
                yield None
            else:
                yield {part: row[at] for part, at in places.items() if at < len(row)}


def _csv_rows(text: Iterable[str], delimiter: str) -> Iterator[list[str] | None]:
    """Yield the rows; `None` for one that cannot be read.

    A quote that nothing closes stands for itself: the lines behind it are rows.
    """
    lines: list[str] = []
    reader = csv.reader(_noted(text, lines), delimiter=delimiter)
    while True:
        lines.clear()
        try:
            row: list[str] | None = next(reader)
        except StopIteration:
            return
        except csv.Error:
            # A cell that is too long, as behind a quote that is not closed for long.
            yield None
            continue
        if lines[-1] == _END:
            first, *others, _ = lines
            row = None
            with suppress(csv.Error):
                row = next(csv.reader([first], delimiter=delimiter, quoting=_NO_QUOTES))
            reader = csv.reader(_noted(others, lines), delimiter=delimiter)
        yield row


def _noted(text: Iterable[str], lines: list[str]) -> Iterator[str]:
    for line in text:
        lines.append(line)
        yield line
    lines.append(_END)


class Database:
    """A database of DuckDB that can read some files, and write in a private folder."""

    def __init__(self, folder: Path, files: Iterable[ExportFile]) -> None:
        """Open it.

        Raises:
            MissingExtraError: If DuckDB is not installed.
        """
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
