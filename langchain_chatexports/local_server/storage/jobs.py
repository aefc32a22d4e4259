"""Fine-tuning jobs: one folder each, with the job's state in `job.json`.

A job is `queued`, `running` or `paused` until it is one of `FINISHED`. Nothing but a
request to resume it trains a paused job.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from langchain_chatexports._locks import is_locked
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.storage.data_directory import (
    JOB_ID,
    DataDirectory,
    new_id,
    read_json,
    remove_folder,
    replace,
    write_json,
)
from langchain_chatexports.local_server.storage.events import EventLog
from langchain_chatexports.local_server.storage.locks import (
    BRIEF_WAIT_SECONDS,
    only_server,
)
from langchain_chatexports.local_server.storage.models import PERSON_KEY

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

__all__ = [
    "COMPLETE",
    "FINISHED",
    "JOB_ID",
    "JobStore",
    "KeptJob",
    "cancel_job",
    "job_events",
    "last_saved",
    "list_jobs",
    "pause_job",
    "public_job",
    "require_job",
    "require_no_trainer",
]

FINISHED = frozenset({"succeeded", "failed", "cancelled"})

COMPLETE = "whole.json"
"""The file that marks a save as complete."""

_PRIVATE = "private"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class KeptJob:
    """A job on this machine."""

    id: str
    status: str
    """`queued`, `running`, `stopped`, `succeeded`, `failed` or `cancelled`."""

    base_model: str
    """The short name of its base."""

    created_at: datetime
    """When it was ordered, in UTC."""

    step: int
    """The last step that was trained."""

    total_steps: int | None
    """The number of steps; `None` before the first one."""

    saved_step: int
    """The step from which a stopped training continues."""

    base: str | None = None
    """The base that the server was started with; start it with the same one."""

    person: str | None = None
    """Whose voice it learns, if the job says so."""

    has_validation: bool = False
    """Whether examples were held out of it."""


def list_jobs(data_dir: str | Path | None = None) -> list[KeptJob]:
    """Return the jobs of a data directory, newest first.

    Args:
        data_dir: The directory; the default one if `None`.
    """
    data = DataDirectory(data_dir)
    if not data.jobs.is_dir():
        return []
    jobs = JobStore(data)
    has_server = is_locked(data.lock)
    return [_kept_job(job, jobs, has_server=has_server) for job in jobs.newest_first()]


def job_events(job_id: str, data_dir: str | Path | None = None) -> list[dict[str, Any]]:
    """Return the events of a job as clients see them, oldest first.

    Args:
        job_id: The job's id, `ftjob-…`.
        data_dir: The directory; the default one if `None`.
    """
    data = DataDirectory(data_dir)
    if not JOB_ID.fullmatch(job_id):
        return []
    return EventLog(data.jobs / job_id / "events.jsonl").read()


def _kept_job(job: dict[str, Any], jobs: JobStore, *, has_server: bool) -> KeptJob:
    folder = jobs.folder(job["id"])
    status = job["status"]
    # Nobody trains the jobs of a server that was killed together with its trainer.
    is_left = status == "running" and not has_server
    if status == "paused" or (is_left and not is_locked(folder / "trainer.lock")):
        status = "stopped"
    events = reversed(jobs.events(job["id"]).read())
    metrics = (event["data"] for event in events if "step" in event["data"])
    last: dict[str, Any] = next(metrics, {})
    saved = last_saved(folder / "work")
    return KeptJob(
        id=job["id"],
        status=status,
        base_model=str(job.get("model")),
        created_at=datetime.fromtimestamp(job["created_at"], timezone.utc),
        step=last.get("step", 0),
        total_steps=last.get("total_steps"),
        saved_step=0 if saved is None else _step_of(saved),
        base=jobs.private(job["id"]).get("model", {}).get("base"),
        person=(job.get("metadata") or {}).get(PERSON_KEY),
        has_validation=bool(job.get("validation_file")),
    )


def cancel_job(job_id: str, *, data_dir: str | Path | None = None) -> None:
    """Cancel a job without a server; its saves are deleted.

    Args:
        job_id: The job's id, `ftjob-…`.
        data_dir: The directory; the default one if `None`.

    Raises:
        LocalServerError: If there is no such job, it has finished, or a server or a
            trainer uses the directory.
    """
    folder = _finish_without_server(
        job_id, data_dir, status="cancelled", finished_at=int(time.time())
    )
    shutil.rmtree(folder / "work", ignore_errors=True)


def pause_job(job_id: str, *, data_dir: str | Path | None = None) -> None:
    """Pause a job without a server, so that the next one does not train it.

    Args:
        job_id: The job's id, `ftjob-…`.
        data_dir: The directory; the default one if `None`.

    Raises:
        LocalServerError: As for `cancel_job`.
    """
    _finish_without_server(job_id, data_dir, status="paused")


def _finish_without_server(
    job_id: str, data_dir: str | Path | None, **changes: Any
) -> Path:
    data = DataDirectory(data_dir)
    data.require_own()
    with only_server(data, timeout=BRIEF_WAIT_SECONDS):
        data.prepare()  # Folders of it can be missing.
        jobs = JobStore(data)
        require_job(job_id, jobs)
        require_no_trainer(data, [job_id])
        unfinished = ("queued", "running", "paused")
        if not jobs.update(job_id, only_from=unfinished, **changes):
            msg = f"Job {job_id} has finished already. See: chatexports models"
            raise LocalServerError(msg)
        return jobs.folder(job_id)


def require_job(job_id: str, jobs: JobStore) -> None:
    """Raise `LocalServerError` if there is no such job."""
    if jobs.get(job_id) is None:
        msg = f"There is no job {job_id}. The jobs: chatexports models"
        raise LocalServerError(msg)


def require_no_trainer(data: DataDirectory, job_ids: Iterable[str]) -> None:
    """Raise `LocalServerError` if a killed server's trainer trains one of these."""
    if any(is_locked(data.jobs / job_id / "trainer.lock") for job_id in job_ids):
        msg = (
            f"The trainer of a killed server still runs in {data.root}. Wait for "
            "it, or start a server on the directory and cancel the job."
        )
        raise LocalServerError(msg)


