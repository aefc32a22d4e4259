"""`Workspace`: the stores of a data directory, and a snapshot of all of them."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from threading import Event as Signal
from typing import TYPE_CHECKING, Any, Self

from langchain_chatexports.local_server.errors import StateError
from langchain_chatexports.local_server.workspace.data_directory import (
    FILE_ID,
    DataDirectory,
)
from langchain_chatexports.local_server.workspace.files import ExampleFile, Files
from langchain_chatexports.local_server.workspace.jobs import Jobs
from langchain_chatexports.local_server.workspace.models import Model, Models
from langchain_chatexports.local_server.workspace.records import Job

if TYPE_CHECKING:  # A part of the extra.
    from filelock import BaseFileLock

_POLL_SECONDS = 0.3
_HEARTBEAT = "queue.alive"
# A queue touches its heartbeat every second.
_MAX_HEARTBEAT_SECONDS = 10.0


class QueueState(StrEnum):
    """Whether a process runs the jobs of a workspace."""

    NONE = "none"
    RUNNING = "running"
    SUSPENDED = "suspended"
    """A process that does not respond: its trainer goes on, but queued jobs wait."""


@dataclass(frozen=True)
class Snapshot:
    """All that a front end shows, newest first."""

    jobs: tuple[Job, ...]
    models: tuple[Model, ...]
    files: tuple[ExampleFile, ...]
    queue: QueueState
    """Without a running queue, queued jobs wait for one."""

    def jobs_of(self, file: ExampleFile) -> tuple[Job, ...]:
        """Return the jobs that use a file."""
        return tuple(
            job
            for job in self.jobs
            if file.id in {job.training_file, job.validation_file}
        )


class Workspace:
    """The jobs, models and files of a data directory.

    Any number of processes and threads can use one; each call opens the database anew.
    Reading creates nothing.

    Attributes:
        data_dir: The directory.
        jobs: The fine-tuning jobs.
        models: The tuned models.
        files: The files of examples.
    """

    def __init__(self, data_dir: str | Path | None = None) -> None:
        """Open a data directory; `None` is the user's.

        Raises:
            DataDirectoryError: If it belongs to another program.
            MissingExtraError: If `data_dir` is `None` and the extra is missing.
        """
        self._data = DataDirectory(data_dir)
        self.data_dir = self._data.root
        self.jobs = Jobs(self._data)
        self.models = Models(self._data, self.jobs)
        self.files = Files(self._data, self.jobs)

    def prepare(self) -> None:
        """Create the directory, or check that an existing one can be written.

        Raises:
            DataDirectoryError: If it cannot, or is on a network drive.
        """
        self._data.prepare()

    @property
    def free_bytes(self) -> int:
        """The free space on its disk."""
        return self._data.free_bytes

    def require_space(self, needed: int = 0) -> None:
        """Raise `DiskFullError` if its disk has no space for a training run.

        Args:
            needed: The size of what it writes in bytes, if known.
        """
        self._data.require_space(needed)

    def snapshot(self) -> Snapshot:
        """Return all jobs, models and files."""
        jobs = self.jobs.list()
        models, files = self.models.of(jobs), self.files.list()
        return Snapshot(jobs, models, files, self.queue_state())

    def changes(
        self, *, seconds: float = _POLL_SECONDS, stop: Signal | None = None
    ) -> Iterator[Snapshot]:
        """Yield a snapshot at once and after each change, until `stop` is set."""
        stop, seen = stop or Signal(), None
        files = self._data.files
        with self.versions() as versions:
            while not stop.is_set():
                modified = files.stat().st_mtime_ns if files.exists() else 0
                version = (versions.read(), modified, self.queue_state())
                if version != seen:
                    seen = version
                    yield self.snapshot()
                stop.wait(seconds)

    def examples(
        self, model: Model
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return a model's training and held-out examples, unless they were deleted."""
        job = self.jobs.get(model.job_id)
        training = [*self.files.read(job.training_file)]
        held_out = job.validation_file
        return training, [*self.files.read(held_out)] if held_out else []

    def versions(self) -> "Versions":
        """Return what tells whether the database has changed."""
        return Versions(self._data.database)

    def lock(self, name: str) -> "BaseFileLock":
        """Return a lock that the system releases when its process ends."""
        return self._data.lock(name)

    def has_queue(self) -> bool:
        """Whether a living process runs the jobs."""
        return self.queue_state() is QueueState.RUNNING

    def queue_state(self) -> QueueState:
        """Return whether a process runs the jobs."""
        if not self._data.exists or not self._is_locked("queue"):
            return QueueState.NONE
        with suppress(OSError):
            seen = (self.data_dir / _HEARTBEAT).stat().st_mtime
            if time.time() - seen > _MAX_HEARTBEAT_SECONDS:
                return QueueState.SUSPENDED
        return QueueState.RUNNING

    def beat(self) -> None:
        """Show that the queue of this process is not suspended."""
        path = self.data_dir / _HEARTBEAT
        with suppress(OSError):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
            os.utime(path)

    def delete(self, name: str) -> None:
        """Delete a model, a job or a file, and what only it needs.

        A job is deleted with its model, because it has the names of person and source.

        Args:
            name: The name of a model, or the id of a job or file.

        Raises:
            NotFoundError: If it does not exist.
            StateError: If a model or job needs it.
        """
        if FILE_ID.fullmatch(name):
            file = self.files.get(name)
            for job in self.snapshot().jobs_of(file):
                msg = f"Job {job.id} used {name}. Delete the job instead."
                raise StateError(msg)
            self.files.delete(name)
        elif name.startswith("ft:"):
            self.models.delete(name)
        else:
            for model in self.models.list():
                if model.job_id == name:
                    msg = f"Job {name} made {model.name}. Delete the model instead."
                    raise StateError(msg)
            self.jobs.delete(name)

    def delete_everything(self) -> Snapshot:
        """Delete all jobs, models and files, and nothing else; return them."""
        deleted = self.snapshot()
        for job in deleted.jobs:
            self.jobs.delete(job.id)
        for file in self.files.list():
            self.files.delete(file.id)
        self.sweep()
        return deleted

    def sweep(self) -> None:
        """Delete what killed processes left, and nothing can use."""
        if self._data.exists:
            self.jobs.sweep()
            self.files.sweep()

    def _is_locked(self, name: str) -> bool:
        from filelock import Timeout

        # Another look holds the lock for 0.1 ms.
        for _ in range(2):
            try:
                with suppress(Timeout), self.lock(name).acquire(timeout=0):
                    return False
            except OSError:  # Where no lock can be written, no queue runs.
                return False
            time.sleep(0.001)
        return True


class Versions:
    """One kept connection, which is told whether others changed the database.

    Several threads can use it, one at a time.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def __enter__(self) -> Self:
        """Return itself; the connection is opened when there is a database."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()

    def read(self) -> int:
        """Return a number that changes with the database; 0 if there is none."""
        if self._connection is None:
            if not self._path.is_file():
                return 0
            uri = f"{self._path.as_uri()}?mode=rw"
            self._connection = sqlite3.connect(
                uri, uri=True, timeout=30, check_same_thread=False
            )
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        return int(version)
