"""Open a Messages database for reading without leaving a trace.

A read-write connection would merge the write-ahead log into the user's file; a
read-only one leaves `-wal` and `-shm` files beside it, or rewrites the `-shm` that is
there. So a file without a log is opened as immutable, and one with a log is read from a
private copy of both.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from contextlib import ExitStack, closing, contextmanager
from operator import methodcaller
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from langchain_chatexports.exceptions import (
    ChatExportError,
    ExportAccessError,
    ExportFormatError,
    ExportNotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "access_refused",
    "is_sqlite_file",
    "open_database",
    "path_status",
]

_MAGIC = b"SQLite format 3\0"
_LOGS = ("-wal", "-journal")
_WAL_HEADER_BYTES = 32
# The format's header: https://sqlite.org/fileformat2.html#the_database_header
_HEADER_BYTES = 100
_PAGE_SIZE, _PAGES = slice(16, 18), slice(28, 32)
_CHANGES, _CHANGES_AT_PAGES = slice(24, 28), slice(92, 96)
_LARGEST_PAGE = 65536
_LOCK_BYTE = 2**30
_FRAME_HEADER_BYTES = 24
_COPY_ATTEMPTS = 2
# What a blocked file says at the first query, if its copy may still be readable.
_BLOCKED = ("authorization denied", "unable to open database file", "database is lock")

PRIVACY_REMEDY = (
    "On a Mac, copy chat.db, chat.db-wal and chat.db-shm together in Finder and load "
    "the copy (without chat.db-wal the newest messages are missing), or grant your "
    "terminal Full Disk Access in System Settings > Privacy & Security."
)


def path_status(
    path: Path,
    *,
    wanted: str = "chat.db, sms.db, a folder that holds one, or a Finder backup",
) -> os.stat_result:
    """Give what the system knows of a path that the user named.

    Args:
        path: The path.
        wanted: What should have been there, for the error.

    Returns:
        Its status.

    Raises:
        ExportNotFoundError: If there is nothing.
        ExportAccessError: If the system refuses to tell.
    """
    # Not `Path.exists`: since Python 3.14 it hides a refusal.
    try:
        return path.stat()
    except PermissionError as error:
        raise access_refused(path) from error
    except (OSError, ValueError) as error:
        msg = f"There is no file or folder at {path}. Give the path of {wanted}."
        raise ExportNotFoundError(msg) from error


def access_refused(path: Path) -> ExportAccessError:
    """Build the error for a path that the system does not let us read."""
    msg = f"The system refuses access to {path}. {PRIVACY_REMEDY}"
    return ExportAccessError(msg)


@contextmanager
def open_database(path: Path) -> Iterator[sqlite3.Connection]:
    """Open an SQLite database as it is at this moment, and leave it untouched.

    Errors of SQLite in the body become errors of this package, too.

    Args:
        path: The database file.

    Yields:
        A connection in a read transaction; badly encoded text is read with U+FFFD.

    Raises:
        ExportNotFoundError: If the file is missing.
        ExportAccessError: If the system refuses to read it.
        ExportFormatError: If it is no database, or a damaged one.
    """
    path_status(path)
    # SQLite looks for the log beside the file that a link leads to.
    real = Path(os.path.realpath(path))
    with ExitStack() as resources:
        try:
            _check_header(path)
            yield _connect(real, resources)
        except sqlite3.Error as error:
            raise _explained(path, error) from error
        except UnicodeDecodeError:
            # SQLite's words quote a damaged schema, which Python then cannot decode.
            raise _damaged(path, "its schema is unreadable") from None
        except PermissionError as error:
            if isinstance(error, ChatExportError):
                raise
            raise access_refused(path) from error


def _explained(path: Path, error: sqlite3.Error) -> ChatExportError:
    """Turn an error of SQLite into one that says what to do."""
    text = str(error)
    if any(sign in text for sign in _BLOCKED):
        return access_refused(path)
    if "not a database" in text:
        return _not_a_database(path)
    # Python 3.10 gives no text where it cannot decode what SQLite quotes.
    if "malformed" in text or not text:
        # In brackets stands what was found in place of a schema.
        return _damaged(path, text.partition(" (")[0] or "its schema is malformed")
    msg = (
        f"{path} cannot be read as a Messages database ({text}). "
        "Check that it is chat.db or sms.db, and copy it again."
    )
    return ExportFormatError(msg)


def _damaged(path: Path, reason: str) -> ExportFormatError:
    msg = (
        f"{path} is damaged or cut short ({reason}). If it is a copy, make it again "
        "with Messages closed, and copy chat.db, chat.db-wal and chat.db-shm "
        "together."
    )
    return ExportFormatError(msg)


def _not_a_database(path: Path) -> ExportFormatError:
    """Build the error for a file that is not SQLite's."""
    msg = (
        f"{path} is not an SQLite database. It is another kind of file, or encrypted: "
        "give the path of chat.db, or of sms.db from an unencrypted backup."
    )
    return ExportFormatError(msg)


def is_sqlite_file(path: Path) -> bool:
    """Tell whether a file begins as SQLite's do."""
    try:
        return _head(path, len(_MAGIC)) == _MAGIC
    except PermissionError as error:
        raise access_refused(path) from error