def last_saved(work: Path) -> Path | None:
    """Return the folder of a job's last complete save, if there is one."""
    saves = [mark.parent for mark in work.glob(f"trainer/checkpoint-*/{COMPLETE}")]
    return max(saves, key=_step_of, default=None)


def _step_of(save: Path) -> int:
    return int(save.name.rpartition("-")[2])


class JobStore:
    """The jobs of one data directory."""

    def __init__(self, data: DataDirectory) -> None:
        self._data = data
        self._lock = threading.RLock()
        self._records: dict[str, dict[str, Any]] = {}
        for folder in data.jobs.iterdir():
            record = read_json(folder / "job.json")
            if record is not None and JOB_ID.fullmatch(folder.name):
                self._records[folder.name] = record

    def create(
        self, record: dict[str, Any], *, private: dict[str, Any], events: list[str]
    ) -> dict[str, Any]:
        """Create a queued job.

        Args:
            record: OpenAI's fields, without id, times and status.
            private: Fields for the trainer, which clients do not see.
            events: Warnings for the job's events.

        Returns:
            The job, as clients see it.
        """
        now = time.time_ns()
        job_id = new_id("ftjob-")
        job = {
            **record,
            "id": job_id,
            "object": "fine_tuning.job",
            "created_at": now // 1_000_000_000,
            "status": "queued",
            _PRIVATE: {**private, "order": now, "cancel": False, "pause": False},
        }
        folder = self._data.new_folder(self._data.jobs, job_id)
        write_json(folder / "job.json", job)
        log = EventLog(folder / "events.jsonl")
        log.append(f"Created fine-tuning job: {job_id}")
        for event in events:
            log.append(event, level="warn")
        log.append("Files validated, moving job to queued state")
        with self._lock:
            replace(folder, self._data.jobs / job_id)
            self._records[job_id] = job
        return public_job(job)

    def newest_first(self) -> list[dict[str, Any]]:
        """Return all jobs as clients see them, newest first."""
        with self._lock:
            jobs = sorted(self._records.values(), key=lambda j: -j[_PRIVATE]["order"])
        return [public_job(job) for job in jobs]

    def get(self, job_id: str) -> dict[str, Any] | None:
        """Return a job as clients see it, or `None`."""
        with self._lock:
            job = self._records.get(job_id)
        return None if job is None else public_job(job)

    def private(self, job_id: str) -> dict[str, Any]:
        """Return the private fields of a job."""
        with self._lock:
            return dict(self._records[job_id][_PRIVATE])

    def with_status(self, *statuses: str) -> list[str]:
        """Return the ids of the jobs in one of these states, oldest first."""
        with self._lock:
            jobs = sorted(self._records.values(), key=lambda j: j[_PRIVATE]["order"])
        return [job["id"] for job in jobs if job["status"] in statuses]

    def update(
        self,
        job_id: str,
        *,
        only_from: Collection[str],
        private: Mapping[str, bool] | None = None,
        **changes: Any,
    ) -> bool:
        """Change a job atomically, if it is in one of these states.

        Returns:
            Whether it was.

        Raises:
            OSError: If it cannot be written, unless the job finishes: then it is
                finished for clients, and the next server runs it again.
        """
        with self._lock:
            job = self._records[job_id]
            if job["status"] not in only_from:
                return False
            changed = {**job, **changes, _PRIVATE: {**job[_PRIVATE], **(private or {})}}
            try:
                write_json(self.folder(job_id) / "job.json", changed)
            except OSError:
                if changed["status"] not in FINISHED:
                    raise
                logger.warning("The end of %s could not be written to disk", job_id)
            self._records[job_id] = changed
        return True

    def delete(self, job_id: str) -> None:
        """Delete a job with its events and saves."""
        with self._lock:
            # If this fails, the job stays listed and can be deleted later.
            remove_folder(self.folder(job_id))
            del self._records[job_id]

    def events(self, job_id: str) -> EventLog:
        """Return the events of a job."""
        return EventLog(self.folder(job_id) / "events.jsonl")

    def folder(self, job_id: str) -> Path:
        """Return the folder of a job, which may not exist."""
        if not JOB_ID.fullmatch(job_id):
            msg = "not the id of a job"
            raise ValueError(msg)
        return self._data.jobs / job_id


def public_job(job: dict[str, Any]) -> dict[str, Any]:
    """Return a job as clients see it."""
    return {name: value for name, value in job.items() if name != _PRIVATE}
