"""Fine-tuning jobs and their events.

A job is `queued`, `running` or `paused` until its status is one of `FINISHED`. The
server of the data directory trains one job at a time; the others are queued. A paused
job waits for a request to resume it. A failed one can be resumed, too: its saves are
stored until it is deleted.
"""

import json
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timezone
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
from langchain_chatexports.local_server.storage.database import reading, writing
from langchain_chatexports.local_server.storage.models import PERSON_KEY

UNFINISHED = ("queued", "running", "paused")
FINISHED = ("succeeded", "failed", "cancelled")

COMPLETE = "complete.json"
"""The file that marks a save as complete."""

_POLL_SECONDS = 0.05
_TRAINER_SECONDS = 20.0


class JobEndedError(LocalServerError):
    """The job has finished, or was deleted."""


@dataclass(frozen=True)
class KeptJob:
    """A job on this machine."""

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
    """The step from which a stopped training continues."""

    base: str | None = None
    """The base of its server; start the server with the same one."""

    person: str | None = None
    """The person whose voice it learns, if known."""

    has_validation: bool = False
    position: int = 0
    """The number of jobs before this one, if it is queued."""


def list_jobs(data_dir: str | Path | None = None) -> list[KeptJob]:
    """Return the jobs of a data directory, newest first."""
    data = DataDirectory(data_dir)
    if not data.is_own:
        return []
    jobs = JobStore(data)
    has_server = is_locked(data.lock)
    return [_kept_job(job, jobs, has_server=has_server) for job in jobs.newest_first()]


def _kept_job(job: dict[str, Any], jobs: "JobStore", *, has_server: bool) -> KeptJob:
    status = job["status"]
    # Jobs of a killed server are stopped.
    if status == "paused" or (status == "running" and not has_server):
        status = "stopped"
    last = jobs.last_metrics(job["id"])
    saved = last_saved(jobs.folder(job["id"]))
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
        position=len(jobs.before(job["id"])) if status == "queued" else 0,
    )


def job_events(job_id: str, data_dir: str | Path | None = None) -> list[dict[str, Any]]:
    """Return the events of a job as clients see them, oldest first."""
    data = DataDirectory(data_dir)
    return JobStore(data).events(job_id) if data.is_own else []


def stop_job(
    job_id: str,
    status: Literal["cancelled", "paused"],
    *,
    data_dir: str | Path | None = None,
) -> None:
    """Cancel a job, or pause it until it is resumed, with or without a server."""
    data = DataDirectory(data_dir)
    data.require_own()
    jobs = JobStore(data)
    if jobs.get(job_id) is None:
        msg = f"There is no job {job_id}. The jobs: chatexports models"
        raise JobEndedError(msg)
    if not jobs.stop(job_id, status):
        msg = f"Job {job_id} has finished already. See: chatexports models"
        raise JobEndedError(msg)


def last_saved(job_folder: Path) -> Path | None:
    """Return the folder of a job's last complete save, if there is one."""
    saves = [mark.parent for mark in job_folder.glob(f"saves/checkpoint-*/{COMPLETE}")]
    return max(saves, key=_step_of, default=None)


def _step_of(save: Path) -> int:
    return int(save.name.rpartition("-")[2])


