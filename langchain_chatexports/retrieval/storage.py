"""The SQLite file of a search index."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from langchain_chatexports._files import cannot_write
from langchain_chatexports._regular_files import open_regular_file
from langchain_chatexports.exceptions import ExportFormatError

_VERSION = 3
# In SQLite's header: the version at byte 60, and the application ("CEXI") at byte 68.
_APPLICATION_ID = 0x43455849
_HEADER_BYTES = 100
_VERSION_PLACE = slice(60, 64)
_ID_PLACE = slice(68, 72)
_BUSY_SECONDS = 30.0

# Marks above or below letters (Mn, Mc) are part of words, as in Hindi.
_TABLES = (
    "CREATE TABLE note (value TEXT NOT NULL)",
    "CREATE TABLE chat (id INTEGER PRIMARY KEY, facts TEXT NOT NULL)",
    """CREATE TABLE message (
        chat INTEGER NOT NULL,
        position INTEGER NOT NULL,
        ids TEXT NOT NULL,
        time INTEGER,
        sender TEXT NOT NULL,
        text TEXT NOT NULL,
        PRIMARY KEY (chat, position)
    ) WITHOUT ROWID""",
    """CREATE TABLE window (
        id INTEGER PRIMARY KEY,
        chat INTEGER NOT NULL,
        start INTEGER NOT NULL,
        stop INTEGER NOT NULL,
        first INTEGER,
        last INTEGER
    )""",
    """CREATE VIRTUAL TABLE words USING fts5 (
        text,
        tokenize = "porter unicode61 remove_diacritics 2 categories 'L* N* Co Mn Mc'"
    )""",
)


def open_index(path: Path | None) -> sqlite3.Connection:
    """Open a search index; create it, readable by its owner only, if there is none.

    Without a path it is in memory. Only one thread may use the connection at a time.
    """
    if path is not None:
        _check_file(path)
    with explained(path):
        connection = sqlite3.connect(
            path or ":memory:",
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
    try:
        with explained(path):
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("PRAGMA temp_store = MEMORY")
            with transaction(connection, write=_version(connection) == 0):
                version = _version(connection)
                if version == 0:
                    connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                    empty(connection)
                    connection.execute(f"PRAGMA user_version = {_VERSION}")
    except BaseException:
        connection.close()
        raise
    if version in {0, _VERSION}:
        return connection
    connection.close()
    msg = (
        f"The search index {path} is of another version of chatexports. Delete it: it "
        "is rebuilt from the export."
    )
    raise ExportFormatError(msg, path=path)


def _check_file(path: Path) -> None:
    """Create an empty file if there is none; raise an error for other files."""
    try:
        if not path.exists() or (path.is_file() and path.stat().st_size == 0):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # SQLite gives its journal the mode of the file.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        elif not is_index(path):
            msg = (
                f"{path} is not a search index, and was not changed. Name a new file, "
                "or an index by chatexports."
            )
            raise ExportFormatError(msg, path=path)
        path.chmod(0o600)
    except OSError as error:
        raise cannot_write(path, error) from error


@contextmanager
def explained(path: Path | None) -> Iterator[None]:
    """Raise errors that name the file in place of SQLite's."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        msg = (
            f"The search index {path} cannot be used ({error}). If it is damaged, "
            "delete it: it is rebuilt from the export."
        )
        raise ExportFormatError(msg, path=path) from error


def is_index(path: Path, *, current: bool = False) -> bool:
    """Return whether a file is a search index, or one of the current version."""
    try:
        with open_regular_file(path) as file:
            header = file.read(_HEADER_BYTES)
    except (OSError, ExportFormatError):
        return False
    is_ours = header[_ID_PLACE] == _APPLICATION_ID.to_bytes(4, "big")
    is_current = header[_VERSION_PLACE] == _VERSION.to_bytes(4, "big")
    return is_ours and (is_current or not current)


def delete_index(path: Path) -> None:
    """Delete an index with its journal, which contains texts after a killed update."""
    try:
        path.unlink(missing_ok=True)
        path.with_name(f"{path.name}-journal").unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error


@contextmanager
def transaction(
    connection: sqlite3.Connection, *, write: bool = False
) -> Iterator[None]:
    """Run a `with` block in a transaction."""
    connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
    try:
        yield
        # May fail while another program reads.
        connection.commit()
    except BaseException:
        connection.rollback()
        raise


def empty(connection: sqlite3.Connection) -> None:
    """Remove all rows within a transaction; deleted data is overwritten."""
    for table in ("words", "window", "message", "chat", "note"):
        connection.execute(f"DROP TABLE IF EXISTS {table}")
    for statement in _TABLES:
        connection.execute(statement)


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
