"""The file of a search index: its tables, and how it is opened."""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from langchain_chatexports._files import cannot_write
from langchain_chatexports._regular_files import open_regular_file
from langchain_chatexports.exceptions import ChatExportError, ExportFormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "explained",
    "is_index",
    "open_index",
    "set_setting",
    "setting",
    "snapshot",
    "transaction",
]

_APPLICATION_ID = 0x43455849
"""Of SQLite's header, at byte 68: whose file it is ("CEXI")."""

_VERSION = 1
_HEADER_BYTES = 100
_ID_PLACE = slice(68, 72)
_BUSY_SECONDS = 30.0

# Signs that are written above or below letters (Mn, Mc) are part of words: without them
# each word of Hindi would fall into pieces.
_TABLES = """
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE chat (
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    part INTEGER NOT NULL,
    digest BLOB NOT NULL,
    facts TEXT NOT NULL,
    UNIQUE (source, part)
);
CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE message (
    chat INTEGER NOT NULL,
    position INTEGER NOT NULL,
    ids TEXT NOT NULL,
    time INTEGER,
    "end" REAL,
    sender INTEGER NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (chat, position)
) WITHOUT ROWID;
CREATE TABLE window (
    id INTEGER PRIMARY KEY,
    document TEXT NOT NULL,
    digest BLOB NOT NULL,
    chat INTEGER NOT NULL,
    start INTEGER NOT NULL,
    stop INTEGER NOT NULL,
    first INTEGER,
    last INTEGER,
    UNIQUE (chat, document)
);
CREATE TABLE vector (window INTEGER PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE forgotten (digest BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE VIRTUAL TABLE words USING fts5 (
    text,
    tokenize = "porter unicode61 remove_diacritics 2 categories 'L* N* Co Mn Mc'"
);
"""


def open_index(path: Path | None) -> sqlite3.Connection:
    """Open a search index, and create it if there is none.

    Args:
        path: Its file, which only its owner can read; `None` for one in memory.

    Returns:
        The connection, for one thread at a time.

    Raises:
        ExportFormatError: If the file is something else, or of another version.
        ChatExportError: If the file cannot be written, or this Python's SQLite has no
            full-text search.
    """
    if path is None:
        return _connected(":memory:")
    try:
        is_new = not path.exists() or (path.is_file() and path.stat().st_size == 0)
        if not is_new and not is_index(path):
            msg = (
                f"{path} is not a search index, and is left as it is. Name a file that "
                "does not exist yet, or one that chatexports has made."
            )
            raise ExportFormatError(msg, path=path)
        if is_new:
            _create_private(path)
        else:
            path.chmod(0o600)
        with explained(path):
            return _connected(str(path))
    except ChatExportError:
        raise
    except OSError as error:
        raise cannot_write(path, error) from error


@contextmanager
def explained(path: Path | None) -> Iterator[None]:
    """Raise errors that name a remedy in place of SQLite's.

    Args:
        path: The index; `None` for one in memory.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        if "locked" in str(error):
            remedy = "Another program writes into it: try again when that is done."
        elif "full" in str(error):
            remedy = "Free some space, or keep it on another disk."
        elif "closed" in str(error):
            remedy = "Open it again, or close it later."
        else:
            remedy = "If it is damaged, delete it: it is made again of the export."
        msg = f"The search index {path} cannot be used ({error}). {remedy}"
        raise ExportFormatError(msg, path=path) from error


def is_index(path: Path) -> bool:
    """Return whether a file is a search index, by its header."""
    try:
        with open_regular_file(path) as file:
            header = file.read(_HEADER_BYTES)
    except (OSError, ExportFormatError):
        return False
    return header[_ID_PLACE] == _APPLICATION_ID.to_bytes(4, "big")


def setting(connection: sqlite3.Connection, name: str) -> str | None:
    """Return a setting of an index; `None` if it has none."""
    row = connection.execute(
        "SELECT value FROM setting WHERE name = ?", (name,)
    ).fetchone()
    return None if row is None else str(row[0])


def set_setting(connection: sqlite3.Connection, name: str, value: str) -> None:
    """Change a setting of an index."""
    connection.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (name, value))


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Write all of a block's changes or none."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        # Fails too, while another program reads.
        connection.commit()
    except BaseException:
        connection.rollback()
        raise


@contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """Read all of a block from one state, also while another program writes."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.rollback()


def _create_private(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # SQLite gives its journal the mode of the file.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    path.chmod(0o600)


def _connected(name: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        name, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        # What is deleted is overwritten.
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        _check_tables(connection, name)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_tables(connection: sqlite3.Connection, name: str) -> None:
    version = _version(connection)
    if version == 0:
        _create_tables(connection)
    elif version != _VERSION:
        msg = (
            f"The search index {name} is of another version of chatexports. Delete it: "
            "it is made again of the export."
        )
        raise ExportFormatError(msg, path=Path(name))


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _create_tables(connection: sqlite3.Connection) -> None:
    try:
        with transaction(connection):
            if _version(connection):  # Another process made them meanwhile.
                return
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            for statement in _TABLES.split(";\n"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {_VERSION}")
    except sqlite3.OperationalError as error:
        if "no such module" not in str(error):
            raise
        msg = (
            f"The SQLite of this Python ({sqlite3.sqlite_version}) has no full-text "
            "search (FTS5). Use a Python that has it, such as python.org's, or put the "
            "documents of sessions_to_documents into a vector store."
        )
        raise ChatExportError(msg) from error
