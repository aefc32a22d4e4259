"""Files of rows: JSON lines, or Parquet, and how a set takes its place.

A row is identified by the digest of its line of JSON, whatever the file's format.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from typing_extensions import Self

from langchain_chatexports._files import is_pipe
from langchain_chatexports._regular_files import check_regular_file, open_regular_file
from langchain_chatexports._terminal import plural
from langchain_chatexports.datasets.jsonl import json_line
from langchain_chatexports.exceptions import ExportFormatError, MissingExtraError

_BATCH = 1_000
_BLOCK = 1 << 20
_DIGEST_BYTES = 12
_PARQUET = ".parquet"
_MESSAGES = "STRUCT(role VARCHAR, content VARCHAR, name VARCHAR, weight TINYINT)[]"
# DuckDB reads at most so many bytes of one row.
_MAX_ROW_BYTES = 1 << 30


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
    """A new, private file of rows, to be used in a `with`.

    A Parquet file is made of JSON lines beside it when these are complete.
    """

    def __init__(self, path: Path, suffix: str) -> None:
        self.rows = 0
        self._path = path
        self._is_parquet = suffix == _PARQUET
        if self._is_parquet:
            require_duckdb()

    def __enter__(self) -> Self:
        """Create the file."""
        self._lines = self._path
        if self._is_parquet:
            self._lines = self._path.parent.with_name(f"{self._path.name}.lines")
        self._file = new_private_file(self._lines)
        return self

    def write_line(self, line: bytes) -> None:
        """Write a row, given as one line of JSON."""
        self._file.write(line)
        self.rows += 1

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        """Finish the file."""
        with self._file as file:
            if kind is None:
                file.flush()
                os.fsync(file.fileno())
        if self._is_parquet and kind is None:
            _to_parquet(self._lines, self._path)
            self._lines.unlink()


def read_lines(path: Path, suffix: str) -> Iterator[bytes]:
    """Yield the rows of a file that `RowFile` has written, each as its line of JSON."""
    if suffix != _PARQUET:
        with open_regular_file(path) as file:
            yield from file
        return
    check_regular_file(path)
    duckdb = require_duckdb()
    try:
        with _database(path.parent) as database:
            database.execute(f"SELECT messages FROM read_parquet({_quoted(path)})")
            while rows := database.fetchmany(_BATCH):
                for (messages,) in rows:
                    yield json_line({"messages": messages})
    except duckdb.Error:
        # Its errors quote the file.
        msg = f"{path} is not a Parquet file of this set. Write the set again."
        raise ExportFormatError(msg) from None


def _to_parquet(lines: Path, path: Path) -> None:
    duckdb = require_duckdb()
    rows = (
        f"read_json({_quoted(lines)}, format = 'newline_delimited', "
        f"columns = {{messages: '{_MESSAGES}'}}, "
        f"maximum_object_size = {_MAX_ROW_BYTES})"
    )
    target = str(path).replace("'", "''")
    try:
        with _database(lines.parent) as database:
            database.execute(
                f"COPY (SELECT messages FROM {rows}) TO '{target}' (FORMAT parquet)"
            )
    except duckdb.Error:
        msg = (
            f"{path.name} cannot be written as Parquet: the disk is full, or an "
            "example holds what a table has no place for. Write JSON lines."
        )
        raise ExportFormatError(msg) from None
    path.chmod(0o600)


@contextmanager
def _database(folder: Path) -> Iterator[Any]:
    config = {
        "autoinstall_known_extensions": "false",
        "temp_directory": str(folder),
        "threads": "1",
    }
    with require_duckdb().connect(":memory:", config=config) as database:
        yield database


def _quoted(path: Path) -> str:
    # DuckDB takes a path that it reads for a pattern.
    escaped = re.sub(r"([*?\[])", r"[\1]", str(path))
    return "'" + escaped.replace("'", "''") + "'"


def require_duckdb() -> Any:
    """Return DuckDB, which writes and reads Parquet."""
    try:
        import duckdb
    except ImportError as error:
        feature = "Parquet"
        raise MissingExtraError(feature, "table") from error
    return duckdb


@contextmanager
def staging_folder(path: Path) -> Iterator[Path]:
    """Provide a private folder beside a path, which is removed at the end."""
    # Not based on the target's name, which can be too long to add to.
    folder = tempfile.mkdtemp(dir=path.parent, prefix=".chatexports-", suffix=".part")
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def refuse_other_files(path: Path, *, is_folder: bool, known: Collection[str]) -> None:
    """Raise an error if writing a set would replace anything but a set."""
    if not path.exists():
        return
    if is_pipe(path):
        msg = f"{path} is not a file: a set needs a card and a trace beside it."
        raise ExportFormatError(msg)
    if path.is_dir() != is_folder:
        kind, wanted = ("folder", "file") if path.is_dir() else ("file", "folder")
        msg = f"{path} is a {kind}, and the set is a {wanted}. Name another path."
        raise ExportFormatError(msg)
    others = {entry.name for entry in path.iterdir()} - set(known) if is_folder else ()
    if others:
        msg = (
            f"{path} holds {plural(len(others), 'other file')}, which would be lost. "
            "Name a new folder."
        )
        raise ExportFormatError(msg)


def place_file(staged: Path, path: Path) -> None:
    """Move a finished file to its place atomically; a link is followed."""
    staged.replace(os.path.realpath(path))


def place_beside(staged: Path, path: Path) -> None:
    """Move a finished file to its place atomically; a link there is replaced.

    For files beside a set, whose names the user did not choose.
    """
    staged.replace(path)


def place_folder(staged: Path, path: Path, aside: Path) -> None:
    """Move a finished folder to its place, and a folder that was there aside."""
    if path.exists():
        path.rename(aside)
        try:
            staged.rename(path)
        except OSError:
            aside.rename(path)
            raise
    else:
        staged.rename(path)
