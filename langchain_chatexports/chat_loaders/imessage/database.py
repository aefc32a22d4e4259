"""Open a Messages database read-only, without changing a file.

A read-write connection would merge the write-ahead log into the user's file; a
read-only one leaves `-wal` and `-shm` files beside it, or rewrites the `-shm` that is
there. So a file without a log is opened as immutable, and one with a log is read from a
private copy of both.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from langchain_chatexports._regular_files import open_regular_file
from langchain_chatexports.chat_loaders.imessage.connections import WorkLimit, connect
from langchain_chatexports.chat_loaders.imessage.private_copies import (
    JOURNAL,
    LOG,
    beside,
    check_neighbors,
    file_size,
    has_journal,
    private_copy_of,
    read_head,
)
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
_WAL_HEADER_BYTES = 32
# The format's header: https://sqlite.org/fileformat2.html#the_database_header
_HEADER_BYTES = 100
_PAGE_SIZE, _PAGES = slice(16, 18), slice(28, 32)
_CHANGES, _CHANGES_AT_PAGES = slice(24, 28), slice(92, 96)
_MAX_PAGE_BYTES = 65536
_LOCK_BYTE = 2**30
_FRAME_HEADER_BYTES = 24
# What a blocked file says at the first query, if its copy may still be readable.
_BLOCKED = ("authorization denied", "unable to open database file", "database is lock")
# Texts of SQLite that quote nothing.
_KNOWN = (
    "disk I/O error",
    "database or disk is full",
    "out of memory",
    "string or blob too big",
    "not authorized",
)

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
    """Return the status of a path that the user named.

    Args:
        path: The path.
        wanted: What the path should lead to, for the error.

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
        raise ExportNotFoundError(msg, path=path) from error


def access_refused(path: Path) -> ExportAccessError:
    """Build the error for a path that the system refuses to read."""
    msg = f"The system refuses access to {path}. {PRIVACY_REMEDY}"
    return ExportAccessError(msg, path=path)


@contextmanager
def open_database(path: Path) -> Iterator[sqlite3.Connection]:
    """Open an SQLite database as it is now, and leave it unchanged.

    Errors of SQLite in the body become errors of this package, too.

    Args:
        path: The database file.

    Yields:
        A connection in a read transaction; badly encoded text is read with U+FFFD.

    Raises:
        ExportNotFoundError: If the file is missing.
        ExportAccessError: If the system refuses to read it.
        ExportFormatError: If it is not a database, or a damaged one.
    """
    path_status(path)
    # SQLite looks for the log beside the file that a link leads to.
    real = Path(os.path.realpath(path))
    with ExitStack() as resources:
        try:
            _check_header(path)
            check_neighbors(real)
            limit = WorkLimit(file_size(real) + file_size(beside(real, LOG)))
            yield _connect(real, limit, resources)
            limit.raise_pending()
        except sqlite3.Error as error:
            limit.raise_pending()
            # Not with its cause: SQLite quotes what it finds in the file.
            raise _explained(path, error, limit) from None
        except UnicodeDecodeError:
            # SQLite's words quote a damaged schema, which Python then cannot decode.
            raise _damaged(path, "its schema is unreadable") from None
        except PermissionError as error:
            if isinstance(error, ChatExportError):
                raise
            raise access_refused(path) from error


def _explained(path: Path, error: sqlite3.Error, limit: WorkLimit) -> ChatExportError:
    """Return an error that says what to do, and quotes nothing of the file."""
    text = str(error)
    if any(sign in text for sign in _BLOCKED):
        return access_refused(path)
    if "not a database" in text:
        return _not_a_database(path)
    if limit.is_exceeded:
        return _damaged(path, "reading it takes more work than its size explains")
    # Python 3.10 gives no text where it cannot decode what SQLite quotes.
    if "malformed" in text or not text:
        # In brackets stands what was found in place of a schema.
        return _damaged(path, "its schema or a page is malformed")
    reason = next((known for known in _KNOWN if known in text), "SQLite refuses it")
    msg = (
        f"{path} cannot be read as a Messages database ({reason}). "
        "Check that it is chat.db or sms.db, and copy it again."
    )
    return ExportFormatError(msg, path=path)


