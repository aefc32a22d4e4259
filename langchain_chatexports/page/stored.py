"""What is on the disk: jobs, models, files and talks, read only after a change."""

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server import Job, Snapshot, State, Workspace
from langchain_chatexports.workflows.saved_talks import (
    SavedTalk,
    TalkFolder,
    model_talks,
    person_talks,
)
from langchain_chatexports.workflows.training_events import EventReader, StepEvent

_MAX_POINTS = 60
# A number that changes at each reading would be sent to all tabs.
_ROUNDED_SECONDS = 5
_UNFINISHED = (State.QUEUED, State.RUNNING, State.PAUSED, State.FAILED)


@dataclass(frozen=True)
class Training:
    """The progress of an unfinished job."""

    job: Job
    phase: str = ""
    """What happens before the first step: `libraries` or `base`."""

    seconds_left: float | None = None
    losses: tuple[tuple[int, float], ...] = ()
    """At most 60 means of consecutive steps, so that a curve never grows."""

    sample: tuple[str, str] | None = None


class StoredReader:
    """Keeps the latest snapshot of a workspace, and the progress of its jobs."""

    def __init__(self, workspace: Workspace, index_dir: Path | None) -> None:
        self.snapshot: Snapshot = workspace.snapshot()
        self.people_talks = person_talks(index_dir)
        """The talks with people without a model."""

        self._workspace = workspace
        self._versions = workspace.versions()
        self._seen: object = None
        self._lock = threading.Lock()
        self._jobs: dict[str, _JobReader] = {}
        self._talks: dict[Path, tuple[int, list[SavedTalk]]] = {}

    def read(self) -> Snapshot:
        """Return the snapshot, read again if the data directory has changed."""
        files = self._workspace.data_dir / "files"
        with self._lock:
            queue = self._workspace.has_queue()
            version = self._versions.read(), _modified(files), queue
            if version != self._seen:
                self.snapshot = self._workspace.snapshot()
                self._seen = version
            return self.snapshot

    def close(self) -> None:
        with self._lock:
            self._versions.__exit__()

    def trainings(self) -> tuple[Training, ...]:
        """Return the progress of unfinished jobs, newest first; only news are read."""
        with self._lock:
            jobs = (job for job in self.snapshot.jobs if job.state in _UNFINISHED)
            return tuple(map(self._training, jobs))

    def talks(self) -> tuple[SavedTalk, ...]:
        """Return all talks, newest first; a folder is read again after a change."""
        with self._lock:
            talks = [talk for talk in self._list(self.people_talks) if talk.person]
            for model in self.snapshot.models:
                talks += self._list(model_talks(model))
        return tuple(sorted(talks, key=lambda t: t.changed_at, reverse=True))

    def _training(self, job: Job) -> Training:
        reader = self._jobs.setdefault(job.id, _JobReader())
        if reader.snapshot is not self.snapshot:
            reader.snapshot = self.snapshot
            # The disk is full, or the job was deleted: show what is known.
            with suppress(LocalServerError):
                reader.read(self._workspace, job)
        losses = average_points(reader.losses)
        if job.state is not State.RUNNING:
            return Training(job, losses=losses)
        left = reader.events.seconds_left_at(time.time())
        if left is not None:
            left = _ROUNDED_SECONDS * max(1.0, round(left / _ROUNDED_SECONDS))
        found = self._workspace.jobs.sample(job.id)
        sample = (found["message"], found["answer"]) if found else None
        return Training(job, reader.events.phase, left, losses, sample)

    def _list(self, folder: TalkFolder) -> list[SavedTalk]:
        modified, known = _modified(folder.path), self._talks.get(folder.path)
        if known is None or known[0] != modified:
            self._talks[folder.path] = known = modified, folder.list()
        return known[1]


class _JobReader:
    """Reads the new events of a job."""

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None
        self.events = EventReader()
        self.losses: list[tuple[int, float]] = []
        self._last_number = 0

    def read(self, workspace: Workspace, job: Job) -> None:
        for stored in workspace.jobs.events(job.id, after=self._last_number):
            self._last_number = stored.number
            event = self.events.read(stored)
            if isinstance(event, StepEvent) and event.loss is not None:
                self.losses.append((event.step, event.loss))


def average_points(points: list[tuple[int, float]]) -> tuple[tuple[int, float], ...]:
    """Return at most `_MAX_POINTS` points, each the mean of consecutive steps."""
    size = -(-len(points) // _MAX_POINTS) or 1
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return tuple((g[-1][0], sum(y for _, y in g) / len(g)) for g in groups)


def _modified(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:  # It does not exist yet.
        return 0
