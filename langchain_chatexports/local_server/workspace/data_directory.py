"""The data directory: whose it is, its layout, its database and its locks.

```
<data_dir>/
    chatexports.db          jobs and events; marks the directory as ours
    *.lock                  locks of living processes: `queue`, `trainer`
    files/<file id>.jsonl   examples, named by their content
    jobs/<job id>/          the saves of an unfinished job
    models/<job id>/        the adapter of a job that succeeded
```

Folders have mode 0700 and files 0600, whatever the umask of the process. What must be
complete is written under another name and renamed.
"""

import errno
import os
import re
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from langchain_chatexports._files import is_full
from langchain_chatexports._locks import ProcessLock
from langchain_chatexports._translation import Sentence
from langchain_chatexports.exceptions import MissingExtraError
from langchain_chatexports.local_server.errors import DataDirectoryError, DiskFullError

JOB_ID = re.compile(r"ftjob-[0-9a-f]{24}")
HASH_DIGITS = 32
FILE_ID = re.compile(rf"file-[0-9a-f]{{{HASH_DIGITS}}}")

_APPLICATION = "langchain-chatexports"
_DATABASE = "chatexports.db"
_VERSION = 2
# Files that file managers create in folders.
_FILE_MANAGER_FILES = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
_TRASH = ".deleted-"
_RENAME_SECONDS = 5.0
_BUSY_SECONDS = 30.0
# The minimum for a training run.
_MIN_FREE_BYTES = 100_000_000
# No deletion needs a larger journal.
_MAX_JOURNAL_BYTES = 2**20
_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    key TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    base TEXT NOT NULL,
    base_model TEXT NOT NULL,
    training_file TEXT NOT NULL,
    validation_file TEXT,
    hyperparameters TEXT NOT NULL,
    suffix TEXT,
    seed INTEGER NOT NULL,
    metadata TEXT NOT NULL,
    created_at REAL NOT NULL,
    started_at REAL,
    finished_at REAL,
    step INTEGER NOT NULL DEFAULT 0,
    steps INTEGER,
    loss REAL,
    saved_step INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    model TEXT,
    label TEXT,
    results TEXT NOT NULL DEFAULT '{{}}'
);
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    created_at REAL NOT NULL,
    kind TEXT NOT NULL,
    level TEXT NOT NULL,
    message TEXT NOT NULL,
    data TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS events_of_jobs ON events (job_id, number);
PRAGMA user_version = {_VERSION};
COMMIT;
"""


def default_data_dir() -> Path:
    """Return the user's data directory."""
    try:
        import platformdirs
    except ImportError as error:
        feature = "The local server"
        raise MissingExtraError(feature, "local") from error
    folder = platformdirs.user_data_path(_APPLICATION, appauthor=False)
    return folder / "local-server"


