"""The jobs, models and files of the data directory, read only after a change."""

import threading
import time
from contextlib import suppress
from dataclasses import dataclass

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server import Job, Snapshot, State, Workspace
from langchain_chatexports.workflows.training_events import (
    EventReader,
    StepEvent,
    TrainingProgress,
)

_MAX_POINTS = 60
# A number that changes at each reading would be sent to all tabs.
_ROUNDED_SECONDS = 5
_UNFINISHED = (State.QUEUED, State.RUNNING, State.PAUSED, State.FAILED)


@dataclass(frozen=True)
class Training:
    """The progress of a job."""

    job: Job
    phase: str = ""
    """What happens before the first step: `libraries` or `base`."""

    seconds_left: float | None = None
    losses: tuple[tuple[int, float], ...] = ()
    """At most 60 means of consecutive steps, so that a curve never grows."""

    validation_losses: tuple[tuple[int, float], ...] = ()
    sample: tuple[str, str] | None = None
    """A message of the export, and what the model would answer now."""


class StoredReader:
    """Keeps the latest snapshot of a workspace, and the progress of its jobs."""

    def __init__(self, workspace: Workspace) -> None:
        self.snapshot: Snapshot = workspace.snapshot()
        self._workspace = workspace
        self._versions = workspace.versions()
        self._seen: object = None
        self._lock = threading.Lock()
        self._jobs: dict[str, _JobReader] = {}

    def read(self) -> Snapshot:
        """Return the snapshot, read again if the data directory has changed."""
        files = self._workspace.data_dir / "files"
        with self._lock:
            modified = files.stat().st_mtime_ns if files.exists() else 0
            version = (
                self._versions.read(),
                modified,
                self._workspace.queue_state(),
            )
            if version != self._seen:
                self.snapshot = self._workspace.snapshot()
                self._seen = version
            return self.snapshot

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._versions.__exit__()

    def trainings(self) -> tuple[Training, ...]:
        """Return the progress of unfinished jobs, newest first."""
        jobs = (job for job in self.snapshot.jobs if job.state in _UNFINISHED)
        return tuple(map(self.training, jobs))

    def training(self, job: Job) -> Training:
        """Return the progress of a job, such as a finished one."""
        progress = self.progress(job)
        left = progress.seconds_left
        if left is not None:
            left = _ROUNDED_SECONDS * max(1.0, round(left / _ROUNDED_SECONDS))
        train = [(e.step, e.loss) for e in progress.steps if e.loss is not None]
        held_out = [
            (e.step, e.validation_loss)
            for e in progress.steps
            if e.validation_loss is not None
        ]
        sample = None
        if job.state is State.RUNNING:
            sample = self._workspace.jobs.sample(job.id)
        return Training(
            job,
            progress.phase,
            left,
            average_points(train),
            average_points(held_out),
            (sample["message"], sample["answer"]) if sample else None,
        )

    def progress(self, job: Job) -> TrainingProgress:
        """Return the progress of a job; only its new events are read."""
        with self._lock:
            reader = self._jobs.setdefault(job.id, _JobReader())
            if reader.snapshot is not self.snapshot:
                reader.snapshot = self.snapshot
                # The disk is full, or the job was deleted: show what is known.
                with suppress(LocalServerError):
                    reader.read(self._workspace, job)
            return reader.progress(job)


class _JobReader:
    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None
        self._events = EventReader()
        self._steps: list[StepEvent] = []
        self._last_number = 0

    def read(self, workspace: Workspace, job: Job) -> None:
        for stored in workspace.jobs.events(job.id, after=self._last_number):
            self._last_number = stored.number
            event = self._events.read(stored)
            if isinstance(event, StepEvent):
                self._steps.append(event)

    def progress(self, job: Job) -> TrainingProgress:
        if job.state is not State.RUNNING:
            return TrainingProgress(self._steps)
        left = self._events.seconds_left_at(time.time())
        return TrainingProgress(self._steps, self._events.phase, left)


def average_points(
    points: list[tuple[int, float]],
) -> tuple[tuple[int, float], ...]:
    """Return at most `_MAX_POINTS` points, each the mean of consecutive steps."""
    size = -(-len(points) // _MAX_POINTS) or 1
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return tuple((g[-1][0], sum(y for _, y in g) / len(g)) for g in groups)
