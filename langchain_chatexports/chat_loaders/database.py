"""Open an untrusted SQLite file without changing it or the files next to it.

A read-write connection would merge the log (`-wal`) into the user's file, and a
read-only connection creates files next to it. So a database without a log is opened as
immutable, and a database with a log is copied to a private folder and read there.
Journals are never copied, since SQLite would delete the file named in them. Only stored
tables are read, so that no code from the schema runs. See sqlite.org/security.html.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import islice
from operator import methodcaller
from pathlib import Path
from typing import Any
from urllib.parse import quote

from langchain_chatexports._regular_files import (
    access_error,
    check_regular_file,
    open_regular_file,
    translate_os_errors,
)
from langchain_chatexports._temporary import private_folder
from langchain_chatexports._translation import Sentence
from langchain_chatexports.exceptions import ExportAccessError, ExportFormatError

_ACCESS_REMEDY = Sentence(
    "On a Mac, copy chat.db, chat.db-wal and chat.db-shm together in Finder and load "
    "the copy (without chat.db-wal the newest messages are missing), or grant your "
    "terminal Full Disk Access in System Settings > Privacy & Security."
)
_MAGIC = b"SQLite format 3\0"
_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
_HEADER_BYTES, _LOG_HEADER_BYTES = 100, 32
_COPY_ATTEMPTS = 2
# The limit for a string or blob. Real messages have a few MB at most.
_MAX_VALUE_BYTES = 64 * 1024 * 1024
_STEPS_BETWEEN_CHECKS = 10_000
# A full scan takes up to 10 virtual machine steps per byte of the file. Circular pages
# would take forever.
_MAX_STEPS_PER_BYTE = 50
_MIN_STEPS = 20_000_000
# SQLite errors if the system blocks it. Plain reads may still be allowed.
_BLOCKED_ERRORS = (
    "authorization denied",
    "unable to open database file",
    "database is lock",
)
_BAD_TEXT = "Could not decode to UTF-8"
# SQLite errors that quote no text from the file.
_SAFE_ERRORS = (
    "disk I/O error",
    "database or disk is full",
    "out of memory",
    "too big",
)


class Database:
    """An open database. Its errors quote no text from the file."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        self.path = path
        steps = max(_MIN_STEPS, size_bytes * _MAX_STEPS_PER_BYTE)
        self._checks_left = steps // _STEPS_BETWEEN_CHECKS
        self._connection: sqlite3.Connection

    def connect(self, path: Path, mode: str) -> sqlite3.Connection:
        """Connect to the file or to its copy."""
        # With an unquoted ?, # or %, SQLite would open another, empty database.
        quoted_path = quote(os.fsencode(f"/{path.as_posix().removeprefix('/')}"))
        with self._translate_errors(), ExitStack() as on_error:
            # Another thread may close the generator that uses the connection.
            connection = sqlite3.connect(
                f"file://{quoted_path}?{mode}",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
            )
            on_error.callback(connection.close)
            connection.set_progress_handler(self._is_over_budget, _STEPS_BETWEEN_CHECKS)
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE_BYTES)
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA cell_size_check = ON")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            on_error.pop_all()
        self._connection = connection
        return connection

    def query(self, sql: str, values: Any = ()) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query, replacing badly encoded bytes with U+FFFD."""
        with self._translate_errors():
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
            # Enable replacement only now: it calls Python for every string.
            self._connection.text_factory = methodcaller("decode", "utf-8", "replace")
            yield from islice(self._connection.execute(sql, values), count, None)

    def get_columns(self, table: str) -> frozenset[str]:
        """Return a table's columns in lower case, or an empty set if it is missing."""
        # Only stored tables have a root page.
        sql = (
            "SELECT type IS 'table' AND coalesce(rootpage, 0) > 0 "
            "FROM sqlite_master WHERE lower(name) = ?"
        )
        stored_flags = list(self.query(sql, (table.lower(),)))
        columns = list(self.query(f"PRAGMA table_xinfo({table})"))
        if (0,) in stored_flags or any(is_computed for *_, is_computed in columns):
            msg = (
                f"{self.path}: '{table}' is a view, a virtual table or a table with "
                "computed columns, which Messages does not create. If another program "
                "made the database, export plain tables there."
            )
            raise ExportFormatError(msg, path=self.path)
        return frozenset(column[1].lower() for column in columns)

    def _is_over_budget(self) -> bool:
        self._checks_left -= 1
        return self._checks_left < 0

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            # Hide the cause, since SQLite quotes text from the file.
            raise self._convert_error(str(error)) from None
        except UnicodeDecodeError:
            # Python cannot decode the damaged schema that SQLite quotes.
            raise _damage_error(self.path, "its schema is unreadable") from None

    def _convert_error(self, text: str) -> BaseException:
        if self._checks_left < 0:
            return _damage_error(
                self.path, "reading it takes more work than its size allows"
            )
        if text == "interrupted":  # SQLite hides the signal's exception.
            return KeyboardInterrupt()
        if any(error in text for error in _BLOCKED_ERRORS):
            return access_error(self.path, self.path, _ACCESS_REMEDY)
        if "not a database" in text:
            return _not_a_database_error(self.path)
        if "malformed" in text or not text:
            return _damage_error(self.path, "its schema or a page is malformed")
        reason = next(
            (error for error in _SAFE_ERRORS if error in text), "SQLite failed"
        )
        msg = (
            f"{self.path} cannot be read as a Messages database ({reason}). "
            "Check that it is chat.db or sms.db, and copy it again."
        )
        return ExportFormatError(msg, path=self.path)


