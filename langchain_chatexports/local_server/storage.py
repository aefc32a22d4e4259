"""The server's data directory: where things lie, and how they are written.

```
<data_dir>/
    server.lock             held by the one server that uses the directory
    files/<file id>/        meta.json, content.jsonl: what clients uploaded
    jobs/<job id>/          job.json, events.jsonl, trainer.lock: no text, no weights
    jobs/<job id>/work/     while it trains only
    models/<model id>/      model.json, the adapter and its tokenizer
```

Every folder is private to the user (0700), every file too (0600). What must be there
whole or not at all is written beside its place and renamed.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import time
from pathlib import Path
from typing import Any

from langchain_chatexports.exceptions import LocalServerError, MissingExtraError

__all__ = [
    "DataDirectory",
    "default_data_dir",
    "new_id",
    "read_json",
    "remove_folder",
    "replace",
    "user_cache_dir",
    "write_json",
]

_APPLICATION = "langchain-chatexports"
_TRASH = ".deleted-"
_UNFINISHED = ".new-"
_RENAME_SECONDS = 5.0


def default_data_dir() -> Path:
    """Give the directory that a server uses unless it is told another.

    Raises:
        MissingExtraError: If the extra `local` is not installed.
    """
    return _platform_directory("user_data_path") / "local-server"


def user_cache_dir() -> Path:
    """Give the directory for what can be made again: converted base models.

    Raises:
        MissingExtraError: If the extra `local` is not installed.
    """
    return _platform_directory("user_cache_path")


def _platform_directory(function: str) -> Path:
    try:
        import platformdirs
    except ImportError as error:
        feature = "The local server"
        raise MissingExtraError(feature, "local") from error
    return Path(getattr(platformdirs, function)(_APPLICATION, appauthor=False))


class DataDirectory:
    """The folders of one data directory."""

    def __init__(self, root: str | Path) -> None:
        """Name the directory; `prepare` makes it."""
        self.root = Path(root).expanduser().absolute()
        self.files = self.root / "files"
        self.jobs = self.root / "jobs"
        self.models = self.root / "models"
        self.lock = self.root / "server.lock"

    def prepare(self) -> None:
        """Make the folders, private, and clear what an earlier process left half done.

        Raises:
            LocalServerError: If the system refuses.
        """
        try:
            for folder in (self.root, self.files, self.jobs, self.models):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                folder.chmod(0o700)
        except OSError as error:
            msg = (
                f"The data directory {self.root} cannot be used "
                f"({error.strerror or type(error).__name__}). "
                "Give another one with data_dir."
            )
            raise LocalServerError(msg) from error

    def clear_leftovers(self) -> None:
        """Remove half-made and half-deleted entries; only under the server's lock."""
        for folder in (self.files, self.jobs, self.models):
            for entry in folder.iterdir():
                if entry.name.startswith((_TRASH, _UNFINISHED)):
                    shutil.rmtree(entry, ignore_errors=True)

    def new_folder(self, parent: Path, name: str) -> Path:
        """Make a private folder beside the place of `name`, to be renamed when done."""
        folder = parent / f"{_UNFINISHED}{name}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        return folder


def new_id(prefix: str) -> str:
    """Make an id such as `file-` and 24 hexadecimal digits."""
    return f"{prefix}{secrets.token_hex(12)}"


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file whole or not at all, readable by this user only."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(json.dumps(value, sort_keys=True).encode("ascii"))
            file.flush()
            os.fsync(file.fileno())
        replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def read_json(path: Path) -> dict[str, Any] | None:
    """Read a JSON object, or give `None` where there is none or it is damaged."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def replace(source: Path, target: Path) -> None:
    """Rename at once; on Windows wait a moment for who has the target open."""
    deadline = time.monotonic() + _RENAME_SECONDS
    while True:
        try:
            source.replace(target)
        except PermissionError:  # noqa: PERF203 - waiting is the purpose.
            if os.name != "nt" or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def remove_folder(folder: Path) -> None:
    """Make a folder's content disappear at once, then delete it.

    Raises:
        OSError: If something of it stays; it can be called again.
    """
    trash = folder.with_name(f"{_TRASH}{re.sub(r'[^a-zA-Z0-9-]', '', folder.name)}")
    if folder.exists():
        shutil.rmtree(trash, ignore_errors=True)
        replace(folder, trash)
    if trash.exists():
        shutil.rmtree(trash)