class DataDirectory:
    """The paths of a data directory, its database and its locks."""

    def __init__(self, data_dir: str | Path | None = None) -> None:
        """Check that the directory is ours, empty or missing; nothing is created."""
        path = default_data_dir() if data_dir is None else Path(data_dir)
        self.data_dir = path.expanduser().absolute()
        self.database = self.data_dir / _DATABASE
        names = ("files", "jobs", "models")
        self._folders = {name: self.data_dir / name for name in names}
        with self.storage_errors():
            self._check_ours()

    @property
    def exists(self) -> bool:
        """Whether the directory has been prepared."""
        return self.database.is_file()

    @property
    def free_bytes(self) -> int:
        """The free space on its disk; the directory need not exist."""
        folders = (self.data_dir, *self.data_dir.parents)
        return shutil.disk_usage(next(filter(Path.exists, folders))).free

    def require_space(self, needed: int = 0) -> None:
        """Raise `DiskFullError` if its disk has no space for a training run.

        Args:
            needed: The size of what it writes in bytes, if known.
        """
        needed = max(needed, _MIN_FREE_BYTES)
        if (free := self.free_bytes) < needed:
            msg = Sentence(
                "The disk with {path} has {free} MB free, but training needs at least "
                "{needed} MB. Free some space, or choose a data directory on another "
                "disk.",
                path=self.data_dir,
                free=round(free / 1e6),
                needed=round(needed / 1e6),
            )
            raise DiskFullError(msg)

    def prepare(self) -> None:
        """Create the directory, or check that an existing one can be written.

        Raises:
            DataDirectoryError: If it cannot.
        """
        with self.storage_errors():
            self._check_ours()
            self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Journals of the database get the same mode.
            os.close(os.open(self.database, os.O_RDWR | os.O_CREAT, 0o600))
            for folder in (self.data_dir, *self._folders.values()):
                folder.mkdir(mode=0o700, exist_ok=True)
                folder.chmod(0o700)
            with self.connect(writes=True):
                pass

    def folder(self, name: str) -> Path:
        """Return the folder of the `files`, `jobs` or `models`."""
        return self._folders[name]

    def file_path(self, file_id: str) -> Path:
        """Return the path of a file's content, which may not exist."""
        return self.folder("files") / f"{_require_id(FILE_ID, file_id)}.jsonl"

    def job_folder(self, job_id: str) -> Path:
        """Return the folder of a job's saves, which may not exist."""
        return self.folder("jobs") / _require_id(JOB_ID, job_id)

    def model_folder(self, job_id: str) -> Path:
        """Return the folder of a job's model, which may not exist."""
        return self.folder("models") / _require_id(JOB_ID, job_id)

    def lock(self, name: str) -> ProcessLock:
        """Return a lock that the system releases when its process ends."""
        return ProcessLock(self.data_dir / f"{name}.lock")

    @contextmanager
    def connect(
        self, *, writes: bool = False, deletes: bool = False
    ) -> Iterator[sqlite3.Connection]:
        """Open the database; with `writes` or `deletes`, for one transaction.

        A process that is killed cannot leave a part of a transaction. Deleted data is
        overwritten in the file.
        """
        uri = f"{self.database.as_uri()}?mode=rw"
        with (
            self.storage_errors(deletes=deletes),
            closing(
                sqlite3.connect(
                    uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None
                )
            ) as database,
        ):
            database.execute("PRAGMA foreign_keys = ON")
            database.execute("PRAGMA secure_delete = ON")
            self._check_version(database)
            if deletes and self.free_bytes < _MAX_JOURNAL_BYTES:
                # On a full disk, only a deletion's journal needs space.
                database.execute("PRAGMA journal_mode = MEMORY")
            if writes or deletes:
                self._require_writable()
                database.execute("BEGIN IMMEDIATE")
            with database:
                yield database

    @contextmanager
    def storage_errors(self, *, deletes: bool = False) -> Iterator[None]:
        """Raise errors of the system and of SQLite as ours, with a remedy."""
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            # The low byte is the primary code.
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            is_full_disk = isinstance(error, OSError) and is_full(error)
            if code == sqlite3.SQLITE_FULL or is_full_disk:
                msg: str = Sentence(
                    "The disk with {path} is full. Free some space first.",
                    path=self.data_dir,
                )
                raise DiskFullError(msg) from error
            reason = getattr(error, "strerror", None) or error
            if code == sqlite3.SQLITE_BUSY:
                msg = (
                    f"Another program keeps writing to {self.data_dir}. If it is "
                    "suspended, continue or end it, and try again."
                )
            elif deletes:
                msg = (
                    f"The data in {self.data_dir} could not be deleted ({reason}). "
                    "Make the folder writable, end programs that use it, and try again."
                )
            else:
                msg = (
                    f"The data directory {self.data_dir} cannot be used ({reason}). "
                    "Choose another one with data_dir."
                )
            raise DataDirectoryError(msg) from error

    def _check_ours(self) -> None:
        is_ours = self.exists and not self.database.is_symlink()
        if any(folder.is_symlink() for folder in self._folders.values()):
            is_ours = False
        elif not self.data_dir.exists() or (
            self.data_dir.is_dir() and self._is_empty()
        ):
            return
        if not is_ours:
            msg = (
                f"{self.data_dir} is not a chatexports data directory: {_DATABASE} is "
                "missing, or its folders are links. Nothing was changed. Pass an "
                "existing one, or a new or empty folder, with data_dir."
            )
            raise DataDirectoryError(msg)

    def _is_empty(self) -> bool:
        return all(
            entry.name in _FILE_MANAGER_FILES for entry in self.data_dir.iterdir()
        )

    def _require_writable(self) -> None:
        # SQLite says so only when files have been changed.
        if not all(os.access(path, os.W_OK) for path in (self.data_dir, self.database)):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    def _check_version(self, database: sqlite3.Connection) -> None:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version == 0:  # New, or its process was killed before this.
            database.executescript(_SCHEMA)
        elif version != _VERSION:
            msg = (
                f"{self.data_dir} was created by another version of this package. Use "
                "that version, or choose another folder with data_dir."
            )
            raise DataDirectoryError(msg)


def _require_id(kind: re.Pattern[str], value: str) -> str:
    if not kind.fullmatch(value):
        msg = "not an id"
        raise ValueError(msg)
    return value


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
    """Rename, then delete: nobody sees half a folder."""
    trash = folder.with_name(f"{_TRASH}{folder.name}")
    # Two processes can delete the same folder.
    with suppress(FileNotFoundError):
        if folder.exists():
            shutil.rmtree(trash, ignore_errors=True)
            replace(folder, trash)
        shutil.rmtree(trash)


def list_job_folders(folder: Path) -> list[tuple[str, Path]]:
    """Return the folders of jobs with the jobs' ids, half-deleted ones included."""
    if not folder.is_dir():
        return []
    return [
        (entry.name.removeprefix(_TRASH), entry)
        for entry in folder.iterdir()
        if entry.is_dir() and not entry.is_symlink()
    ]
