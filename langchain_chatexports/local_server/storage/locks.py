"""The lock of a data directory: one server at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from langchain_chatexports._locks import ProcessLock
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.storage.data_directory import DataDirectory

BRIEF_WAIT_SECONDS = 1.0
"""How long a command waits for a server that is stopping."""

_LOCK_WAIT_SECONDS = 15.0


@contextmanager
def only_server(data: DataDirectory, *, timeout: float | None = None) -> Iterator[None]:
    """Lock a data directory, so that no server can use it at the same time.

    Args:
        data: The directory, prepared.
        timeout: Seconds to wait for a server that is stopping; 15 if `None`.

    Raises:
        LocalServerError: If another server uses it.
    """
    lock = ProcessLock(data.lock)
    if not lock.acquire(timeout=_LOCK_WAIT_SECONDS if timeout is None else timeout):
        msg = (
            f"Another local server uses {data.root}. Stop it first, or choose "
            "another data_dir."
        )
        raise LocalServerError(msg)
    with lock:
        data.clear_leftovers()
        yield
