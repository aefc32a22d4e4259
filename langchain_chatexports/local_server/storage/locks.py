"""Locks that end with the process that holds them, on POSIX and on Windows."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from langchain_chatexports.exceptions import LocalServerError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from typing_extensions import Self

    from langchain_chatexports.local_server.storage.data_directory import DataDirectory

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["ProcessLock", "is_locked", "only_server"]

_LOCK_WAIT_SECONDS = 15.0
_RETRY_SECONDS = 0.1
# A link in the lock's place would have the file made wherever it points to.
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0)


class ProcessLock:
    """An exclusive lock on a file; the system lets go of it when the process ends.

    Use it as a context manager after `acquire`, or call `release`.
    """

    def __init__(self, path: str | Path) -> None:
        """Name the lock file; it is made at the first `acquire`."""
        self.path = Path(path)
        self._descriptor: int | None = None

    def acquire(self, *, timeout: float = 0.0) -> bool:
        """Try to take the lock.

        Args:
            timeout: Seconds to go on trying.

        Returns:
            Whether this object holds the lock now.
        """
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
        """Let go of the lock, if it is held; the file stays."""
        if self._descriptor is not None:
            # Closing gives the lock back on every system.
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        """Return the lock itself; it must have been acquired."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let go of the lock."""
        self.release()


def is_locked(path: str | Path) -> bool:
    """Return whether a living process holds the lock of this file."""
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


@contextmanager
def only_server(data: DataDirectory, *, timeout: float | None = None) -> Iterator[None]:
    """Lock a data directory, so that no server can use it at the same time.

    Args:
        data: The directory, prepared.
        timeout: Seconds to wait for a server that is ending; a few if `None`.

    Raises:
        LocalServerError: If a server uses it.
    """
    lock = ProcessLock(data.lock)
    if not lock.acquire(timeout=_LOCK_WAIT_SECONDS if timeout is None else timeout):
        msg = (
            f"Another local server uses {data.root}. Stop it first, or give this one "
            "another data_dir."
        )
        raise LocalServerError(msg)
    with lock:
        data.clear_leftovers()
        yield
