"""The database of a data directory, shared by server, trainer and commands.

Each change is one transaction, so a killed process cannot leave a partial change.
Deleted data is overwritten in the file, which never contains message text.
"""

import errno
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from langchain_chatexports.exceptions import LocalServerError

_VERSION = 1
_TIMEOUT_SECONDS = 30.0
# No deletion needs a larger journal.
_MAX_JOURNAL_BYTES = 2**20
_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS files (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    record TEXT  -- None until the upload is complete
);
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL,
    record TEXT NOT NULL,  -- the object for clients
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


class DatabaseError(LocalServerError):
    """The database cannot be read or written; the message has the reason."""

    def __init__(self, path: Path, error: sqlite3.Error) -> None:
        self.is_full = "full" in str(error)
        if self.is_full:
            msg = f"The disk with {path.parent} is full. Free some space first."
        else:
            msg = f"{path} could not be read or written: {error}."
        super().__init__(msg)


@contextmanager
def connect(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the database for one or more queries."""
    # A missing database is not created.
    uri = f"{path.absolute().as_uri()}?mode=rw"
    try:
        with closing(
            sqlite3.connect(
                uri, uri=True, timeout=_TIMEOUT_SECONDS, isolation_level=None
            )
        ) as connection:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA secure_delete = ON")
            if connection.execute("PRAGMA user_version").fetchone()[0] < _VERSION:
                connection.executescript(_SCHEMA)
            yield connection
    except sqlite3.Error as error:
        raise DatabaseError(path, error) from error


@contextmanager
def transaction(
    path: Path, *, is_deletion: bool = False
) -> Iterator[sqlite3.Connection]:
    """Open the database for one transaction, rolled back by an exception."""
    with connect(path) as connection:
        if is_deletion and shutil.disk_usage(path.parent).free < _MAX_JOURNAL_BYTES:
            # On a full disk, only a deletion's journal needs space.
            connection.execute("PRAGMA journal_mode = MEMORY")
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            yield connection


def is_disk_full(error: BaseException) -> bool:
    """Return whether a write failed because the disk is full."""
    if isinstance(error, DatabaseError):
        return error.is_full
    return isinstance(error, OSError) and error.errno == errno.ENOSPC
