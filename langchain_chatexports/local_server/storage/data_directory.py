"""The server's data directory: where things lie, and how they are written.

```
<data_dir>/
    .chatexports-data       says that the directory is this server's own
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
# What file managers leave in any folder that is looked at.
_LEFT_BY_FILE_MANAGERS = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
_TRASH = ".deleted-"
_UNFINISHED = ".new-"
FILE_ID = re.compile(r"^file-[0-9a-f]{24}$")
"""What a file's id must look like before any path is built from it."""

JOB_ID = re.compile(r"^ftjob-[0-9a-f]{24}$")
"""What a job's id must look like before any path is built from it."""

MODEL_ID = re.compile(r"[0-9a-f]{12}")
"""What a model's id must look like before any path is built from it."""

_IDS = (FILE_ID, JOB_ID, MODEL_ID)
_LEFTOVER = re.compile(
    r"\.(?:new|deleted)-(?:new-)?(?:(?:file|ftjob)-[0-9a-f]{24}|[0-9a-f]{12})"
)
_RENAME_SECONDS = 5.0


def default_data_dir() -> Path:
    """Return the directory that a server uses unless it is told another.

    Raises:
        MissingExtraError: If the extra `local` is not installed.
    """
    return _platform_directory("user_data_path") / "local-server"


def user_cache_dir() -> Path:
    """Return the directory for what can be made again: converted base models.

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
        self.marker = self.root / _MARKER

    @property
    def is_own(self) -> bool:
        """Whether the directory is a local server's, and no folder of somebody else's.

        It is if the marker file is in it. Releases before the marker made `files`,
        `jobs`, `models` and `server.lock`; a directory with all three folders, whose
        content is nothing but these and entries with this server's ids, is one too.
        Nothing is changed by asking.
        """
        if any(folder.is_symlink() for folder in self._folders):
            return False
        return _is_plain_file(self.marker) or self._is_of_older_release()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is there yet, or a folder with nothing in it."""
        if not self.root.exists():
            return True
        return self.root.is_dir() and not _names_in(self.root)

    def prepare(self) -> None:
        """Make the directory with its folders, private, or take up an existing one.

        Raises:
            LocalServerError: If the system refuses, or other things are in it.
        """
        try:
            if not self.is_empty and not self.is_own:
                self._refuse("Give an empty or a new one with data_dir")
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Not written beside its place and renamed: another server that starts now
            # would find an unknown file. That it is there is all that counts.
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
                "Give another one with data_dir."
            )
            raise LocalServerError(msg) from error

    def require_own(self) -> None:
        """Refuse a directory that is not a local server's.

        Raises:
            LocalServerError: If it is none, with nothing changed.
        """
        try:
            is_own = self.is_own
        except OSError:
            is_own = False
        if not is_own:
            self._refuse("Nothing was changed. Name the directory of a local server")

    def clear_leftovers(self) -> None:
        """Remove half-made and half-deleted entries; only under the server's lock."""
        for folder in filter(Path.is_dir, self._folders):
            for entry in folder.iterdir():
                if entry.name.startswith((_TRASH, _UNFINISHED)):
                    shutil.rmtree(entry, ignore_errors=True)

    def entries(self) -> list[Path]:
        """Return the folders with this server's ids, of files, jobs and models."""
        return [
            entry
            for folder, name in zip(self._folders, _IDS, strict=True)
            if folder.is_dir()
            for entry in sorted(folder.iterdir())
            if name.fullmatch(entry.name) and _is_plain_folder(entry)
        ]

    def delete_traces_of_file_managers(self) -> None:
        """Delete what file managers left in the folders; it names what was there."""
        for folder in self._folders:
            for name in _LEFT_BY_FILE_MANAGERS:
                if _is_plain_file(folder / name):
                    (folder / name).unlink()

    def new_folder(self, parent: Path, name: str) -> Path:
        """Make a private folder beside the place of `name`, to be renamed when done."""
        folder = parent / f"{_UNFINISHED}{name}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        return folder

    @property
    def _folders(self) -> tuple[Path, Path, Path]:
        return self.files, self.jobs, self.models

    def _is_of_older_release(self) -> bool:
        folders = {folder.name for folder in self._folders}
        found = set(_names_in(self.root))
        return (
            folders <= found <= folders | {self.lock.name}
            and all(_is_plain_folder(folder) for folder in self._folders)
            and all(
                (name.fullmatch(entry) or _LEFTOVER.fullmatch(entry))
                and _is_plain_folder(folder / entry)
                for folder, name in zip(self._folders, _IDS, strict=True)
                for entry in _names_in(folder)
            )
        )

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
        with open_regular_file(path) as file:
            value = json.loads(file.read())
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
