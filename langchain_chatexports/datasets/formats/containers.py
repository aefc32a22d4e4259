"""Files of rows: JSON lines, one JSON array, or Parquet.

A row is identified by the digest of its line of JSON, whatever the file's format.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any, BinaryIO

from langchain_chatexports._regular_files import open_regular_file
from langchain_chatexports.datasets.jsonl import json_line
from langchain_chatexports.exceptions import (
    ChatExportError,
    ExportFormatError,
    MissingExtraError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

    from typing_extensions import Self

__all__ = [
    "RowFile",
    "file_sha256",
    "new_private_file",
    "parquet_schema",
    "read_lines",
    "require_pyarrow",
    "row_digest",
]

_BATCH = 1_000
_BLOCK = 1 << 20
_DIGEST_BYTES = 12


def row_digest(line: bytes) -> str:
    """Return the digest that identifies a row, from its line of JSON."""
    return hashlib.blake2b(line.rstrip(b"\n"), digest_size=_DIGEST_BYTES).hexdigest()


def file_sha256(path: Path) -> str:
    """Hash a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def new_private_file(path: Path) -> BinaryIO:
    """Create a file that only its owner can read."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(path, flags, 0o600), "wb")


class RowFile:
    """A new, private file of rows.

    Use it in a `with`. The rows of a Parquet file are kept until a batch is full.
    """

    def __init__(self, path: Path, suffix: str) -> None:
        """Initialize the file, which must not exist yet.

        Args:
            path: The file, whatever its own suffix.
            suffix: `.jsonl`, `.json` or `.parquet`, for the kind of file.

        Raises:
            MissingExtraError: If Parquet is asked for without the extra `datasets`.
        """
        self.rows = 0
        self._path = path
        self._parquet = suffix == ".parquet"
        self._array = suffix == ".json"
        self._arrow = require_pyarrow() if self._parquet else None
        self._table: Any = None
        self._batch: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        """Create the file."""
        self._file = new_private_file(self._path)
        if self._array:
            self._file.write(b"[")
        return self

    def write_line(self, line: bytes) -> None:
        """Write a row, given as one line of JSON."""
        if self._parquet:
            # From the line, whose text is clean: Arrow takes no halves of surrogates.
            self._batch.append(json.loads(line))
            if len(self._batch) >= _BATCH:
                self._flush()
        elif self._array:
            self._file.write((b",\n" if self.rows else b"\n") + line.rstrip(b"\n"))
        else:
            self._file.write(line)
        self.rows += 1

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        """Finish the file."""
        try:
            if kind is None:
                self._finish()
        finally:
            self._file.close()

    def _finish(self) -> None:
        if self._parquet:
            self._flush()
            self._table.close()
        elif self._array:
            self._file.write(b"\n]\n")
        if not self._file.closed:
            self._file.flush()
            os.fsync(self._file.fileno())

    def _flush(self) -> None:
        if self._arrow is None:
            return
        schema = parquet_schema()
        if self._table is None:
            self._table = self._arrow.parquet.ParquetWriter(self._file, schema)
        self._table.write_batch(
            self._arrow.RecordBatch.from_pylist(self._batch, schema=schema)
        )
        self._batch = []


def read_lines(path: Path, suffix: str) -> Iterator[bytes]:
    """Read a set's file, each row as its one line of JSON.

    Args:
        path: A file that `RowFile` has written.
        suffix: Its kind, as for `RowFile`.

    Yields:
        The lines.

    Raises:
        ExportFormatError: If the file is no longer of its kind.
        MissingExtraError: If it is Parquet and the extra `datasets` is not installed.
    """
    if suffix == ".parquet":
        pyarrow = require_pyarrow()
        with open_regular_file(path) as file:
            for batch in pyarrow.parquet.ParquetFile(file).iter_batches(_BATCH):
                yield from map(json_line, batch.to_pylist())
    elif suffix == ".json":
        try:
            with open_regular_file(path) as file:
                rows = json.loads(file.read())
        except ChatExportError:
            raise
        except (ValueError, RecursionError):
            rows = None
        if not isinstance(rows, list):
            msg = f"{path} is not a JSON array of rows. Write the set again."
            raise ExportFormatError(msg) from None
        yield from map(json_line, rows)
    else:
        with open_regular_file(path) as file:
            yield from file


def require_pyarrow() -> ModuleType:
    """Return the library that reads and writes Parquet.

    Raises:
        MissingExtraError: If the extra `datasets` is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet
    except ImportError as error:
        feature = "Parquet"
        raise MissingExtraError(feature, "datasets") from error
    module: ModuleType = pa
    return module


def parquet_schema() -> Any:
    """Return the schema of a Parquet file of examples.

    Raises:
        MissingExtraError: If the extra `datasets` is not installed.
    """
    pa = require_pyarrow()
    message = pa.struct(
        [
            ("role", pa.string()),
            ("content", pa.string()),
            ("name", pa.string()),
            ("weight", pa.int8()),
        ]
    )
    return pa.schema([("messages", pa.list_(message))])
