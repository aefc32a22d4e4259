"""Private copies of a database and its log, which SQLite may write beside.

A rollback journal can name a further file at its end, the super-journal of a change
over several databases, and SQLite deletes what it names. The journal comes with the
export, so it is looked at before SQLite sees it: see
https://sqlite.org/fileformat2.html#the_rollback_journal and `readSuperJournal` in
SQLite's `pager.c`.
"""

from __future__ import annotations

import errno
import os
import shutil
import struct
from typing import TYPE_CHECKING

from langchain_chatexports._regular_files import (
    cannot_read,
    check_regular_file,
    open_regular_file,
)
from langchain_chatexports.exceptions import (
    ChatExportError,
    ExportAccessError,
    ExportFormatError,
)

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "JOURNAL",
    "LOG",
    "beside",
    "check_neighbors",
    "file_size",
    "has_journal",
    "private_copy_of",
    "read_head",
]

LOG, JOURNAL = "-wal", "-journal"
_COPY_ATTEMPTS = 2
_LOG_HEADER_BYTES = 32
_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
# Number of pages before the change, size of a sector (not used), size of a page.
_JOURNAL_NUMBERS = struct.Struct(">16xIII")
_PAGE_SIZE = slice(16, 18)
_MAX_PAGE_BYTES = 65536
_BLOCK_BYTES = 512  # The unit of `st_blocks`.
_CHUNK_BYTES = 1 << 20
# Below it, file systems differ in what they call a hole.
_MIN_HOLES_BYTES = 64 * 1024 * 1024


def check_neighbors(path: Path) -> None:
    """Refuse a log or a journal that is not a regular file.

    Raises:
        ExportFormatError: If it is a folder, a pipe, a device or a link to itself.
    """
    for suffix in (LOG, JOURNAL):
        neighbor = beside(path, suffix)
        try:
            check_regular_file(neighbor)
        except (ChatExportError, PermissionError):
            raise
        except FileNotFoundError:
            continue
        except OSError as error:
            msg = (
                f"{neighbor} is no file ({error.strerror}), but SQLite keeps changes "
                f"to {path.name} at this name. Move it away, or copy the database to "
                "another folder, together with its real log."
            )
            raise ExportFormatError(msg, path=neighbor) from error


def has_journal(path: Path) -> bool:
    """Return whether a journal beside a database has anything to put back."""
    # The header of a finished change is overwritten with zeros.
    return read_head(beside(path, JOURNAL), len(_JOURNAL_MAGIC)) == _JOURNAL_MAGIC


def private_copy_of(path: Path, folder: Path) -> Path:
    """Copy a database and its log so that both belong to one moment.

    Args:
        path: The database file.
        folder: An empty private folder.

    Returns:
        The copy; its journal names no further file.

    Raises:
        ExportAccessError: If there is no room, or it changes all the time.
        ExportFormatError: If its journal is not one that belongs to it alone.
    """
    copy = folder / "chat.db"
    _check_room(path, folder)
    for _ in range(_COPY_ATTEMPTS):
        before = _moment(path)
        if _copied(path, copy) and _moment(path) == before:
            _check_journal(path, copy)
            return copy
    msg = (
        f"{path} changed while it was copied, twice. Quit Messages (on the Mac that "
        "holds it) and try again."
    )
    raise ExportAccessError(msg, path=path)


def read_head(path: Path, count: int) -> bytes:
    """Return the first bytes of a file; none where there is no file.

    Raises:
        ExportFormatError: If it is something else than a file.
        PermissionError: If the system refuses.
    """
    try:
        with open_regular_file(path) as file:
            return file.read(count)
    except (ChatExportError, PermissionError):
        raise
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise cannot_read(path, error) from error


