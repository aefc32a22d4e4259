"""Open an untrusted SQLite file without changing it or the files next to it.

A read-write connection would merge the log (`-wal`) into the user's file, and a
read-only one creates files next to it. So a file without a log is opened as immutable,
and one with a log is copied with it to a private folder and read there. A journal is
never copied, since SQLite would delete the file that it names. No code of the schema
runs, because only stored tables are read. See sqlite.org/security.html.
"""

import os
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import islice
from operator import methodcaller
from pathlib import Path
from typing import Any
from urllib.parse import quote

from langchain_chatexports._regular_files import (
    check_regular_file,
    no_access,
    open_regular_file,
    system_errors,
)
from langchain_chatexports._temporary import private_folder
from langchain_chatexports.exceptions import ExportAccessError, ExportFormatError

_ACCESS_REMEDY = (
    "On a Mac, copy chat.db, chat.db-wal and chat.db-shm together in Finder and load "
    "the copy (without chat.db-wal the newest messages are missing), or grant your "
    "terminal Full Disk Access in System Settings > Privacy & Security."
)
_MAGIC = b"SQLite format 3\0"
_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
_HEADER_BYTES, _LOG_HEADER_BYTES = 100, 32
_COPY_ATTEMPTS = 2
# The largest text or blob to read; real messages have a few MB at most.
_MAX_VALUE_BYTES = 64 * 1024 * 1024
_STEPS_BETWEEN_CHECKS = 10_000
# A full pass takes up to 10 steps of SQLite's virtual machine per byte of the file;
# circular pages take any number.
_MAX_STEPS_PER_BYTE = 50
_MIN_STEPS = 20_000_000
# SQLite's errors if the system blocks it, although plain reads may be allowed.
_BLOCKED = ("authorization denied", "unable to open database file", "database is lock")
_BAD_TEXT = "Could not decode to UTF-8"
# Error texts of SQLite that quote nothing from the file.
_KNOWN = ("disk I/O error", "database or disk is full", "out of memory", "too big")


class Database:
    """An open database; its errors are this package's, and quote nothing from it."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        self.path = path
        steps = max(_MIN_STEPS, size_bytes * _MAX_STEPS_PER_BYTE)
        self._checks_left = steps // _STEPS_BETWEEN_CHECKS
        self._connection: sqlite3.Connection

    def connect(self, path: Path, mode: str) -> sqlite3.Connection:
        """Connect to the file, or to a copy of it."""
        # An unquoted ?, # or % would open another, empty database.
        place = quote(os.fsencode(f"/{path.as_posix().removeprefix('/')}"))
        with self._our_errors(), ExitStack() as on_error:
            # The generator with the connection may be closed from another thread.
            connection = sqlite3.connect(
                f"file://{place}?{mode}",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
            )
            on_error.callback(connection.close)
            connection.set_progress_handler(self._is_used_up, _STEPS_BETWEEN_CHECKS)
            if sys.version_info >= (3, 11):
                connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE_BYTES)
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA cell_size_check = ON")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            on_error.pop_all()
        self._connection = connection
        return connection

    def query(self, sql: str, values: Any = ()) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query, with U+FFFD for badly encoded text."""
        with self._our_errors():
            count = 0
            try:
                for row in self._connection.execute(sql, values):
                    yield row
                    count += 1
            except sqlite3.OperationalError as error:
                if _BAD_TEXT not in str(error):
                    raise
            else:
                return
            # Only decode with replacement if needed: it calls Python for each text.
            self._connection.text_factory = methodcaller("decode", "utf-8", "replace")
            yield from islice(self._connection.execute(sql, values), count, None)

    def columns(self, table: str) -> frozenset[str]:
        """Return the columns of a stored table in lower case; empty if missing."""
        # Only stored tables have a root page.
        sql = (
            "SELECT type IS 'table' AND coalesce(rootpage, 0) > 0 "
            "FROM sqlite_master WHERE lower(name) = ?"
        )
        is_stored = list(self.query(sql, (table.lower(),)))
        columns = list(self.query(f"PRAGMA table_xinfo({table})"))
        if (0,) in is_stored or any(is_computed for *_, is_computed in columns):
            msg = (
                f"{self.path}: '{table}' is a view, a virtual table or one with "
                "computed columns, which Messages does not create. If another program "
                "made the database, let it write plain tables."
            )
            raise ExportFormatError(msg, path=self.path)
        return frozenset(column[1].lower() for column in columns)

    def _is_used_up(self) -> bool:
        self._checks_left -= 1
        return self._checks_left < 0

    @contextmanager
    def _our_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            # Leave out the cause, since SQLite quotes text from the file.
            raise self._explained(str(error)) from None
        except UnicodeDecodeError:
            # SQLite's error quotes a damaged schema, which Python cannot decode.
            raise _damaged(self.path, "its schema is unreadable") from None

    def _explained(self, text: str) -> BaseException:
        if self._checks_left < 0:
            return _damaged(
                self.path, "reading it takes more work than its size allows"
            )
        if text == "interrupted":  # SQLite swallows the exception of a signal.
            return KeyboardInterrupt()
        if any(sign in text for sign in _BLOCKED):
            return no_access(self.path, self.path, _ACCESS_REMEDY)
        if "not a database" in text:
            return _not_a_database(self.path)
        if "malformed" in text or not text:
            return _damaged(self.path, "its schema or a page is malformed")
        reason = next((known for known in _KNOWN if known in text), "SQLite refuses it")
        msg = (
            f"{self.path} cannot be read as a Messages database ({reason}). "
            "Check that it is chat.db or sms.db, and copy it again."
        )
        return ExportFormatError(msg, path=self.path)


