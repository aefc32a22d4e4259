"""The cells of a table's rows, in CSV, JSON lines or Parquet."""

import codecs
import csv
import io
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from typing import IO, NamedTuple, TextIO

import msgspec

from langchain_chatexports.chat_loaders.files import ExportFile
from langchain_chatexports.chat_loaders.json_data import NOT_DECODED, decode_json
from langchain_chatexports.chat_loaders.table.columns import (
    Cells,
    chosen_columns,
    has_columns,
)
from langchain_chatexports.chat_loaders.table.parquet import (
    PARQUET_MAGIC,
    Database,
    import_duckdb,
    parquet_cells,
)
from langchain_chatexports.exceptions import ExportFormatError

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
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _as_legacy(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    data = error.object[error.start : error.end]
    return data.decode(_LEGACY, "replace"), error.end


codecs.register_error(_OR_LEGACY, _as_legacy)


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
        is_table = cells is not None and has_columns(
            [name for name, raw in cells.items() if bytes(raw)[:1] not in b"{[n"],
            columns or {},
        )
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
    """Yield rows; `None` for one with more cells than the header, or without a text.

    Python reads CSV: DuckDB drops cells beyond the header, joins the rows behind a
    quote that nothing closes, and cuts a cell with quotes in it, all without a word.
    """
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
