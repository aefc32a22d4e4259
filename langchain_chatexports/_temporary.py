"""Private temporary folders, deleted even if the process was killed."""

import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from langchain_chatexports._locks import ProcessLock
from langchain_chatexports._parts import is_own, sweep_parts

_PREFIX = "chatexports-"
_LOCK = ".lock"
# Created after the lock, so an unlocked folder with this file is a leftover.
_MARKER = ".chatexports"


@contextmanager
def private_folder() -> Iterator[Path]:
    """Create a temporary folder only this user can access, and delete it afterwards.

    Leftovers from this user's killed processes are deleted first.
    """
    delete_leftovers()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX)).resolve()
    lock = ProcessLock(folder / _LOCK)
    lock.acquire()
    (folder / _MARKER).touch(mode=0o600)
    try:
        yield folder
    finally:
        lock.release()
        _delete(folder)


def delete_leftovers() -> None:
    """Delete what killed processes of this user left: private folders and parts."""
    sweep_parts()
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        marker, lock = folder / _MARKER, ProcessLock(folder / _LOCK)
        with suppress(OSError):  # No folder of ours, or another process deletes it.
            is_ours = is_own(folder, stat.S_IFDIR) and is_own(marker, stat.S_IFREG)
            if is_ours and lock.acquire():
                lock.release()
                _delete(folder)


def _delete(folder: Path) -> None:
    # Delete the marker last, so that the next run finishes an interrupted deletion.
    with suppress(OSError):
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name not in {_LOCK, _MARKER}:
                with suppress(OSError):
                    path.unlink()
    shutil.rmtree(folder, ignore_errors=True)