@contextmanager
def open_database(path: Path) -> Iterator[Database]:
    """Open the current state of a database, and leave all files unchanged."""
    path_status(path)
    real = Path(os.path.realpath(path))  # The log is next to the target of a link.
    with ExitStack() as stack:
        with system_errors(path, _ACCESS_REMEDY):
            _check_files(path, real)
            database = Database(path, real.stat().st_size + _size(_log(real)))
            stack.enter_context(closing(_connected(database, real, stack)))
        yield database


def path_status(path: Path) -> os.stat_result:
    """Return the status of a path given by the user."""
    # Since Python 3.14, `Path.exists` hides a refusal.
    with system_errors(path, _ACCESS_REMEDY):
        return path.stat()


def exists(path: Path) -> bool:
    """Return whether a path exists; raise an error if the system refuses."""
    try:
        path.stat()
    except PermissionError as error:
        raise no_access(path, path, _ACCESS_REMEDY) from error
    except OSError:
        return False
    return True


def is_sqlite_file(path: Path) -> bool:
    """Return whether a file begins like an SQLite database."""
    return read_head(path, len(_MAGIC)) == _MAGIC


def read_head(path: Path, count: int) -> bytes:
    """Return the first bytes of a file; empty if there is no file."""
    with (
        system_errors(path, _ACCESS_REMEDY),
        suppress(FileNotFoundError),
        open_regular_file(path) as file,
    ):
        return file.read(count)
    return b""


def _check_files(path: Path, real: Path) -> None:
    """Raise an error unless a database is complete and not being changed."""
    # For the offsets see sqlite.org/fileformat2.html#the_database_header
    head = read_head(path, _HEADER_BYTES)
    if not head:
        msg = (
            f"{path} is empty (0 bytes). It is not the Messages database, "
            "or the copy failed: copy it again."
        )
        raise ExportFormatError(msg, path=path)
    if not head.startswith(_MAGIC):
        raise _not_a_database(path)
    log, journal = _log(real), real.with_name(f"{real.name}-journal")
    if read_head(log, 1) and log.is_symlink():
        msg = (
            f"{log} is a link, and may lead to another database's log. Replace the "
            "link by the log itself, or remove it."
        )
        raise ExportFormatError(msg, path=path)
    if read_head(journal, len(_JOURNAL_MAGIC)) == _JOURNAL_MAGIC:
        msg = (
            f"{path} is in the middle of a change, which {journal.name} next to it "
            "would undo. Messages leaves no such file: open the database once with the "
            "program that wrote it, and copy it again, or move that file away."
        )
        raise ExportFormatError(msg, path=journal)
    # SQLite would read the rest of a truncated page as a complete one.
    page = int.from_bytes(head[16:18], "big")
    page = 65536 if page == 1 else page
    size, count = real.stat().st_size, int.from_bytes(head[28:32], "big")
    missing = -size % page if page else 0
    is_count_kept = head[24:28] == head[92:96]  # Old versions do not update it.
    if count and is_count_kept and not _size(log):
        missing = count * page - size
    if missing > 0:
        raise _damaged(path, f"{missing} bytes are missing at its end")


def _connected(database: Database, path: Path, stack: ExitStack) -> sqlite3.Connection:
    if not _size(_log(path)):
        # macOS blocks SQLite on the live file even where plain reads are allowed.
        with suppress(ExportAccessError):
            return database.connect(path, "mode=ro&immutable=1")
    copy = stack.enter_context(private_folder()) / "chat.db"
    _copy(path, copy)
    return database.connect(copy, "mode=ro")


def _copy(path: Path, copy: Path) -> None:
    """Copy a database and its log in a consistent state."""
    for _ in range(_COPY_ATTEMPTS):
        before = _moment(path)
        try:
            for source, target in ((path, copy), (_log(path), _log(copy))):
                target.unlink(missing_ok=True)
                if _size(source):
                    check_regular_file(source)
                    shutil.copyfile(source, target)
        except FileNotFoundError:
            continue  # The log was just merged into the main file.
        except PermissionError:
            raise
        except OSError as error:
            msg = (
                f"{path} cannot be copied to {copy.parent} ({error.strerror}). Its "
                "newest messages are in its -wal file, so it is read from a private "
                "copy: free some space there, or set TMPDIR to a folder that has it."
            )
            raise ExportAccessError(msg, path=path) from error
        if _moment(path) == before:
            return
    msg = (
        f"{path} changed while it was copied, twice. Quit Messages (on the Mac that "
        "holds it) and try again."
    )
    raise ExportAccessError(msg, path=path)


def _moment(path: Path) -> tuple[object, ...]:
    """Return values that change when pages move from the log to the main file.

    A growing log is harmless: SQLite reads up to its last complete commit.
    """
    main = path.stat()
    return main.st_size, main.st_mtime_ns, read_head(_log(path), _LOG_HEADER_BYTES)


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _size(path: Path) -> int:
    return path.stat().st_size if exists(path) else 0


def _damaged(path: Path, reason: str) -> ExportFormatError:
    msg = (
        f"{path} is damaged or cut short ({reason}). If it is a copy, make it again "
        "with Messages closed, and copy chat.db, chat.db-wal and chat.db-shm together."
    )
    return ExportFormatError(msg, path=path)


def _not_a_database(path: Path) -> ExportFormatError:
    msg = (
        f"{path} is not an SQLite database. It is another kind of file, or encrypted: "
        "give the path of chat.db, or of sms.db from an unencrypted backup."
    )
    return ExportFormatError(msg, path=path)
