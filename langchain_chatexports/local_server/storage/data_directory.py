"""The data directory of a server: layout, lock, and atomic writes.

```
<data_dir>/
    chatexports.db          files, jobs and events; identifies a data directory
    server.lock             locked by the running server
    server.json             the address and key of the running server
    page.json               the port and key of the last `chatexports open`
    files/<file id>.jsonl   the uploaded examples
    jobs/<job id>/          the checkpoints of an unfinished job
    models/<model id>/      model.json, the adapter and its tokenizer
```

Folders have mode 0700, files 0600. Files that must be complete are written under
another name and renamed.
"""

import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from langchain_chatexports._locks import ProcessLock, is_locked
from langchain_chatexports.exceptions import LocalServerError, MissingExtraError

_APPLICATION = "langchain-chatexports"
_DATABASE = "chatexports.db"
# Files that file managers create in folders.
_FILE_MANAGER_FILES = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
FILE_ID = re.compile(r"file-[0-9a-f]{24}")
JOB_ID = re.compile(r"ftjob-[0-9a-f]{24}")
MODEL_ID = re.compile(r"[0-9a-f]{12}")
_TRASHED = re.compile(r"\.deleted-(ftjob-[0-9a-f]{24}|[0-9a-f]{12})")
_RENAME_SECONDS = 5.0
_LOCK_SECONDS = 15.0
# The minimum for a training run.
_MIN_FREE_BYTES = 100_000_000


def default_data_dir() -> Path:
    """Return the default data directory of a server."""
    return _platform_directory("user_data_path") / "local-server"


def user_cache_dir() -> Path:
    """Return the cache directory, for converted base models."""
    return _platform_directory("user_cache_path")


def cache_folders() -> list[Path]:
    """Return the existing cache folders, whose content can be recreated."""
    folders = (user_cache_dir() / name for name in ("bases", "templates", "trials"))
    return [folder for folder in folders if folder.is_dir()]


def _platform_directory(function: str) -> Path:
    try:
        import platformdirs
    except ImportError as error:
        feature = "The local server"
        raise MissingExtraError(feature, "local") from error
    return Path(getattr(platformdirs, function)(_APPLICATION, appauthor=False))


class DataDirectory:
    """The paths of a data directory, and its server's lock."""

    def __init__(self, root: str | Path | None = None) -> None:
        """Set the paths, without creating anything; `None` is the default directory."""
        path = default_data_dir() if root is None else Path(root)
        self.root = path.expanduser().absolute()
        self.database = self.root / _DATABASE
        self.files = self.root / "files"
        self.jobs = self.root / "jobs"
        self.models = self.root / "models"
        self.lock = self.root / "server.lock"
        self.server_file = self.root / "server.json"
        self.page = self.root / "page.json"
        self._folders = (self.files, self.jobs, self.models)

    @property
    def is_valid(self) -> bool:
        """Whether this is a local server's directory, with a database."""
        if any(folder.is_symlink() for folder in self._folders):
            return False
        return self.database.is_file() and not self.database.is_symlink()

    @property
    def is_empty(self) -> bool:
        """Whether the directory is empty or does not exist."""
        if not self.root.exists():
            return True
        return self.root.is_dir() and all(
            entry.name in _FILE_MANAGER_FILES for entry in self.root.iterdir()
        )

    @property
    def free_bytes(self) -> int:
        """The free space on its disk; the directory need not exist."""
        folders = (self.root, *self.root.parents)
        return shutil.disk_usage(next(filter(Path.exists, folders))).free

    @property
    def has_space(self) -> bool:
        """Whether its disk has space for a training run."""
        return self.free_bytes >= _MIN_FREE_BYTES

    def require_space(self) -> None:
        """Raise `LocalServerError` if its disk has no space for a training run."""
        if not self.has_space:
            msg = (
                f"The disk with {self.root} has {self.free_bytes / 1e6:,.0f} MB free, "
                f"but training needs at least {_MIN_FREE_BYTES / 1e6:,.0f} MB. Free "
                "some space, or choose a data directory on another disk."
            )
            raise LocalServerError(msg)

    def prepare(self) -> None:
        """Create the directory and its folders, or reuse existing ones."""
        try:
            if not self.is_empty:
                self.require_valid()
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Journals of the database get the same mode.
            os.close(os.open(self.database, os.O_WRONLY | os.O_CREAT, 0o600))
            for folder in (self.root, *self._folders):
                folder.mkdir(mode=0o700, exist_ok=True)
                folder.chmod(0o700)
        except OSError as error:
            msg = (
                f"The data directory {self.root} could not be opened "
                f"({error.strerror or type(error).__name__}). "
                "Choose another one with data_dir."
            )
            raise LocalServerError(msg) from error

    def require_valid(self) -> None:
        """Raise `LocalServerError` if the directory is not a local server's."""
        if not self.is_valid:
            msg = (
                f"{self.root} is not a data directory of the local server: {_DATABASE} "
                "is missing, or its folders are links. Nothing was changed. Choose a "
                "data directory, or an empty or new one, with data_dir."
            )
            raise LocalServerError(msg)

    @contextmanager
    def locked(self, *, timeout: float = _LOCK_SECONDS) -> Iterator[None]:
        """Lock the prepared directory, so that no other server uses it."""
        lock = ProcessLock(self.lock)
        if not lock.acquire(timeout=timeout):
            msg = (
                f"Another local server is using {self.root}. Stop it first, or choose "
                "another data_dir."
            )
            raise LocalServerError(msg)
        with lock:
            self.server_file.unlink(missing_ok=True)
            for folder in filter(Path.is_dir, (self.jobs, self.models)):
                for entry in folder.iterdir():
                    if _TRASHED.fullmatch(entry.name) and not entry.is_symlink():
                        shutil.rmtree(entry, ignore_errors=True)
            try:
                yield
            finally:
                self.server_file.unlink(missing_ok=True)


@dataclass(frozen=True)
class RunningServer:
    """A running server, as stored in `server.json` for other programs of the user."""

    base_url: str
    base_model: str
    api_key: str = field(repr=False)
    data_dir: str = ""
    engine: str = ""
    """The engine and, for transformers, the reason."""


def find_running_server(data_dir: str | Path | None = None) -> RunningServer | None:
    """Return the running server of a data directory, if any."""
    data = DataDirectory(data_dir)
    # A killed server leaves the file, but not the lock.
    value = read_json(data.server_file) if is_locked(data.lock) else None
    return None if value is None else RunningServer(**value)


def new_id(prefix: str) -> str:
    """Return a new id: the prefix and 24 hexadecimal digits."""
    return f"{prefix}{secrets.token_hex(12)}"


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically, with mode 0600."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(json.dumps(value, sort_keys=True).encode("ascii"))
            file.flush()
            os.fsync(file.fileno())
        replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def read_json(path: Path) -> dict[str, Any] | None:
    """Return a file's JSON object, or `None` if it is missing or damaged."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def replace(source: Path, target: Path) -> None:
    """Rename a file atomically; on Windows, retry while another process uses it."""
    deadline = time.monotonic() + _RENAME_SECONDS
    while True:
        try:
            source.replace(target)
        except PermissionError:
            if os.name != "nt" or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def remove_folder(folder: Path) -> None:
    """Delete a folder; it is renamed first, so that it is never left partly deleted."""
    trash = folder.with_name(f".deleted-{folder.name}")
    # Two processes can delete the same folder.
    with suppress(FileNotFoundError):
        if folder.exists():
            shutil.rmtree(trash, ignore_errors=True)
            replace(folder, trash)
        shutil.rmtree(trash)
