"""Parquet files of examples, written and read by DuckDB."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from langchain_chatexports._regular_files import check_regular_file
from langchain_chatexports.datasets.jsonl import json_line
from langchain_chatexports.exceptions import ExportFormatError, MissingExtraError

_BATCH = 1_000
_MESSAGES = "STRUCT(role VARCHAR, content VARCHAR, name VARCHAR, weight TINYINT)[]"
# DuckDB reads at most so many bytes of one row.
_MAX_ROW_BYTES = 1 << 30


def require_duckdb() -> Any:
    """Return DuckDB, which writes and reads Parquet."""
    try:
        import duckdb
    except ImportError as error:
        feature = "Parquet"
        raise MissingExtraError(feature, "table") from error
    return duckdb


def lines_to_parquet(lines: Path, path: Path) -> None:
    """Write a Parquet file of the examples in a file of JSON lines."""
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


def parquet_to_lines(path: Path) -> Iterator[bytes]:
    """Yield the examples of a Parquet file, each as a line of JSON."""
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