def _check_header(path: Path) -> None:
    head = _head(path, len(_MAGIC))
    if not head:
        msg = (
            f"{path} is empty (0 bytes). It is not the Messages database, "
            "or the copy failed: copy it again."
        )
        raise ExportFormatError(msg)
    if head != _MAGIC:
        raise _not_a_database(path)


class _Gap(NamedTuple):
    """What a database file lacks at its end."""

    size_bytes: int
    page_bytes: int
    pages: range


def _gap(path: Path) -> _Gap | None:
    """Tell what a database file lacks of what its header says.

    SQLite takes a page that is cut for a whole one, and reads what is left of it.
    """
    with path.open("rb") as file:
        head = file.read(_HEADER_BYTES)
        # After the header: a file that grows meanwhile is not cut.
        size = os.fstat(file.fileno()).st_size
    page = int.from_bytes(head[_PAGE_SIZE], "big")
    page = _LARGEST_PAGE if page == 1 else page
    if len(head) < _HEADER_BYTES or page == 0:
        return None  # SQLite itself refuses such a header.
    count = int.from_bytes(head[_PAGES], "big")
    if count == 0 or head[_CHANGES] != head[_CHANGES_AT_PAGES]:
        count = -(-size // page)  # Not kept by an old SQLite.
    missing = count * page - size
    # Bytes behind the last page do no harm: nothing reads them.
    return (
        _Gap(missing, page, range(size // page + 1, count + 1)) if missing > 0 else None
    )


def _is_filled(gap: _Gap, log: Path) -> bool:
    """Tell whether a write-ahead log holds every page that the main file lacks."""
    frame = _FRAME_HEADER_BYTES + gap.page_bytes
    places = range(_WAL_HEADER_BYTES, _size(log) - frame + 1, frame)
    if len(gap.pages) > len(places):
        return False
    held = {_LOCK_BYTE // gap.page_bytes + 1}  # A page that is never written.
    with log.open("rb") as file:
        for place in places:
            file.seek(place)
            held.add(int.from_bytes(file.read(4), "big"))
    return held.issuperset(gap.pages)


def _connect(path: Path, resources: ExitStack) -> sqlite3.Connection:
    gap = _gap(path)
    logs = [log for log in _LOGS if _size(_beside(path, log))]
    # The main file can be in the middle of a change that its log completes or undoes.
    if gap and "-journal" not in logs and not _is_filled(gap, _beside(path, "-wal")):
        raise _damaged(path, f"{gap.size_bytes} bytes are missing at its end")
    if not logs:
        try:
            return _begin(path, "mode=ro&immutable=1", resources)
        except sqlite3.DatabaseError as error:
            # macOS blocks SQLite on the live file even where plain reads are allowed.
            if not any(sign in str(error) for sign in _BLOCKED):
                raise
    folder = Path(
        resources.enter_context(tempfile.TemporaryDirectory(prefix="chatexports-"))
    )
    # Nobody else knows the copy, so SQLite may write its side files there.
    return _begin(_private_copy(path, folder), "mode=rw", resources)


def _begin(path: Path, mode: str, resources: ExitStack) -> sqlite3.Connection:
    # Whoever closes the generator that holds this may do so from another thread.
    connection = sqlite3.connect(
        f"{_uri(path)}?{mode}", uri=True, isolation_level=None, check_same_thread=False
    )
    try:
        connection.text_factory = methodcaller("decode", "utf-8", "replace")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        connection.execute("BEGIN")
    except (sqlite3.Error, UnicodeDecodeError):
        connection.close()
        raise
    resources.enter_context(closing(connection))
    return connection


def _uri(path: Path) -> str:
    # An unquoted ?, # or % would open another, empty database.
    absolute = path.as_posix()
    rooted = absolute if absolute.startswith("/") else f"/{absolute}"
    return f"file://{quote(os.fsencode(rooted))}"


def _private_copy(path: Path, folder: Path) -> Path:
    """Copy a database and its log so that both belong to one moment."""
    copy = folder / "chat.db"
    for _ in range(_COPY_ATTEMPTS):
        before = _moment(path)
        if _copied(path, copy) and _moment(path) == before:
            return copy
    msg = (
        f"{path} changed while it was copied, twice. Quit Messages (on the Mac that "
        "holds it) and try again."
    )
    raise ExportAccessError(msg)


def _copied(path: Path, copy: Path) -> bool:
    try:
        shutil.copyfile(path, copy)
        for log in _LOGS:
            beside = _beside(copy, log)
            beside.unlink(missing_ok=True)
            if _size(_beside(path, log)):
                shutil.copyfile(_beside(path, log), beside)
    except PermissionError:
        raise
    except FileNotFoundError:
        return False  # The log was merged into the main file in this moment.
    except OSError as error:
        msg = (
            f"{path} cannot be copied to {copy.parent} ({error.strerror}). Its newest "
            "messages are in its -wal file, so it is read from a private copy: free "
            "some space there, or set TMPDIR to a folder that has it."
        )
        raise ExportAccessError(msg) from error
    return True


def _moment(path: Path) -> tuple[object, ...]:
    """Give what changes when pages move from the log to the main file.

    A log that merely grows does no harm: SQLite reads up to its last whole commit.
    """
    main = path.stat()
    return (
        main.st_size,
        main.st_mtime_ns,
        _head(_beside(path, "-wal"), _WAL_HEADER_BYTES),
    )


def _head(path: Path, count: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(count)
    except FileNotFoundError:
        return b""


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
