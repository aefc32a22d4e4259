"""Read the rows of JSON Lines, CSV and Parquet.

DuckDB reads Parquet. Python reads CSV, since DuckDB silently drops cells beyond the
header, and joins the rows after an unclosed quote.
"""

import codecs
import csv
import io
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, suppress
from itertools import chain, islice
from pathlib import Path
from typing import Any

import msgspec

from langchain_chatexports.chat_loaders.export_file import ExportFile
from langchain_chatexports.chat_loaders.json_data import DECODE_ERRORS, decode_json
from langchain_chatexports.chat_loaders.legacy_text import LEGACY_FALLBACK
from langchain_chatexports.chat_loaders.table.columns import choose_columns, has_columns
from langchain_chatexports.chat_loaders.table.database import (
    Cells,
    fetch_rows,
    import_duckdb,
)
from langchain_chatexports.exceptions import ExportFormatError

CSV_SUFFIXES = (".csv", ".tsv")
PARQUET_MAGIC = b"PAR1"
_UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_HEAD_BYTES = 1 << 16
_MAX_INSPECTED_LINES = 100
# Excel uses semicolons in locales with a decimal comma.
_DELIMITERS = ",;\t|"
_NESTED = re.compile(r"\]$|^(?:BLOB|STRUCT|MAP|UNION|VARIANT)")
# Parquet compresses logs by a factor of 5 to 20, but a billion equal values fit into
# 1 kB.
_MAX_BYTES, _MAX_RATIO = 1 << 25, 50

_OBJECT_DECODER = msgspec.json.Decoder(dict[str, Any])


def matches_head(
    path: Path, head: bytes, columns: Mapping[str, str] | None = None
) -> bool:
    """Return whether a file is a table of messages, by its name and first bytes.

    This holds for Parquet, for CSV suffixes, and if the first line (a JSON object, or a
    CSV header) has columns for the text, and for the conversation or the sender.

    Raises:
        MissingExtraError: If it is a table but the extra `table` is not installed.
    """
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()
    names: Collection[str] = ()
    is_table = head.startswith(PARQUET_MAGIC)
    if start.startswith(b"{"):
        line, newline, _ = start.partition(b"\n")
        cells = (_parse_line(line) if newline else None) or {}
        names = [
            name for name, value in cells.items() if _cell_to_text(value) is not None
        ]
    else:
        names = _read_header(head) if b"\n" in head or b"\r" in head else ()
        is_table = is_table or path.suffix.lower() in CSV_SUFFIXES
    if is_table := is_table or has_columns(names, columns or {}):
        import_duckdb()
    return is_table


def read_cells(
    file: ExportFile, user_columns: Mapping[str, str], database: Any, folder: Path
) -> Iterator[Cells | None]:
    """Yield the rows of a file, `None` for each unreadable one."""
    head = file.read(_HEAD_BYTES)
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if head.startswith(PARQUET_MAGIC):
        # Copy the file, as it may be in a zip, and DuckDB expands patterns in names.
        copy = folder / "copy.parquet"
        with file.open() as source, copy.open("wb") as target:
            shutil.copyfileobj(source, target)
        yield from _read_parquet_cells(file, copy, user_columns, database)
        copy.unlink()
    elif not start.startswith(b"{") and (
        file.name.lower().endswith(CSV_SUFFIXES)
        or has_columns(_read_header(head), user_columns)
    ):
        yield from _read_csv_cells(file, head, user_columns)
    elif start:
        yield from _read_json_cells(file, user_columns)


def _read_json_cells(
    file: ExportFile, user_columns: Mapping[str, str]
) -> Iterator[Cells | None]:
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
        chosen = choose_columns(file, columns | {*user_columns.values()}, user_columns)
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
        return decode_json(line, _OBJECT_DECODER, "a line")
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


def _detect_encoding(head: bytes) -> str:
    return "utf-16" if head.startswith(_UTF_16_MARKS) else "utf-8-sig"


def _detect_delimiter(line: str) -> str:
    # Column names rarely contain delimiters, so choose the most frequent one.
    return max(_DELIMITERS, key=re.sub(r'"[^"]*"?', "", line).count)


def _read_header(head: bytes) -> list[str]:
    """Read the column names in the first line of a CSV file."""
    line = head.decode(_detect_encoding(head), LEGACY_FALLBACK).partition("\n")[0]
    with suppress(csv.Error):
        rows = csv.reader(
            io.StringIO(line, newline=""), delimiter=_detect_delimiter(line)
        )
        return [name.strip() for name in next(rows, [])]
    return []


def _read_csv_cells(
    file: ExportFile, head: bytes, user_columns: Mapping[str, str]
) -> Iterator[Cells | None]:
    names = _read_header(head)
    chosen = choose_columns(file, names, user_columns, show_columns=False)
    indexes = {field: names.index(name) for field, name in chosen.items()}
    with (
        file.open() as source,
        io.TextIOWrapper(
            source, _detect_encoding(head), LEGACY_FALLBACK, newline=""
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
) -> Iterator[Cells | None]:
    source = "read_parquet(?, hive_partitioning = false)"
    with closing(database.cursor()) as cursor:
        try:
            cursor.execute(f"DESCRIBE SELECT * FROM {source}", [str(copy)])
            types = {name: kind for name, kind, *_ in cursor.fetchall()}
            scalar_names = [n for n, kind in types.items() if not _NESTED.search(kind)]
            chosen = choose_columns(file, scalar_names, user_columns)
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
            for row in fetch_rows(cursor):
                yield dict(zip(chosen, row, strict=True))
        except import_duckdb().Error:
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