def file_size(path: Path) -> int:
    """Return the size of a file in bytes, 0 where there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def beside(path: Path, suffix: str) -> Path:
    """Return the place of a log beside its database."""
    return path.with_name(path.name + suffix)


def _check_room(path: Path, folder: Path) -> None:
    needed = sum(_stored_bytes(beside(path, suffix)) for suffix in ("", LOG, JOURNAL))
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise _no_room(path, folder, f"{needed} bytes are needed, {free} are free")


def _copied(path: Path, copy: Path) -> bool:
    try:
        _copy_file(path, copy)
        for suffix in (LOG, JOURNAL):
            target = beside(copy, suffix)
            target.unlink(missing_ok=True)
            is_used = has_journal(path) if suffix == JOURNAL else True
            if is_used and file_size(beside(path, suffix)):
                _copy_file(beside(path, suffix), target)
    except (ChatExportError, PermissionError):
        raise
    except FileNotFoundError:
        return False  # The log was merged into the main file in this moment.
    except OSError as error:
        raise _no_room(path, copy.parent, str(error.strerror)) from error
    return True


def _no_room(path: Path, folder: Path, reason: str) -> ExportAccessError:
    msg = (
        f"{path} cannot be copied to {folder} ({reason}). Its newest messages are in "
        "its -wal file, so it is read from a private copy: free some space there, or "
        "set TMPDIR to a folder that has it."
    )
    return ExportAccessError(msg, path=path)


def _copy_file(source: Path, target: Path) -> None:
    """Copy a file; one with large holes keeps them."""
    check_regular_file(source)
    size = source.stat().st_size
    if size - _stored_bytes(source) < _MIN_HOLES_BYTES or not hasattr(os, "SEEK_HOLE"):
        shutil.copyfile(source, target)
        return
    with open_regular_file(source) as read, target.open("wb") as written:
        end = 0
        while (start := _next_data(read.fileno(), end)) is not None:
            end = os.lseek(read.fileno(), start, os.SEEK_HOLE)
            read.seek(start)
            written.seek(start)
            while start < end:
                start += written.write(read.read(min(_CHUNK_BYTES, end - start)))
        written.truncate(size)


def _next_data(descriptor: int, at: int) -> int | None:
    try:
        return os.lseek(descriptor, at, os.SEEK_DATA)
    except OSError as error:
        if error.errno != errno.ENXIO:  # Only a hole is left.
            raise
        return None


def _stored_bytes(path: Path) -> int:
    """Return how many bytes a file takes on its disk."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return 0
    blocks = getattr(status, "st_blocks", None)  # Windows does not tell.
    return (
        status.st_size if blocks is None else min(status.st_size, blocks * _BLOCK_BYTES)
    )


def _check_journal(path: Path, copy: Path) -> None:
    """Refuse a copied journal that could reach beyond its database.

    Raises:
        ExportFormatError: If it names a super-journal, or is that of another file.
    """
    journal = beside(copy, JOURNAL)
    size = file_size(journal)
    if not size:
        return
    named = beside(path, JOURNAL)
    with journal.open("rb") as file:
        head = file.read(_JOURNAL_NUMBERS.size)
        file.seek(max(0, size - len(_JOURNAL_MAGIC)))
        if file.read() == _JOURNAL_MAGIC:
            msg = (
                f"{named} names a further file, as a change over several databases "
                "leaves it, and SQLite would delete that. Open the database once with "
                "the application that wrote it, and copy it again."
            )
            raise ExportFormatError(msg, path=named)
    page = int.from_bytes(read_head(copy, _PAGE_SIZE.stop)[_PAGE_SIZE], "big")
    page = _MAX_PAGE_BYTES if page == 1 else page
    pages, _, page_of_journal = (
        _JOURNAL_NUMBERS.unpack(head)
        if len(head) == _JOURNAL_NUMBERS.size
        else (0,) * 3
    )
    # What a change cuts off the file is in the journal.
    if page_of_journal != page or pages * page > file_size(copy) + size:
        msg = (
            f"{named} is not the journal of {path.name}: it does not fit its pages. "
            "Copy both again, with Messages closed; without the journal, move it away."
        )
        raise ExportFormatError(msg, path=named)


def _moment(path: Path) -> tuple[object, ...]:
    """Return values that change when pages move from the log to the main file.

    A log that only grows does no harm: SQLite reads up to its last whole commit.
    """
    main = path.stat()
    return (
        main.st_size,
        main.st_mtime_ns,
        read_head(beside(path, LOG), _LOG_HEADER_BYTES),
    )
