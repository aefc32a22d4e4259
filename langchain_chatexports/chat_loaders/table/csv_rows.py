"""CSV: which encoding and delimiter a file has, and its rows."""

from __future__ import annotations

import codecs
import csv
import io
import re
from contextlib import suppress
from itertools import islice
from typing import IO, TYPE_CHECKING, Final, NamedTuple

from langchain_chatexports.chat_loaders.table.columns import (
    REQUIRED,
    chosen_columns,
    guessed_columns,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
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
# Excel obeys such a first line, and some programs write it for that.
_SEPARATOR_LINE = re.compile(r"\s*\"?sep=(?P<delimiter>[^\r\n])\"?\r?\n?")
_LONG_NAME = 60
_VALUE = re.compile(r"[\d\s.,:/+-]+(?:[AP]M|Z)?|\d{4}-\d\d-\d\d.*")
_ROWS_BELOW = 20
_NO_QUOTES: Final = csv.QUOTE_NONE
_END = ""  # Lines have an end of their own, but for the last one, which is not empty.
_LEGACY = "cp1252"  # What Excel saves as "CSV" in Western Europe and America.
_OR_LEGACY = "langchain_chatexports.or_cp1252"


def _as_legacy(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    data = error.object[error.start : error.end]
    return data.decode(_LEGACY, "replace"), error.end


codecs.register_error(_OR_LEGACY, _as_legacy)


class CsvForm(NamedTuple):
    """How a CSV file is written.

    Attributes:
        encoding: Its encoding. Where it is UTF-8, other bytes are Windows-1252.
        delimiter: What stands between two cells.
        header: The names of its columns.
        before_header: How many rows stand before these.
        has_names: Whether these are likely names, and not a message: none is a number
            or a time, and none stands below itself again.
    """

    encoding: str
    delimiter: str
    header: list[str]
    before_header: int = 0
    has_names: bool = True

    @property
    def errors(self) -> str:
        """What to do with bytes that are not of the encoding."""
        return _OR_LEGACY if self.encoding.startswith("utf-8") else "replace"


def csv_form(head: bytes) -> CsvForm | None:
    """Return how a CSV file is written, or `None` if it has no first row.

    Args:
        head: Its first bytes, some kilobytes.
    """
    encoding = _encoding(head)
    form = CsvForm(encoding, "", [])
    text = head.decode(encoding, form.errors)
    separator = _SEPARATOR_LINE.match(text)
    rest = text[separator.end() :] if separator else text
    # The first row has names of columns, which hold no delimiter: what it has most of
    # is the one.
    lines = rest.lstrip().splitlines()
    first = lines[0] if lines else ""
    bare = re.sub(r'"[^"]*"?', "", first)
    delimiter = (
        separator["delimiter"] if separator else max(_DELIMITERS, key=bare.count)
    )
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    before = -1
    header: list[str] = []
    with suppress(csv.Error, StopIteration):
        while not any(header) or (separator is not None and before == 0):
            header = [name.strip() for name in next(rows)]
            before += 1
        form = form._replace(has_names=not any(map(_is_value, header)))
        for row in islice(rows, _ROWS_BELOW):
            pairs = zip(header, map(str.strip, row), strict=False)
            if any(above == below != "" for above, below in pairs):
                form = form._replace(has_names=False)
    if not any(header) or (separator is not None and before == 0):
        return None
    return form._replace(delimiter=delimiter, header=header, before_header=before)


def has_csv_columns(head: bytes, columns: Mapping[str, str] | None = None) -> bool:
    """Return whether the first line has columns for conversation and text.

    Args:
        head: The file's first bytes.
        columns: The columns that the user named: then the line must have all of these.
    """
    form = csv_form(head) if b"\n" in head or b"\r" in head else None
    if form is None or len(form.header) < len(REQUIRED):
        return False
    if not {*(columns or {}).values()} <= {*form.header}:
        return False
    return guessed_columns(form.header, columns).keys() >= set(REQUIRED)


def read_csv(
    file: IO[bytes],
    path: Path,
    columns: Mapping[str, str],
    *,
    part: str | None,
) -> Iterator[dict[str, str] | None]:
    """Read the rows of a CSV file.

    Args:
        file: The file, at its beginning.
        path: Where it is, for errors.
        columns: The columns that the user named.
        part: Read nothing but this part of messages, and what a row must have.

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
    chosen = chosen_columns(path, form.header, columns, has_names=form.has_names)
    if part is not None:
        chosen = {one: chosen[one] for one in (*REQUIRED, part) if one in chosen}
    places = {one: form.header.index(name) for one, name in chosen.items()}
    needed = max(places[one] for one in REQUIRED)
    with io.TextIOWrapper(
        file, encoding=form.encoding, errors=form.errors, newline=""
    ) as text:
        rows = _rows(text, form.delimiter)
        for row in islice(rows, form.before_header + 1, None):
            if row == []:
                continue
            if row is None or len(row) <= needed or any(row[len(form.header) :]):
                yield None
            else:
                yield {
                    one: row[place] for one, place in places.items() if place < len(row)
                }


def _rows(text: Iterable[str], delimiter: str) -> Iterator[list[str] | None]:
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


def _is_value(name: str) -> bool:
    return len(name) > _LONG_NAME or bool(_VALUE.fullmatch(name))


def _encoding(head: bytes) -> str:
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if head.startswith(mark):
            return encoding
    if head[1:2] == b"\0":
        return "utf-16-le"
    return "utf-16-be" if head[:1] == b"\0" else "utf-8"