@contextmanager
def open_database(path: Path) -> Iterator[Database]:
    """Open a database with its log, without changing any file."""
    stat_path(path)
    real = Path(os.path.realpath(path))  # The log is next to the target of a link.
    with ExitStack() as stack:
        with translate_os_errors(path, _ACCESS_REMEDY):
            _check_files(path, real)
            database = Database(path, real.stat().st_size + _file_size(_log_path(real)))
            stack.enter_context(closing(_connect(database, real, stack)))
        yield database


def stat_path(path: Path) -> os.stat_result:
    """Return the status of a path given by the user."""
    # Since Python 3.14, `Path.exists` hides permission errors.
    with translate_os_errors(path, _ACCESS_REMEDY):
        return path.stat()


def path_exists(path: Path) -> bool:
    """Return whether a path exists, or raise an error if access is denied."""
    try:
        path.stat()
    except PermissionError as error:
        raise access_error(path, path, _ACCESS_REMEDY) from error
    except OSError:
        return False
    return True


def is_sqlite_file(path: Path) -> bool:
    """Return whether a file has the SQLite header."""
    return read_head(path, len(_MAGIC)) == _MAGIC


def read_head(path: Path, count: int) -> bytes:
    """Return the first bytes of a file, or no bytes if it is missing."""
    with (
        translate_os_errors(path, _ACCESS_REMEDY),
        suppress(FileNotFoundError),
        open_regular_file(path) as file,
    ):
        return file.read(count)
    return b""


def _check_files(path: Path, real: Path) -> None:
    """Raise an error if a database is incomplete or has an unfinished transaction."""
    # Offsets are from sqlite.org/fileformat2.html#the_database_header.
    head = read_head(path, _HEADER_BYTES)
    if not head:
        msg = (
            f"{path} is empty (0 bytes). It is not the Messages database, or the copy "
            "failed. Copy it again."
        )
        raise ExportFormatError(msg, path=path)
    if not head.startswith(_MAGIC):
        raise _not_a_database_error(path)
    log, journal = _log_path(real), real.with_name(f"{real.name}-journal")
    if read_head(log, 1) and log.is_symlink():
        msg = (
            f"{log} is a link, which may point to another database's log. Replace it "
            "with the log itself, or remove it."
        )
        raise ExportFormatError(msg, path=path)
    if read_head(journal, len(_JOURNAL_MAGIC)) == _JOURNAL_MAGIC:
        msg = (
            f"{path} has an unfinished transaction: {journal.name} next to it "
            "would roll it back. Messages does not use such journals. Open the "
            "database with the program that wrote it, and copy it again, or move the "
            "journal away."
        )
        raise ExportFormatError(msg, path=journal)
    # SQLite would read the rest of a truncated page as a complete one.
    page = int.from_bytes(head[16:18], "big")
    page = 65536 if page == 1 else page
    size, count = real.stat().st_size, int.from_bytes(head[28:32], "big")
    missing = -size % page if page else 0
    is_count_valid = head[24:28] == head[92:96]  # Old versions do not update it.
    if count and is_count_valid and not _file_size(log):
        missing = count * page - size
    if missing > 0:
        raise _damage_error(path, f"{missing} bytes are missing at its end")


def _connect(database: Database, path: Path, stack: ExitStack) -> sqlite3.Connection:
    if not _file_size(_log_path(path)):
        # macOS can block SQLite on the live file and still allow plain reads.
        with suppress(ExportAccessError):
            return database.connect(path, "mode=ro&immutable=1")
    copy = stack.enter_context(private_folder()) / "chat.db"
    _copy_with_log(path, copy)
    return database.connect(copy, "mode=ro")


def _copy_with_log(path: Path, copy: Path) -> None:
    """Copy a database and its log in a consistent state."""
    for _ in range(_COPY_ATTEMPTS):
        before = _copy_state(path)
        try:
            for source, target in ((path, copy), (_log_path(path), _log_path(copy))):
                target.unlink(missing_ok=True)
                if _file_size(source):
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
                "copy. Free some space there, or set TMPDIR to another folder."
            )
            raise ExportAccessError(msg, path=path) from error
        if _copy_state(path) == before:
            return
    msg = (
        f"{path} changed during both attempts to copy it. Quit Messages on the Mac "
        "where it is stored, and try again."
    )
    raise ExportAccessError(msg, path=path)


def _copy_state(path: Path) -> tuple[object, ...]:
    """Return a value that changes if pages move from the log to the main file.

    A growing log is harmless, since SQLite reads up to the last complete commit.
    """
    main = path.stat()
    return main.st_size, main.st_mtime_ns, read_head(_log_path(path), _LOG_HEADER_BYTES)


def _log_path(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _file_size(path: Path) -> int:
    return path.stat().st_size if path_exists(path) else 0


def _damage_error(path: Path, reason: str) -> ExportFormatError:
    msg = (
        f"{path} is damaged or truncated ({reason}). If it is a copy, quit Messages, "
        "and copy chat.db, chat.db-wal and chat.db-shm again, all three together."
    )
    return ExportFormatError(msg, path=path)


def _not_a_database_error(path: Path) -> ExportFormatError:
    msg = (
        f"{path} is not an SQLite database. It is another kind of file, or encrypted. "
        "Pass the path to chat.db, or to sms.db from an unencrypted backup."
    )
    return ExportFormatError(msg, path=path)
