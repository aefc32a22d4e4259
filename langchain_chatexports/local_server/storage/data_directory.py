"""The server's data directory: its layout, and how its files are written.

```
<data_dir>/
    .chatexports-data       marks the directory as a local server's
    server.lock             locked by the server that uses the directory
    server.json             its address and key, while it runs
    users/                  a locked file for each other program that uses this server
    files/<file id>/        meta.json, content.jsonl: the uploaded files
    jobs/<job id>/          job.json, events.jsonl, trainer.lock: no chats, no weights
    jobs/<job id>/work/     only while the job is trained
    models/<model id>/      model.json, the adapter and its tokenizer
```

Folders have mode 0700, files 0600. What must not be seen half-written is written under
another name and renamed.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import time
from pathlib import Path
from typing import Any, NoReturn

from langchain_chatexports._regular_files import open_regular_file
from langchain_chatexports.exceptions import LocalServerError, MissingExtraError

__all__ = [
    "FILE_ID",
    "JOB_ID",
    "MODEL_ID",
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
_MARKER = ".chatexports-data"
_MARKER_TEXT = (
    "This directory belongs to the local server of langchain-chatexports, which "
    "deletes what it keeps in files, jobs and models.\n"
)
# Files that file managers create in any folder that is opened.
_LEFT_BY_FILE_MANAGERS = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
_TRASH = ".deleted-"
_UNFINISHED = ".new-"
FILE_ID = re.compile(r"^file-[0-9a-f]{24}$")
"""The form of a file id, checked before a path is built from it."""

JOB_ID = re.compile(r"^ftjob-[0-9a-f]{24}$")
"""The form of a job id, checked before a path is built from it."""

MODEL_ID = re.compile(r"[0-9a-f]{12}")
"""The form of a model id, checked before a path is built from it."""

_IDS = (FILE_ID, JOB_ID, MODEL_ID)
_RECORDS = ("meta.json", "job.json", "model.json")
_USER_LOCK = re.compile(r"user-[0-9a-f]{24}\.lock")
_LEFTOVER = re.compile(
    r"\.(?:new|deleted)-(?:new-)?(?:(?:file|ftjob)-[0-9a-f]{24}|[0-9a-f]{12})"
)
_RENAME_SECONDS = 5.0


def default_data_dir() -> Path:
    """Return the default data directory of a server.

    Raises:
        MissingExtraError: If the extra `local` is not installed.
    """
    return _platform_directory("user_data_path") / "local-server"


def user_cache_dir() -> Path:
    """Return the cache directory, for converted base models.

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

    def __init__(self, root: str | Path | None) -> None:
        """Name the folders; nothing is created.

        Args:
            root: The directory; the default one if `None`.

        Raises:
            MissingExtraError: If there is no default, for want of the extra `local`.
        """
        given = default_data_dir() if root is None else Path(root)
        self.root = given.expanduser().absolute()
        self.files = self.root / "files"
        self.jobs = self.root / "jobs"
        self.models = self.root / "models"
        self.lock = self.root / "server.lock"
        self.running = self.root / "server.json"
        self.users = self.root / "users"
        self.marker = self.root / _MARKER

    @property
    def is_own(self) -> bool:
        """Whether the directory belongs to a local server: it has the marker file."""
        if any(folder.is_symlink() for folder in self._folders):
            return False
        return _is_plain_file(self.marker)

    @property
    def is_empty(self) -> bool:
        """Whether the directory does not exist, or is empty."""
        if not self.root.exists():
            return True
        return self.root.is_dir() and not _names_in(self.root)

    def prepare(self) -> None:
        """Create the directory and its folders, or reuse existing ones.

        Raises:
            LocalServerError: If that fails, or it contains other files.
        """
        try:
            if not self.is_empty and not self.is_own:
                self._refuse("Choose an empty or a new directory with data_dir")
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Not written under another name first: a server that starts now would find
            # an unknown file. Only the marker's existence counts.
            descriptor = os.open(self.marker, os.O_WRONLY | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(_MARKER_TEXT)
            for folder in self._folders:
                folder.mkdir(mode=0o700, exist_ok=True)
            for folder in (self.root, *self._folders):
                folder.chmod(0o700)
        except OSError as error:
            msg = (
                f"The data directory {self.root} cannot be used "
                f"({error.strerror or type(error).__name__}). "
                "Choose another one with data_dir."
            )
            raise LocalServerError(msg) from error

    def require_own(self) -> None:
        """Refuse a directory that is not a local server's.

        Raises:
            LocalServerError: If it is not; nothing is changed.
        """
        try:
            is_own = self.is_own
        except OSError:
            is_own = False
        if not is_own:
            self._refuse("Nothing was changed. Name the directory of a local server")

    def clear_leftovers(self) -> None:
        """Remove what a killed process of ours left; needs the server's lock."""
        self.running.unlink(missing_ok=True)
        for path in self.user_locks():
            path.unlink(missing_ok=True)
        for folder in filter(Path.is_dir, self._folders):
            for entry in folder.iterdir():
                if _LEFTOVER.fullmatch(entry.name) and _is_plain_folder(entry):
                    shutil.rmtree(entry, ignore_errors=True)

    def user_locks(self) -> list[Path]:
        """Return the files that programs lock while they use the server."""
        if not _is_plain_folder(self.users):
            return []
        return [
            path for path in self.users.iterdir() if _USER_LOCK.fullmatch(path.name)
        ]

    def entries(self) -> list[Path]:
        """Return the folders of all files, jobs and models, known by their records."""
        kinds = zip(self._folders, _IDS, _RECORDS, strict=True)
        return [
            entry
            for folder, name, record in kinds
            if folder.is_dir()
            for entry in sorted(folder.iterdir())
            if name.fullmatch(entry.name)
            and _is_plain_folder(entry)
            and _is_plain_file(entry / record)
        ]

    def new_folder(self, parent: Path, name: str) -> Path:
        """Create a private folder that is renamed to `name` when it is complete."""
        folder = parent / f"{_UNFINISHED}{name}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        return folder

    @property
    def _folders(self) -> tuple[Path, Path, Path]:
        return self.files, self.jobs, self.models

    def _refuse(self, remedy: str) -> NoReturn:
        msg = (
            f"{self.root} is not a data directory of the local server: {_MARKER} is "
            f"missing, or its folders are links. {remedy}."
        )
        raise LocalServerError(msg)


def _names_in(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    names = [entry.name for entry in folder.iterdir()]
    return [name for name in names if name not in _LEFT_BY_FILE_MANAGERS]


def _is_plain_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _is_plain_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


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
        with open_regular_file(path) as file:
            value = json.loads(file.read())
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def replace(source: Path, target: Path) -> None:
    """Rename atomically; on Windows, retry while another process has it open."""
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
    """Rename a folder out of the way, then delete it.

    Raises:
        OSError: If it cannot be deleted completely; it can be called again.
    """
    trash = folder.with_name(f"{_TRASH}{re.sub(r'[^a-zA-Z0-9-]', '', folder.name)}")
    if folder.exists():
        shutil.rmtree(trash, ignore_errors=True)
        replace(folder, trash)
    if trash.exists():
        shutil.rmtree(trash)
