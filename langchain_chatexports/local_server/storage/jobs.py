"""Fine-tuning jobs and their events.

A job is `queued`, `running` or `paused` until its status is one of `FINISHED`. The
server trains one job at a time. Paused and failed jobs can be resumed: their
checkpoints are stored until the jobs are deleted.
"""

import json
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal

from langchain_chatexports._locks import is_locked
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.storage.data_directory import (
    JOB_ID,
    DataDirectory,
    new_id,
    remove_folder,
)
from langchain_chatexports.local_server.storage.database import connect, transaction
from langchain_chatexports.local_server.storage.models import PERSON_KEY

UNFINISHED = ("queued", "running", "paused")
FINISHED = ("succeeded", "failed", "cancelled")

COMPLETE = "complete.json"
"""The file that marks a checkpoint as complete."""

_POLL_SECONDS = 0.05
_TRAINER_SECONDS = 20.0


class JobNotActiveError(LocalServerError):
    """The job has already finished, or does not exist."""


@dataclass(frozen=True)
class LocalJob:
    """A job in a data directory."""

    id: str
    status: str
    """`queued`, `running`, `stopped`, `succeeded`, `failed` or `cancelled`."""

    base_model: str
    created_at: datetime
    step: int
    """The last finished step."""

    total_steps: int | None
    """The number of steps; `None` before the first one."""

    saved_step: int
    """The step from which a stopped job resumes."""

    base: str | None = None
    """The base that its server must be started with."""

    person: str | None = None
    """The imitated person, if known."""

    has_validation: bool = False
    position: int = 0
    """The number of jobs ahead of a queued one."""


def list_jobs(data_dir: str | Path | None = None) -> list[LocalJob]:
    """Return the jobs of a data directory, newest first."""
    data = DataDirectory(data_dir)
    if not data.is_valid:
        return []
    jobs = JobStore(data)
    has_server = is_locked(data.lock)
    return [_local_job(job, jobs, has_server=has_server) for job in jobs.list_all()]


def _local_job(job: dict[str, Any], jobs: "JobStore", *, has_server: bool) -> LocalJob:
    status = job["status"]
    # A killed server leaves its job with the status `running`.
    if status == "paused" or (status == "running" and not has_server):
        status = "stopped"
    last = jobs.last_metrics(job["id"])
    checkpoint = last_checkpoint(jobs.folder(job["id"]))
    return LocalJob(
        id=job["id"],
        status=status,
        base_model=str(job.get("model")),
        created_at=datetime.fromtimestamp(job["created_at"], UTC),
        step=last.get("step", 0),
        total_steps=last.get("total_steps"),
        saved_step=0 if checkpoint is None else _checkpoint_step(checkpoint),
        base=jobs.private_fields(job["id"]).get("model", {}).get("base"),
        person=(job.get("metadata") or {}).get(PERSON_KEY),
        has_validation=bool(job.get("validation_file")),
        position=len(jobs.jobs_ahead(job["id"])) if status == "queued" else 0,
    )


def job_events(job_id: str, data_dir: str | Path | None = None) -> list[dict[str, Any]]:
    """Return the events of a job, oldest first."""
    data = DataDirectory(data_dir)
    return JobStore(data).events(job_id) if data.is_valid else []


def stop_job(
    job_id: str,
    status: Literal["cancelled", "paused"],
    *,
    data_dir: str | Path | None = None,
) -> None:
    """Cancel a job, or pause it until it is resumed, with or without a server."""
    data = DataDirectory(data_dir)
    data.require_valid()
    jobs = JobStore(data)
    if jobs.get(job_id) is None:
        msg = f"No job named {job_id}. List the jobs: chatexports models"
        raise JobNotActiveError(msg)
    if not jobs.stop(job_id, status):
        msg = f"Job {job_id} has already finished. List the jobs: chatexports models"
        raise JobNotActiveError(msg)


def last_checkpoint(job_folder: Path) -> Path | None:
    """Return the folder of a job's last complete checkpoint, if any."""
    markers = job_folder.glob(f"saves/checkpoint-*/{COMPLETE}")
    checkpoints = [marker.parent for marker in markers]
    return max(checkpoints, key=_checkpoint_step, default=None)


def _checkpoint_step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


