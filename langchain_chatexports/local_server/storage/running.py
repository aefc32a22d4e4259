"""The server that runs on a data directory, for other programs of the same user.

A running server writes its address and key to `server.json`, which only its owner can
read.
"""

import json
import os
import stat
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from langchain_chatexports._locks import is_locked
from langchain_chatexports._regular_files import open_regular_file
from langchain_chatexports.local_server.storage.data_directory import (
    DataDirectory,
    write_json,
)


@dataclass(frozen=True)
class RunningServer:
    """The address and key of the server that runs on a data directory."""

    base_url: str
    base_model: str
    api_key: str = field(repr=False)
    pid: int


def find_running_server(data_dir: str | Path | None = None) -> RunningServer | None:
    """Return the server that runs on a data directory, if its record can be trusted."""
    data = DataDirectory(data_dir)
    # A killed server leaves its record, but not its lock.
    return _read_record(data.running) if is_locked(data.lock) else None


def publish_server(data: DataDirectory, server: RunningServer) -> None:
    """Write the record of this process's server; needs the server's lock."""
    write_json(data.running, asdict(server))


def withdraw_server(data: DataDirectory) -> None:
    """Delete the record of this process's server."""
    data.running.unlink(missing_ok=True)


def _read_record(path: Path) -> RunningServer | None:
    try:
        if path.is_symlink():
            return None
        with open_regular_file(path) as file:
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
