"""The SQLite file of a search index."""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from langchain_chatexports._files import write_error
from langchain_chatexports._regular_files import open_regular_file
from langchain_chatexports.exceptions import ExportFormatError

_VERSION = 3
# SQLite's header has the version at byte 60, and the application ("CEXI") at byte 68.
_APPLICATION_ID = 0x43455849
_HEADER_BYTES = 100
_VERSION_BYTES = slice(60, 64)
_APPLICATION_ID_BYTES = slice(68, 72)
_BUSY_SECONDS = 30.0

# Combining marks (Mn, Mc) belong to words, as in Hindi.
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
    """Open a search index, or create it with owner-only permissions.

    Without a path, it is in memory. Only one thread may use the connection at a time.
    """
    if path is not None:
        _check_file(path)
    with translate_sqlite_errors(path):
        connection = sqlite3.connect(
            path or ":memory:",
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
    try:
        with translate_sqlite_errors(path):
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("PRAGMA temp_store = MEMORY")
            with transaction(connection, write=_version(connection) == 0):
                version = _version(connection)
                if version == 0:
                    connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                    reset_tables(connection)
                    connection.execute(f"PRAGMA user_version = {_VERSION}")
    except BaseException:
        connection.close()
        raise
    if version in {0, _VERSION}:
        return connection
    connection.close()
    msg = (
        f"The search index {path} was written by another version of chatexports. "
        "Delete it: the next search rebuilds it from the export."
    )
    raise ExportFormatError(msg, path=path)


def _check_file(path: Path) -> None:
    """Create an empty file if none exists; raise an error if it is not an index."""
    try:
        if not path.exists() or (path.is_file() and path.stat().st_size == 0):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # SQLite creates the journal with the same mode as the database.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        elif not is_index(path):
            msg = (
                f"{path} is not a search index, and was not changed. Choose another "
                "path, or pass an index written by chatexports."
            )
            raise ExportFormatError(msg, path=path)
        path.chmod(0o600)
    except OSError as error:
        raise write_error(path, error) from error


@contextmanager
def translate_sqlite_errors(path: Path | None) -> Iterator[None]:
    """Translate SQLite errors to errors with the file name."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", None)
        if path is not None and code == sqlite3.SQLITE_FULL:
            full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            raise write_error(path, full) from error
        msg = (
            f"The search index {path} cannot be used ({error}). If it is damaged, "
            "delete it: the next search rebuilds it from the export."
        )
        raise ExportFormatError(msg, path=path) from error


def is_index(path: Path, *, current: bool = False) -> bool:
    """Return whether a file is a search index and, if `current`, of this version."""
    try:
        with open_regular_file(path) as file:
            header = file.read(_HEADER_BYTES)
    except (OSError, ExportFormatError):
        return False
    if header[_APPLICATION_ID_BYTES] != _APPLICATION_ID.to_bytes(4, "big"):
        return False
    return not current or header[_VERSION_BYTES] == _VERSION.to_bytes(4, "big")


def delete_index(path: Path) -> None:
    """Delete an index and its journal, which may have text from a killed update."""
    try:
        path.unlink(missing_ok=True)
        path.with_name(f"{path.name}-journal").unlink(missing_ok=True)
    except OSError as error:
        raise write_error(path, error) from error


@contextmanager
def transaction(
    connection: sqlite3.Connection, *, write: bool = False
) -> Iterator[None]:
    """Run a `with` block in a transaction."""
    connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
    try:
        yield
        # May fail while another process reads.
        connection.commit()
    except BaseException:
        connection.rollback()
        raise


def reset_tables(connection: sqlite3.Connection) -> None:
    """Recreate empty tables within a transaction; deleted data is overwritten."""
    for table in ("words", "window", "message", "chat", "note"):
        connection.execute(f"DROP TABLE IF EXISTS {table}")
    for statement in _TABLES:
        connection.execute(statement)


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
