"""Fine-tuning jobs: one folder each, with the job's state in `job.json`."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from langchain_chatexports.local_server.storage.data_directory import (
    JOB_ID,
    DataDirectory,
    new_id,
    read_json,
    replace,
    write_json,
)
from langchain_chatexports.local_server.storage.events import EventLog

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

__all__ = ["FINISHED", "JOB_ID", "JobStore", "public_job"]

FINISHED = frozenset({"succeeded", "failed", "cancelled"})

_PRIVATE = "private"

logger = logging.getLogger(__name__)


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
            _PRIVATE: {**private, "order": now, "cancel": False},
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
        cancel: bool | None = None,
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
            private = dict(job[_PRIVATE])
            if cancel is not None:
                private["cancel"] = cancel
            changed = {**job, **changes, _PRIVATE: private}
            try:
                write_json(self.folder(job_id) / "job.json", changed)
            except OSError:
                if changed["status"] not in FINISHED:
                    raise
                logger.warning("The end of %s could not be written to disk", job_id)
            self._records[job_id] = changed
        return True

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
