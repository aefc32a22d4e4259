"""The server that runs on a data directory, for other programs of the same user.

A running server writes its address and key to `server.json`, which only its owner can
read. Each program that uses the server locks a file of its own in `users`; a server
that was started by a command does not stop before the last of these locks is released.
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from langchain_chatexports._locks import ProcessLock, is_locked
from langchain_chatexports._regular_files import open_regular_file
from langchain_chatexports.local_server.storage.data_directory import (
    DataDirectory,
    new_id,
    write_json,
)

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "RunningServer",
    "find_running_server",
    "has_users",
    "leave_server",
    "publish_server",
    "use_server",
    "withdraw_server",
]


@dataclass(frozen=True)
class RunningServer:
    """The address and key of the server that runs on a data directory."""

    base_url: str
    base_model: str
    api_key: str = field(repr=False)
    pid: int


def find_running_server(
    data_dir: str | Path | None = None,
) -> RunningServer | None:
    """Return the server that runs on a data directory, if its record can be trusted.

    Args:
        data_dir: The directory; the default one if `None`.

    Returns:
        The server; `None` if none runs, or its record is missing, damaged, or not this
        user's alone.
    """
    data = DataDirectory(data_dir)
    # A killed server leaves its record, but not its lock.
    return _read_record(data) if is_locked(data.lock) else None


def publish_server(data: DataDirectory, server: RunningServer) -> None:
    """Write the record of this process's server; needs the server's lock."""
    write_json(data.running, asdict(server))


def withdraw_server(data: DataDirectory) -> None:
    """Delete the record of this process's server."""
    data.running.unlink(missing_ok=True)


def use_server(data: DataDirectory, server: RunningServer) -> ProcessLock | None:
    """Keep a server from stopping while this process uses it.

    Args:
        data: Its data directory.
        server: The server.

    Returns:
        The lock for `leave_server`; `None` if the server has stopped meanwhile.
    """
    data.users.mkdir(mode=0o700, exist_ok=True)
    lock = ProcessLock(data.users / f"{new_id('user-')}.lock")
    lock.acquire()
    # A server withdraws its record before it looks for users a last time.
    if find_running_server(data.root) == server:
        return lock
    leave_server(lock)
    return None


def leave_server(lock: ProcessLock) -> None:
    """Let a server stop, as far as this process is concerned."""
    lock.release()
    lock.path.unlink(missing_ok=True)


def has_users(data: DataDirectory) -> bool:
    """Return whether another process uses the server of a data directory."""
    return any(map(is_locked, data.user_locks()))


def _read_record(data: DataDirectory) -> RunningServer | None:
    try:
        if data.running.is_symlink():
            return None
        with open_regular_file(data.running) as file:
            if not _is_owners_alone(os.fstat(file.fileno())):
                return None
            value: Any = json.loads(file.read())
        return RunningServer(
            base_url=str(value["base_url"]),
            base_model=str(value["base_model"]),
            api_key=str(value["api_key"]),
            pid=int(value["pid"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_owners_alone(status: os.stat_result) -> bool:
    if os.name == "nt":  # The folder's access list holds there.
        return True
    return status.st_uid == os.getuid() and not stat.S_IMODE(status.st_mode) & 0o077
