"""Read the rows of Parquet, JSON lines and CSV, a batch or a line at a time."""

from __future__ import annotations

import json
from contextlib import closing
from itertools import chain, islice
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from langchain_chatexports._regular_files import cannot_read, open_regular_file
from langchain_chatexports.chat_loaders.json_data import without_lone_surrogates
from langchain_chatexports.chat_loaders.table.columns import (
    COLUMNS,
    REQUIRED,
    chosen_columns,
)
from langchain_chatexports.chat_loaders.table.csv_rows import (
    CSV_SUFFIXES,
    has_csv_columns,
    read_csv,
)
from langchain_chatexports.chat_loaders.table.values import TimeReader, text_of
from langchain_chatexports.exceptions import (
    ExportAccessError,
    ExportFormatError,
    ExportNotFoundError,
    MissingExtraError,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping
    from pathlib import Path

__all__ = [
    "PARQUET_MAGIC",
    "Row",
    "looks_like_table",
    "read_cells",
    "read_rows",
    "require_parquet",
    "table_files",
]

PARQUET_MAGIC = b"PAR1"

_SUFFIXES = (".parquet", ".jsonl", ".ndjson", *CSV_SUFFIXES)
_HEAD_BYTES = 4096
_ROWS_A_BATCH = 2048
_LINES_FOR_COLUMNS = 100
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Row(NamedTuple):
    """A message of the table, as far as it could be read."""

    conversation: str | None
    text: str | None
    sender: str | None = None
    microseconds: int | None = None
    role: str | None = None
    id: str | None = None
    reply_to: str | None = None
    title: str | None = None


def table_files(path: Path) -> list[Path]:
    """List the files of a table: the file itself, or the parts in a folder.

    Args:
        path: The file or folder.

    Returns:
        The files, by name.

    Raises:
        ExportNotFoundError: If there is nothing, or no part in the folder.
    """
    if path.is_dir():
        parts = [
            part
            for part in path.iterdir()
            if part.suffix.lower() in _SUFFIXES and not part.name.startswith((".", "_"))
        ]
        if not parts:
            msg = f"{path} is a folder without .parquet, .jsonl or .csv files."
            raise ExportNotFoundError(msg, path=path)
        return sorted(parts, key=lambda part: part.name)
    if not path.exists():
        msg = f"There is nothing at {path}. Check the path."
        raise ExportNotFoundError(msg, path=path)
    return [path]


def looks_like_table(head: bytes, columns: Mapping[str, str] | None = None) -> bool:
    """Return whether a file's first bytes are those of a table of messages.

    Args:
        head: The first bytes, some kilobytes.
        columns: The columns that the user named.

    Returns:
        Whether it is Parquet, or its first line is a JSON object or the header of a
        CSV file that has columns for conversation and text, under the names in
        `COLUMNS` or those that the user named.
    """
    if head.startswith(PARQUET_MAGIC):
        return True
    if not head.removeprefix(_BYTE_ORDER_MARK).lstrip().startswith(b"{"):
        return has_csv_columns(head, columns)
    names = {**COLUMNS, **{part: (name,) for part, name in (columns or {}).items()}}
    line, newline, _ = head.removeprefix(_BYTE_ORDER_MARK).partition(b"\n")
    cells = _parsed(line) if newline else None
    return cells is not None and all(
        any(isinstance(cells.get(name), (str, int)) for name in names[part])
        for part in REQUIRED
    )


def require_parquet() -> None:
    """Check that Parquet can be read, before something long begins.

    Raises:
        MissingExtraError: If the extra `parquet` is not installed.
    """
    try:
        import pyarrow.parquet  # noqa: F401 - only whether it is there
    except ImportError as error:
        feature = "Reading Parquet"
        raise MissingExtraError(feature, "parquet") from error


def read_rows(
    path: Path, columns: Mapping[str, str], times: TimeReader
) -> Generator[Row | None, None, None]:
    """Read the messages of a file, in its order.

    Args:
        path: The file.
        columns: The columns that the user named.
        times: Reads their times.

    Yields:
        The rows; `None` for one that cannot be read.

    Raises:
        ExportAccessError: If the system refuses.
        ExportFormatError: If the file is no table, or lacks a column.
        MissingExtraError: If it is Parquet and pyarrow is not installed.
    """
    with closing(read_cells(path, columns)) as rows:
        for cells in rows:
            yield None if cells is None else _row(cells, times)


def read_cells(
    path: Path, columns: Mapping[str, str], *, part: str | None = None
) -> Generator[Mapping[str, Any] | None, None, None]:
    """Read the cells of a file, row by row.

    Args:
        path: The file.
        columns: The columns that the user named.
        part: Read nothing but this part of messages, which is faster, and what tells
            whether a row can be read.

    Yields:
        The cells by what they hold; `None` for a row that cannot be read.

    Raises:
        ChatExportError: As `read_rows`.
    """
    try:
        file = open_regular_file(path)
    except PermissionError as error:
        msg = f"The system refuses to read {path}."
        raise ExportAccessError(msg, path=path) from error
    except OSError as error:
        raise cannot_read(path, error) from error
    with file:
        head = file.read(_HEAD_BYTES)
        file.seek(0)
        if head.startswith(PARQUET_MAGIC):
            read = _parquet_cells
        else:
            read = read_csv if _is_csv(head, path, columns) else _json_cells
        for cells in read(file, path, columns, part=part):
            is_text = cells is not None and not isinstance(
                cells.get("text"), (dict, list, bytes)
            )
            yield cells if is_text else None


def _parquet_cells(
    file: IO[bytes],
    path: Path,
    columns: Mapping[str, str],
    *,
    part: str | None,
) -> Iterator[Mapping[str, Any] | None]:
    require_parquet()
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.ParquetFile(file)
        chosen = chosen_columns(path, table.schema_arrow.names, columns)
        if part is not None:
            chosen = {part: chosen[part]} if part in chosen else {}
        wanted = sorted(set(chosen.values()))
        for batch in table.iter_batches(_ROWS_A_BATCH, columns=wanted):
            cells = {
                part: _values(batch.column(name), is_time=part == "time")
                for part, name in chosen.items()
            }
            for index in range(batch.num_rows):
                yield {part: values[index] for part, values in cells.items()}
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        msg = f"{path} is a damaged Parquet file, or one that pyarrow cannot read."
        # pyarrow's own errors quote the file, also as an `OSError` without a number.
        is_of_the_system = isinstance(error, OSError) and error.errno is not None
        raise ExportFormatError(msg, path=path) from (
            error if is_of_the_system else None
        )


def _values(column: Any, *, is_time: bool) -> list[Any]:
    import pyarrow as pa

    if is_time and pa.types.is_timestamp(column.type):
        # Not Python's datetimes: these have no nanoseconds, and cost more.
        unit = pa.timestamp("us", tz=column.type.tz)
        numbers = column.cast(unit, safe=False).cast(pa.int64())
        known = _LocalMicroseconds if column.type.tz is None else _Microseconds
        return [None if n is None else known(n) for n in numbers.to_pylist()]
    try:
        values: list[Any] = column.to_pylist()
    except (ArithmeticError, ValueError):
        return list(map(_value, column))
    return values


def _value(cell: Any) -> Any:
    try:
        return cell.as_py()
    except (ArithmeticError, ValueError):
        return {}  # Neither a text nor a time: a day after the year 9999, no UTF-8.


class _Microseconds(int):
    """A number whose unit is known."""


class _LocalMicroseconds(_Microseconds):
    """The same of a time without a zone."""


def _json_cells(
    file: IO[bytes],
    path: Path,
    columns: Mapping[str, str],
    *,
    part: str | None,
) -> Iterator[Mapping[str, Any] | None]:
    lines = (line for line in _lines(file) if line.strip())
    first = [_parsed(line) for line in islice(lines, _LINES_FOR_COLUMNS)]
    readable = [cells for cells in first if cells is not None]
    if first and not readable:
        msg = (
            f"{path} is no table: neither Parquet nor a JSON object in each line, nor "
            "CSV. Check the path, or write the table as JSON lines."
        )
        raise ExportFormatError(msg, path=path)
    if not first:
        return
    # A line may leave out what is empty: the first ones tell the columns together.
    there = {name for cells in readable for name in cells}
    chosen = chosen_columns(path, there | {*columns.values()}, columns)
    if part is not None:
        # And the text, without which a line counts as unreadable.
        chosen = {one: chosen[one] for one in (*REQUIRED, part) if one in chosen}
    for cells in chain(first, map(_parsed, lines)):
        if cells is None:
            yield None
        else:
            yield {one: cells.get(name) for one, name in chosen.items()}


def _is_csv(head: bytes, path: Path, columns: Mapping[str, str]) -> bool:
    if head.removeprefix(_BYTE_ORDER_MARK).lstrip().startswith(b"{"):
        return False
    return path.suffix.lower() in CSV_SUFFIXES or has_csv_columns(head, columns)


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    for number, line in enumerate(file):
        yield line if number else line.removeprefix(_BYTE_ORDER_MARK)


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        cells = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return cells if isinstance(cells, dict) else None


def _row(cells: Mapping[str, Any], times: TimeReader) -> Row:
    text, time = cells.get("text"), cells.get("time")
    if isinstance(time, _LocalMicroseconds):
        microseconds = times.of_local(time)
    elif isinstance(time, _Microseconds):
        microseconds = int(time)
    else:
        microseconds = times.microseconds(time)
    return Row(
        conversation=text_of(cells.get("conversation")),
        text=without_lone_surrogates(text) if isinstance(text, str) else text_of(text),
        sender=text_of(cells.get("sender")),
        microseconds=microseconds,
        role=text_of(cells.get("role")),
        id=text_of(cells.get("id")),
        reply_to=text_of(cells.get("reply_to")),
        title=text_of(cells.get("title")),
    )