class JobStore:
    """The jobs of one data directory, for any number of processes."""

    def __init__(self, data: DataDirectory) -> None:
        self._data = data

    def create(
        self,
        record: dict[str, Any],
        *,
        private: dict[str, Any],
        events: Collection[str],
    ) -> dict[str, Any]:
        """Create a queued job; `events` are warnings."""
        job = {
            **record,
            "id": new_id("ftjob-"),
            "object": "fine_tuning.job",
            "created_at": int(time.time()),
        }
        with writing(self._data.database) as database:
            database.execute(
                "INSERT INTO jobs (id, status, record, private) VALUES (?, ?, ?, ?)",
                (job["id"], "queued", json.dumps(job), json.dumps(private)),
            )
        self.log(job["id"], f"Created fine-tuning job: {job['id']}")
        for event in events:
            self.log(job["id"], event, level="warn")
        self.log(job["id"], "Files validated, moving job to queued state")
        return {**job, "status": "queued"}

    def newest_first(self) -> list[dict[str, Any]]:
        """Return all jobs as clients see them, newest first."""
        return self._select("ORDER BY number DESC")

    def get(self, job_id: str) -> dict[str, Any] | None:
        """Return a job as clients see it, or `None`."""
        return next(iter(self._select("WHERE id = ?", job_id)), None)

    def with_status(self, *statuses: str) -> list[str]:
        """Return the ids of the jobs with one of these statuses, oldest first."""
        marks = ", ".join("?" * len(statuses))
        jobs = self._select(f"WHERE status IN ({marks}) ORDER BY number", *statuses)
        return [job["id"] for job in jobs]

    def before(self, job_id: str) -> list[str]:
        """Return the ids of the jobs before a queued one."""
        queued = self.with_status("queued")
        if job_id not in queued:
            return []
        return [*self.with_status("running"), *queued[: queued.index(job_id)]]

    def private(self, job_id: str) -> dict[str, Any]:
        """Return the private fields of a job; empty if it was deleted."""
        with reading(self._data.database) as database:
            row = database.execute(
                "SELECT private FROM jobs WHERE id = ?", (job_id,)
            ).fetchone()
        return json.loads(row[0]) if row else {}

    def update(
        self, job_id: str, *, only_from: Collection[str], status: str, **changes: Any
    ) -> bool:
        """Change a job if it has one of these statuses; return whether it had."""
        with writing(self._data.database) as database:
            row = database.execute(
                "SELECT status, record FROM jobs WHERE id = ?", (job_id,)
            ).fetchone()
            if row is None or row[0] not in only_from:
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
        """Cancel or pause a job, and wait until its trainer has ended.

        The server's queue stops the trainer when the job is no longer `running`.
        """
        if not self.update(job_id, only_from=UNFINISHED, status=status):
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
            only_from=("paused", "failed"),
            status="queued",
            error=None,
            finished_at=None,
        )
        if is_resumed:
            self.log(job_id, "The job was resumed")
        return is_resumed or job_id in self.with_status("queued")

    def wait_for_trainer(self, job_id: str) -> None:
        """Wait until no process trains a job."""
        lock = self.folder(job_id) / "trainer.lock"
        deadline = time.monotonic() + _TRAINER_SECONDS
        while is_locked(lock):
            if time.monotonic() > deadline:
                msg = f"The trainer of job {job_id} does not end. Stop the server."
                raise LocalServerError(msg)
            time.sleep(_POLL_SECONDS)

    def delete(self, job_id: str) -> None:
        """Delete a job with its events, its saves and its model."""
        # If this fails, the job stays listed and can be deleted later.
        self.delete_results(job_id)
        with writing(self._data.database, only_deletes=True) as database:
            database.execute("DELETE FROM jobs WHERE id = ?", (job_id,))

    def delete_results(self, job_id: str) -> None:
        """Delete a job's saves and its model, if there are any."""
        remove_folder(self.folder(job_id))
        if model_id := self.private(job_id).get("model", {}).get("id"):
            remove_folder(self._data.models / model_id)

    def log(
        self,
        job_id: str,
        message: str,
        *,
        level: Literal["info", "warn", "error"] = "info",
        data: dict[str, Any] | None = None,
    ) -> None:
        """Add an event, unless the job was deleted; one with a step has metrics."""
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
        with writing(self._data.database) as database:
            database.execute(
                "INSERT INTO events (job_id, step, record) "
                "SELECT id, ?, ? FROM jobs WHERE id = ?",
                (step, json.dumps(event), job_id),
            )

    def events(self, job_id: str) -> list[dict[str, Any]]:
        """Return all events of a job, oldest first."""
        with reading(self._data.database) as database:
            rows = database.execute(
                "SELECT record FROM events WHERE job_id = ? ORDER BY number", (job_id,)
            ).fetchall()
        return [json.loads(record) for (record,) in rows]

    def last_metrics(self, job_id: str) -> dict[str, Any]:
        """Return the metrics of the last step; empty before the first one."""
        with reading(self._data.database) as database:
            row = database.execute(
                "SELECT record FROM events WHERE job_id = ? AND step IS NOT NULL "
                "ORDER BY step DESC LIMIT 1",
                (job_id,),
            ).fetchone()
        return dict(json.loads(row[0])["data"]) if row else {}

    def folder(self, job_id: str) -> Path:
        """Return the folder of a job's saves, which may not exist."""
        if not JOB_ID.fullmatch(job_id):
            msg = "not a job id"
            raise ValueError(msg)
        return self._data.jobs / job_id

    def _select(self, clause: str, *values: Any) -> list[dict[str, Any]]:
        query = f"SELECT record, status FROM jobs {clause}"
        with reading(self._data.database) as database:
            rows = database.execute(query, values).fetchall()
        return [{**json.loads(record), "status": status} for record, status in rows]
