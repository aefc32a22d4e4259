"""What the screens show of the data directory, read by one thread for all tabs."""

import threading
import time
from contextlib import suppress

from langchain_chatexports._serving import log_error_location
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server import Job, Snapshot, State, Workspace
from langchain_chatexports.workflows.training_events import (
    EventReader,
    StepEvent,
    TrainingProgress,
)

_RETRY_SECONDS = 1.0


class Watcher:
    """Keeps the latest snapshot of a workspace, and the progress of its jobs."""

    def __init__(self, workspace: Workspace) -> None:
        self.snapshot: Snapshot = workspace.snapshot()
        self._workspace = workspace
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)
        self._lock = threading.Lock()
        self._readers: dict[str, _JobReader] = {}

    def start(self) -> None:
        """Start to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._stopping.set()
        self._thread.join()

    def refresh(self) -> None:
        """Read the workspace now, after a change."""
        self.snapshot = self._workspace.snapshot()

    def progress(self, job: Job) -> TrainingProgress:
        """Return the progress of a job; only its new events are read."""
        with self._lock:
            reader = self._readers.setdefault(job.id, _JobReader())
            if reader.snapshot is not self.snapshot:
                reader.snapshot = self.snapshot
                # The disk is full, or the job was deleted: show what is known.
                with suppress(LocalServerError):
                    reader.read(self._workspace, job)
            return reader.progress(job)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                for snapshot in self._workspace.changes(stop=self._stopping):
                    self.snapshot = snapshot
            except Exception as error:  # noqa: BLE001 - the disk may become readable.
                log_error_location(error)
                self._stopping.wait(_RETRY_SECONDS)


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
