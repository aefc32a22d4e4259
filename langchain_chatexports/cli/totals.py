"""About how many messages an export holds: known soon, for the time that is left."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from langchain_chatexports._regular_files import open_regular_file
from langchain_chatexports.exceptions import ChatExportError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from langchain_chatexports.chat_loaders.facebook_messenger.files import ExportFile
    from langchain_chatexports.cli.exports import Export

__all__ = ["about_messages"]

_BLOCK = 1 << 22
_PARQUET = b"PAR1"
# What stands once in each message of Meta's two forms.
_SENDER_KEYS = (b'"sender_name"', b'"senderName"')
_HEAD = 1 << 16


def about_messages(exports: Iterable[Export]) -> int | None:
    """Count the messages of exports without reading them.

    Args:
        exports: The exports.

    Returns:
        About how many rows or records reading will find; `None` where nobody can tell.
        What is wrong with an export is not said here.
    """
    try:
        counts = [
            _COUNTERS[type(export.loader).__name__](path)
            for export in exports
            for path in export.paths
        ]
    except (KeyError, ChatExportError, OSError, ValueError, ImportError):
        return None
    return sum(counts) or None


def _rows_of_database(path: Path) -> int:
    from langchain_chatexports.chat_loaders.imessage.database import open_database
    from langchain_chatexports.chat_loaders.imessage.schema import Schema
    from langchain_chatexports.chat_loaders.imessage.sources import find_database

    database = find_database(path)
    with open_database(database) as connection:
        Schema(connection, database)  # Refuses what would not end.
        (count,) = connection.execute("SELECT count(*) FROM message").fetchone()
    return int(count)


def _records_of_threads(path: Path) -> int:
    from langchain_chatexports.chat_loaders.facebook_messenger.archive import (
        list_files,
        open_parts,
    )
    from langchain_chatexports.chat_loaders.facebook_messenger.files import ExportFile

    with ExitStack() as stack:
        files = list_files(open_parts([path], stack, lambda _: None))
        return sum(
            _records_of_file(file)
            for file in files
            if isinstance(file, ExportFile) and file.name.lower().endswith(".json")
        )


def _records_of_file(file: ExportFile) -> int:
    try:
        return _records_in(file.read(_HEAD), file.size)
    except ChatExportError:
        return 0


def _records_in(head: bytes, size: int) -> int:
    """Count the records in the beginning of a file, and guess those behind it."""
    count = sum(map(head.count, _SENDER_KEYS))
    return round(count * size / len(head)) if count else 0


def _rows_of_tables(path: Path) -> int:
    from langchain_chatexports.chat_loaders.table.rows import table_files

    return sum(map(_rows_of_table, table_files(path)))


def _rows_of_table(path: Path) -> int:
    with open_regular_file(path) as file:
        if file.read(len(_PARQUET)) == _PARQUET:
            from pyarrow.parquet import ParquetFile

            file.seek(0)
            with ParquetFile(file) as table:
                return int(table.metadata.num_rows)
        file.seek(0)
        return sum(block.count(b"\n") for block in iter(lambda: file.read(_BLOCK), b""))


_COUNTERS: dict[str, Callable[[Path], int]] = {
    "IMessageChatLoader": _rows_of_database,
    "FolderFacebookMessengerChatLoader": _records_of_threads,
    "SingleFileFacebookMessengerChatLoader": _records_of_threads,
    "TableChatLoader": _rows_of_tables,
}
