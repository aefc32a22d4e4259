"""Private temporary folders, deleted even if the process was killed."""

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from langchain_chatexports._locks import ProcessLock

_PREFIX = "chatexports-"
_LOCK = ".lock"
# Created after the lock: a folder with this file, but without a lock, is a leftover.
_RECORD = ".chatexports"


@contextmanager
def private_folder() -> Iterator[Path]:
    """Create a temporary folder for this user only, and delete it afterwards.

    Leftovers of killed processes of this user are deleted first.
    """
    _delete_leftovers()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX)).resolve()
    lock = ProcessLock(folder / _LOCK)
    lock.acquire()
    (folder / _RECORD).touch(mode=0o600)
    try:
        yield folder
    finally:
        lock.release()
        _delete(folder)


def _delete_leftovers() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        if _is_own(folder, stat.S_IFDIR) and _is_own(folder / _RECORD, stat.S_IFREG):
            lock = ProcessLock(folder / _LOCK)
            with suppress(FileNotFoundError):  # Another process has just deleted it.
                if lock.acquire():
                    lock.release()
                    _delete(folder)


def _delete(folder: Path) -> None:
    # Delete the record last, so that an interrupted deletion is found again.
    with suppress(OSError):
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name not in {_LOCK, _RECORD}:
                with suppress(OSError):
                    path.unlink()
    shutil.rmtree(folder, ignore_errors=True)


def _is_own(path: Path, kind: int) -> bool:
    """Return whether a path exists, is not a link, and is private to this user."""
    try:
        status = path.lstat()
    except OSError:
        return False
    if stat.S_IFMT(status.st_mode) != kind:
        return False
    if sys.platform == "win32":
        is_own = True
    else:
        is_own = status.st_uid == os.geteuid() and not status.st_mode & 0o077
    return is_own
