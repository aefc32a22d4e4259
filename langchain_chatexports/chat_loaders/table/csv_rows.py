"""CSV: which encoding and delimiter a file has, and its rows."""

from __future__ import annotations

import csv
import io
from typing import IO, TYPE_CHECKING, NamedTuple

from langchain_chatexports.chat_loaders.table.columns import (
    REQUIRED,
    chosen_columns,
    guessed_columns,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["CSV_SUFFIXES", "CsvForm", "csv_form", "has_csv_columns", "read_csv"]

CSV_SUFFIXES = (".csv", ".tsv")

_HEAD_BYTES = 1 << 16
_BYTE_ORDER_MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
# Excel writes semicolons where the comma stands in numbers.
_DELIMITERS = ",;\t|"
_LEGACY = "cp1252"  # What Excel saves as "CSV" in Western Europe and America.


class CsvForm(NamedTuple):
    """How a CSV file is written.

    Attributes:
        encoding: Its encoding.
        delimiter: What stands between two cells.
        header: The names of its columns.
    """

    encoding: str
    delimiter: str
    header: list[str]


def csv_form(head: bytes) -> CsvForm | None:
    """Return how a CSV file is written, or `None` if its first line is empty.

    Args:
        head: Its first bytes, some kilobytes.
    """
    encoding = _encoding(head)
    line = head.decode(encoding, "replace").lstrip().partition("\n")[0].strip("\r")
    # The first line has names of columns, which hold no delimiter: what it has most
    # of is the one.
    delimiter = max(_DELIMITERS, key=line.count)
    try:
        header = next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return None
    names = [name.strip() for name in header]
    return CsvForm(encoding, delimiter, names) if any(names) else None


def has_csv_columns(head: bytes) -> bool:
    """Return whether the first line has columns for conversation and text."""
    form = csv_form(head) if b"\n" in head or b"\r" in head else None
    if form is None or len(form.header) < len(REQUIRED):
        return False
    return guessed_columns(form.header).keys() >= set(REQUIRED)


def read_csv(
    file: IO[bytes],
    path: Path,
    columns: Mapping[str, str],
    *,
    only_conversations: bool,
) -> Iterator[dict[str, str] | None]:
    """Read the rows of a CSV file.

    Args:
        file: The file, at its beginning.
        path: Where it is, for errors.
        columns: The columns that the user named.
        only_conversations: Read nothing but what tells conversations.

    Yields:
        The cells by what they hold; `None` for a row that has more cells than the
        header, or lacks a needed one.

    Raises:
        ExportFormatError: If it lacks a column.
    """
    form = csv_form(file.read(_HEAD_BYTES))
    if form is None:
        return
    file.seek(0)
    chosen = chosen_columns(path, form.header, columns)
    if only_conversations:
        chosen = {part: chosen[part] for part in REQUIRED}
    places = {part: form.header.index(name) for part, name in chosen.items()}
    needed = max(places[part] for part in REQUIRED)
    with io.TextIOWrapper(
        file, encoding=form.encoding, errors="replace", newline=""
    ) as text:
        reader = csv.reader(text, delimiter=form.delimiter)
        has_header = False
        while True:
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error:
                # A cell that is too long, as behind a quote that nothing closes.
                yield None
                continue
            if not has_header or not row:
                has_header = has_header or bool(row)
            elif len(row) <= needed or any(row[len(form.header) :]):
                yield None
            else:
                yield {
                    part: row[place]
                    for part, place in places.items()
                    if place < len(row)
                }


def _encoding(head: bytes) -> str:
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if head.startswith(mark):
            return encoding
    try:
        # The last character may be cut.
        head[: head.rfind(b"\n") + 1].decode()
    except UnicodeDecodeError:
        return _LEGACY
    return "utf-8"
