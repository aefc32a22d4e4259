"""File locks that end with the process that holds them, on POSIX and Windows."""

import os
import sys
import time
from pathlib import Path

from typing_extensions import Self

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_RETRY_SECONDS = 0.1
# Do not create a file where a link in the lock's place points to.
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0)


class ProcessLock:
    """An exclusive lock on a file, which the system releases when the process ends.

    Call `acquire`, then use it as a context manager or call `release`.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._descriptor: int | None = None

    def acquire(self, *, timeout: float = 0.0) -> bool:
        """Try for `timeout` seconds to take the lock; return whether it is held."""
        if self._descriptor is not None:
            return True
        deadline = time.monotonic() + timeout
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | _NO_LINKS, 0o600)
        while not _try_lock(descriptor):
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return False
            time.sleep(_RETRY_SECONDS)
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Release the lock, if it is held; the file stays."""
        if self._descriptor is not None:
            # Closing releases the lock on every system.
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        """Return the lock, which must have been acquired."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Release the lock."""
        self.release()


def is_locked(path: str | Path) -> bool:
    """Return whether a running process holds the lock of this file."""
    if not Path(path).exists():
        return False
    lock = ProcessLock(path)
    free = lock.acquire()
    lock.release()
    return not free


if sys.platform == "win32":

    def _try_lock(descriptor: int) -> bool:
        try:
            os.lseek(descriptor, 0, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