def _damaged(path: Path, reason: str) -> ExportFormatError:
    msg = (
        f"{path} is damaged or cut short ({reason}). If it is a copy, make it again "
        "with Messages closed, and copy chat.db, chat.db-wal and chat.db-shm "
        "together."
    )
    return ExportFormatError(msg, path=path)


def _not_a_database(path: Path) -> ExportFormatError:
    """Build the error for a file that is not SQLite's."""
    msg = (
        f"{path} is not an SQLite database. It is another kind of file, or encrypted: "
        "give the path of chat.db, or of sms.db from an unencrypted backup."
    )
    return ExportFormatError(msg, path=path)


def is_sqlite_file(path: Path) -> bool:
    """Return whether a file begins as SQLite's do."""
    try:
        return read_head(path, len(_MAGIC)) == _MAGIC
    except PermissionError as error:
        raise access_refused(path) from error


def _check_header(path: Path) -> None:
    head = read_head(path, len(_MAGIC))
    if not head:
        msg = (
            f"{path} is empty (0 bytes). It is not the Messages database, "
            "or the copy failed: copy it again."
        )
        raise ExportFormatError(msg, path=path)
    if head != _MAGIC:
        raise _not_a_database(path)


class _Gap(NamedTuple):
    """What a database file lacks at its end."""

    size_bytes: int
    page_bytes: int
    pages: range


def _gap(path: Path) -> _Gap | None:
    """Return what a database file lacks of what its header says.

    SQLite takes a page that is cut for a whole one, and reads what is left of it.
    """
    with open_regular_file(path) as file:
        head = file.read(_HEADER_BYTES)
        # After the header: a file that grows meanwhile is not cut.
        size = os.fstat(file.fileno()).st_size
    page = int.from_bytes(head[_PAGE_SIZE], "big")
    page = _MAX_PAGE_BYTES if page == 1 else page
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
    """Return whether a write-ahead log has every page that the main file lacks."""
    frame = _FRAME_HEADER_BYTES + gap.page_bytes
    places = range(_WAL_HEADER_BYTES, file_size(log) - frame + 1, frame)
    if len(gap.pages) > len(places):
        return False
    held = {_LOCK_BYTE // gap.page_bytes + 1}  # A page that is never written.
    with open_regular_file(log) as file:
        for place in places:
            file.seek(place)
            held.add(int.from_bytes(file.read(4), "big"))
    return held.issuperset(gap.pages)


def _connect(path: Path, limit: WorkLimit, resources: ExitStack) -> sqlite3.Connection:
    gap = _gap(path)
    log = beside(path, LOG)
    is_changing = has_journal(path)
    # The main file can be in the middle of a change that its log completes or undoes.
    if gap and not is_changing and not _is_filled(gap, log):
        raise _damaged(path, f"{gap.size_bytes} bytes are missing at its end")
    if not is_changing and not file_size(log):
        try:
            return _begin(path, "mode=ro&immutable=1", limit, resources)
        except sqlite3.DatabaseError as error:
            # macOS blocks SQLite on the live file even where plain reads are allowed.
            if not any(sign in str(error) for sign in _BLOCKED):
                raise
    folder = Path(
        resources.enter_context(tempfile.TemporaryDirectory(prefix="chatexports-"))
    )
    copy = private_copy_of(path, folder)
    # SQLite needs to write only to roll back a journal. The copy is private, so SQLite
    # may make files beside it.
    is_undone = file_size(beside(copy, JOURNAL)) > 0
    return _begin(copy, "mode=rw" if is_undone else "mode=ro", limit, resources)


def _begin(
    path: Path, mode: str, limit: WorkLimit, resources: ExitStack
) -> sqlite3.Connection:
    return resources.enter_context(closing(connect(path, mode, limit)))
