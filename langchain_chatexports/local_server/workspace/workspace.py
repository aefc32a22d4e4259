"""`Workspace`: the stores of a data directory, and a snapshot of all of them."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from langchain_chatexports._locks import is_locked
from langchain_chatexports._parts import sweep_parts
from langchain_chatexports.local_server.errors import StateError
from langchain_chatexports.local_server.workspace.data_directory import (
    FILE_ID,
    DataDirectory,
)
from langchain_chatexports.local_server.workspace.files import ExampleFile, Files
from langchain_chatexports.local_server.workspace.jobs import Jobs
from langchain_chatexports.local_server.workspace.models import Model, Models
from langchain_chatexports.local_server.workspace.records import Job


@dataclass(frozen=True)
class Snapshot:
    """All that a front end shows, newest first."""

    jobs: tuple[Job, ...]
    models: tuple[Model, ...]
    files: tuple[ExampleFile, ...]
    has_queue: bool
    """Whether a process runs the jobs; without one, queued jobs wait."""

    def jobs_of(self, file: ExampleFile) -> tuple[Job, ...]:
        """Return the jobs that use a file."""
        return tuple(
            job
            for job in self.jobs
            if file.id in {job.training_file, job.validation_file}
        )


class Workspace(DataDirectory):
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
        super().__init__(data_dir)
        self.jobs = Jobs(self)
        self.models = Models(self, self.jobs)
        self.files = Files(self, self.jobs)

    def snapshot(self) -> Snapshot:
        """Return all jobs, models and files."""
        jobs = self.jobs.list()
        models, files = self.models.of(jobs), self.files.list()
        return Snapshot(jobs, models, files, self.has_queue())

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
        return Versions(self.database)

    def has_queue(self) -> bool:
        """Return whether a living process runs the jobs."""
        try:
            return is_locked(self.data_dir / "queue.lock")
        except OSError:  # Where no lock can be written, no queue runs.
            return False

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
        if self.exists:
            self.jobs.sweep()
            sweep_parts(self.folder("files"))


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
