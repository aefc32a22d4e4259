"""Parquet, which DuckDB reads, and the database that orders the rows of any table."""

import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from langchain_chatexports.chat_loaders.files import ExportFile
from langchain_chatexports.chat_loaders.table.columns import Cells, chosen_columns
from langchain_chatexports.exceptions import (
    ExportFormatError,
    MissingExtraError,
)

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
