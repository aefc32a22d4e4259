"""The database of a data directory, which server, trainer and commands share.

Each change is one transaction: it is done completely or not at all, also if a process
is killed. What is deleted is overwritten in the file. There is no message text in it.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

_VERSION = 1
_TIMEOUT_SECONDS = 30.0
_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS files (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    expires_at INTEGER,
    record TEXT  -- None until the upload is complete
);
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL,
    record TEXT NOT NULL,  -- what clients see
    private TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY,
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    step INTEGER,
    record TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS events_of_jobs ON events (job_id, step);
PRAGMA user_version = {_VERSION};
COMMIT;
"""


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the database for one or more queries."""
    # A missing database is an error, and not created.
    uri = f"{path.absolute().as_uri()}?mode=rw"
    with closing(
        sqlite3.connect(uri, uri=True, timeout=_TIMEOUT_SECONDS, isolation_level=None)
    ) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")
        if connection.execute("PRAGMA user_version").fetchone()[0] < _VERSION:
            connection.executescript(_SCHEMA)
        yield connection


@contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the database for one transaction, which an exception rolls back."""
    with reading(path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            yield connection


def is_disk_full(error: BaseException) -> bool:
    """Return whether SQLite could not write for want of space."""
    return isinstance(error, sqlite3.OperationalError) and "full" in str(error)
