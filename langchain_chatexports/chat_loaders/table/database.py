"""Sort rows by conversation with DuckDB, on disk if they do not fit into memory."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import msgspec

from langchain_chatexports.exceptions import MissingExtraError

Cells: TypeAlias = dict[str, str | None]
"""A row by field, with numbers as text."""

_BATCH_SIZE = 256
_CELLS_DECODER = msgspec.json.Decoder(Cells)
_CREATE = """
CREATE TABLE rows (file INTEGER, number BIGINT, conversation VARCHAR, cells VARCHAR)
"""
_INSERT = """
INSERT INTO rows SELECT ?, ? + generate_subscripts(?::VARCHAR[], 1),
unnest(?::VARCHAR[]), unnest(?::VARCHAR[])
"""
# Conversations in the order of their last rows; rows without a conversation come first.
_SELECT = """
SELECT file, number, conversation, cells FROM rows LEFT JOIN (
    SELECT conversation, max((file, number)) AS ending FROM rows GROUP BY conversation
) USING (conversation) ORDER BY ending NULLS FIRST, file, number
"""


class Row(NamedTuple):
    """A row of a file."""

    file: int
    """The index of the file."""

    number: int
    """The number of the row in the file, from 1."""

    conversation: str | None
    cells: Cells | None
    """`None` for an unreadable row."""


class RowStore:
    """The rows of all files."""

    def __init__(self, database: Any) -> None:
        """Create an empty table in a database."""
        self._database = database
        database.execute(_CREATE)

    def add(
        self, file: int, start: int, rows: Sequence[tuple[str | None, Cells | None]]
    ) -> None:
        """Add the conversation and cells of rows that follow `start` others."""
        ids = [conversation for conversation, _ in rows]
        encoded = [cells and msgspec.json.encode(cells).decode() for _, cells in rows]
        self._database.execute(_INSERT, [file, start, ids, ids, encoded])

    def remove(self, file: int) -> None:
        """Remove the rows of a file."""
        self._database.execute("DELETE FROM rows WHERE file = ?", [file])

    def sorted_rows(self) -> Iterator[Row]:
        """Yield the rows by conversation, in the order of their last rows."""
        result = self._database.execute(_SELECT)
        for file, number, conversation, encoded in fetch_rows(result):
            cells = None if encoded is None else _CELLS_DECODER.decode(encoded)
            yield Row(file, number, conversation, cells)


@contextmanager
def open_database(folder: Path) -> Iterator[Any]:
    """Open a DuckDB database that can only access a private folder."""
    config = {
        "allow_community_extensions": "false",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "memory_limit": "200MB",
        "temp_directory": str(folder),
        "threads": "1",
    }
    with closing(import_duckdb().connect(":memory:", config=config)) as database:
        database.execute("SET TimeZone = 'UTC'")
        database.execute("SET allowed_directories = ?", [[str(folder)]])
        database.execute("SET enable_external_access = false")
        database.execute("SET lock_configuration = true")
        yield database


def import_duckdb() -> Any:
    """Import DuckDB, which the extra `table` installs."""
    try:
        import duckdb
    except ImportError as error:
        feature = "Reading tables"
        raise MissingExtraError(feature, "table") from error
    return duckdb


def fetch_rows(result: Any) -> Iterator[Any]:
    """Yield the rows of a query, read in batches."""
    while rows := result.fetchmany(_BATCH_SIZE):
        yield from rows
