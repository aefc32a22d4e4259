"""File locks, released by the system when their process ends."""

import os
import sys
import time
from pathlib import Path
from typing import Self

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_RETRY_SECONDS = 0.1
# If the lock file is a link, do not create its target.
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0)


class ProcessLock:
    """An exclusive file lock, released by the system when the process ends.

    Call `acquire`, then use it as a context manager or call `release`.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._descriptor: int | None = None
        self._process = 0

    def acquire(self, *, timeout: float = 0.0) -> bool:
        """Try to acquire the lock for `timeout` seconds; return whether it is held."""
        if self._descriptor is not None:
            return True
        deadline = time.monotonic() + timeout
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | _NO_LINKS, 0o600)
        while not _try_lock(descriptor):
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return False
            time.sleep(_RETRY_SECONDS)
        self._descriptor, self._process = descriptor, os.getpid()
        return True

    def release(self) -> None:
        """Release the lock if it is held; the file is not deleted."""
        if self._descriptor is not None:
            # Closing releases the lock, unless a fork of this process has it open.
            if sys.platform != "win32" and self._process == os.getpid():
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        """Return the lock; call `acquire` first."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Release the lock."""
        self.release()


def is_locked(path: str | Path) -> bool:
    """Return whether a running process holds the lock on a file."""
    try:
        descriptor = os.open(path, os.O_RDWR | _NO_LINKS)
    except FileNotFoundError:
        return False
    try:
        return not _try_shared_lock(descriptor)
    finally:
        os.close(descriptor)


if sys.platform == "win32":

    def _try_lock(descriptor: int) -> bool:
        try:
            os.lseek(descriptor, 0, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    # Windows has no shared locks.
    _try_shared_lock = _try_lock

else:

    def _try_lock(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _try_shared_lock(descriptor: int) -> bool:
        # With exclusive locks, two checks at the same time would see each other.
        return _try_lock(descriptor, fcntl.LOCK_SH)