class JobStore:
    """Job storage of a data directory; safe to use from several processes."""

    def __init__(self, data: DataDirectory) -> None:
        self._data = data

    def create(
        self,
        record: dict[str, Any],
        *,
        private: dict[str, Any] | None = None,
        warnings: Collection[str] = (),
    ) -> dict[str, Any]:
        """Create a queued job, and log warnings as its first events."""
        job = {
            **record,
            "id": new_id("ftjob-"),
            "object": "fine_tuning.job",
            "created_at": int(time.time()),
        }
        with transaction(self._data.database) as database:
            database.execute(
                "INSERT INTO jobs (id, status, record, private) VALUES (?, ?, ?, ?)",
                (job["id"], "queued", json.dumps(job), json.dumps(private or {})),
            )
        self.log(job["id"], f"Created fine-tuning job: {job['id']}")
        for warning in warnings:
            self.log(job["id"], warning, level="warn")
        self.log(job["id"], "Files validated, moving job to queued state")
        return {**job, "status": "queued"}

    def list_all(self) -> list[dict[str, Any]]:
        """Return the records of all jobs, newest first."""
        return self._select("ORDER BY number DESC")

    def get(self, job_id: str) -> dict[str, Any] | None:
        """Return the record of a job, or `None` if it does not exist."""
        return next(iter(self._select("WHERE id = ?", job_id)), None)

    def ids_with_status(self, *statuses: str) -> list[str]:
        """Return the ids of jobs with any of these statuses, oldest first."""
        placeholders = ", ".join("?" * len(statuses))
        jobs = self._select(
            f"WHERE status IN ({placeholders}) ORDER BY number", *statuses
        )
        return [job["id"] for job in jobs]

    def jobs_ahead(self, job_id: str) -> list[str]:
        """Return the ids of the jobs ahead of a queued one."""
        # One query, because a job can start between two.
        jobs = self._select(
            "WHERE status IN ('running', 'queued') ORDER BY status = 'queued', number"
        )
        statuses = {job["id"]: job["status"] for job in jobs}
        if statuses.get(job_id) != "queued":
            return []
        return list(takewhile(lambda other: other != job_id, statuses))

    def private_fields(self, job_id: str) -> dict[str, Any]:
        """Return a job's private fields; empty if it was deleted."""
        with connect(self._data.database) as database:
            row = database.execute(
                "SELECT private FROM jobs WHERE id = ?", (job_id,)
            ).fetchone()
        return json.loads(row[0]) if row else {}

    def update(
        self, job_id: str, *, expected: Collection[str], status: str, **changes: Any
    ) -> bool:
        """Update a job if it has an expected status; return whether it did."""
        with transaction(self._data.database) as database:
            row = database.execute(
                "SELECT status, record FROM jobs WHERE id = ?", (job_id,)
            ).fetchone()
            if row is None or row[0] not in expected:
                return False
            if status in FINISHED:
                changes.setdefault("finished_at", int(time.time()))
            record = json.dumps({**json.loads(row[1]), **changes})
            database.execute(
                "UPDATE jobs SET status = ?, record = ? WHERE id = ?",
                (status, record, job_id),
            )
        return True

    def stop(self, job_id: str, status: Literal["cancelled", "paused"]) -> bool:
        """Cancel or pause a job, and wait until its trainer has stopped.

        The server's queue stops the trainer of a job that is no longer `running`.
        """
        if not self.update(job_id, expected=UNFINISHED, status=status):
            return False
        message = "cancelled" if status == "cancelled" else "stopped"
        self.log(job_id, f"The job was {message}")
        self.wait_for_trainer(job_id)
        if status == "cancelled":
            self.delete_results(job_id)
        return True

    def resume(self, job_id: str) -> bool:
        """Queue a paused or failed job, and return whether it is queued."""
        is_resumed = self.update(
            job_id,
            expected=("paused", "failed"),
            status="queued",
            error=None,
            finished_at=None,
        )
        if is_resumed:
            self.log(job_id, "The job was resumed")
        return is_resumed or job_id in self.ids_with_status("queued")

    def wait_for_trainer(self, job_id: str) -> None:
        """Wait until the trainer of a job has exited."""
        lock = self.folder(job_id) / "trainer.lock"
        deadline = time.monotonic() + _TRAINER_SECONDS
        while is_locked(lock):
            if time.monotonic() > deadline:
                msg = f"The trainer of job {job_id} is still running. Stop the server."
                raise LocalServerError(msg)
            time.sleep(_POLL_SECONDS)

    def delete(self, job_id: str) -> None:
        """Delete a job with its events, checkpoints and model."""
        # If this fails, the job is still listed and can be deleted again.
        self.delete_results(job_id)
        with transaction(self._data.database, is_deletion=True) as database:
            database.execute("DELETE FROM jobs WHERE id = ?", (job_id,))

    def delete_results(self, job_id: str) -> None:
        """Delete a job's checkpoints and model, if any."""
        remove_folder(self.folder(job_id))
        if model_id := self.private_fields(job_id).get("model", {}).get("id"):
            remove_folder(self._data.models / model_id)

    def log(
        self,
        job_id: str,
        message: str,
        *,
        level: Literal["info", "warn", "error"] = "info",
        data: dict[str, Any] | None = None,
    ) -> None:
        """Add an event to a job, if it exists; data with a step becomes metrics."""
        step = (data or {}).get("step")
        event = {
            "object": "fine_tuning.job.event",
            "id": new_id("ftevent-"),
            "created_at": int(time.time()),
            "level": level,
            "message": message,
            "type": "message" if step is None else "metrics",
            "data": data or {},
        }
        with transaction(self._data.database) as database:
            database.execute(
                "INSERT INTO events (job_id, step, record) "
                "SELECT id, ?, ? FROM jobs WHERE id = ?",
                (step, json.dumps(event), job_id),
            )

    def events(self, job_id: str) -> list[dict[str, Any]]:
        """Return all events of a job, oldest first."""
        with connect(self._data.database) as database:
            rows = database.execute(
                "SELECT record FROM events WHERE job_id = ? ORDER BY number", (job_id,)
            ).fetchall()
        return [json.loads(record) for (record,) in rows]

    def last_metrics(self, job_id: str) -> dict[str, Any]:
        """Return the metrics of the last step; empty before the first one."""
        with connect(self._data.database) as database:
            row = database.execute(
                "SELECT record FROM events WHERE job_id = ? AND step IS NOT NULL "
                "ORDER BY step DESC LIMIT 1",
                (job_id,),
            ).fetchone()
        return dict(json.loads(row[0])["data"]) if row else {}

    def folder(self, job_id: str) -> Path:
        """Return the folder of a job's checkpoints, which may not exist."""
        if not JOB_ID.fullmatch(job_id):
            msg = "not a job id"
            raise ValueError(msg)
        return self._data.jobs / job_id

    def _select(self, clause: str, *values: Any) -> list[dict[str, Any]]:
        query = f"SELECT record, status FROM jobs {clause}"
        with connect(self._data.database) as database:
            rows = database.execute(query, values).fetchall()
        return [{**json.loads(record), "status": status} for record, status in rows]
