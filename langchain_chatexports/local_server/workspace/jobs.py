"""Jobs and their events.

Whoever changes a job names the states that it must be in, so two processes cannot both
move it. One order has one job: equal orders find the job that is there.
"""

import hashlib
import json
import secrets
import shutil
import sqlite3
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from threading import Event as Signal
from typing import Any

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.errors import NotFoundError, StateError
from langchain_chatexports.local_server.workspace.data_directory import (
    JOB_ID,
    DataDirectory,
    list_job_folders,
    remove_folder,
)
from langchain_chatexports.local_server.workspace.records import (
    SELECT_EVENTS,
    SELECT_JOBS,
    UNFINISHED,
    Event,
    Job,
    Kind,
    Level,
    State,
    read_event,
    read_job,
)

SAMPLE = "sample.json"
"""The file of a training with a message and what the model would answer now."""

_MAX_SEED = 2**31
_MAX_NUMBER = 2**63 - 1
_POLL_SECONDS = 0.2
_TRAINER_SECONDS = 20.0


class Jobs:
    """The jobs of a data directory."""

    def __init__(self, data: DataDirectory) -> None:
        self._data = data

    def find_or_create(
        self,
        *,
        base: str,
        base_model: str,
        training_file: str,
        validation_file: str | None = None,
        hyperparameters: Mapping[str, Any] | None = None,
        suffix: str | None = None,
        seed: int | None = None,
        metadata: Mapping[str, str] | None = None,
        key: str | None = None,
    ) -> tuple[Job, bool]:
        """Return the job of an order, in whatever state it is, and whether it is new.

        Args:
            base: A directory, a `.gguf` file or a hub id.
            base_model: The short name of the base.
            training_file: The id of a file.
            validation_file: The id of a file.
            hyperparameters: OpenAI's hyperparameters, without those that are automatic.
            suffix: Any text for the model's name.
            seed: By default, a random one.
            metadata: Labels, such as those of `job_labels`.
            key: Orders with the same key have one job, until that is cancelled or
                deleted. By default, orders that are equal except for their metadata.

        Raises:
            NotFoundError: If a file does not exist.
            DiskFullError: If there is no space for a training run.
        """
        order = {
            "base": base,
            "training_file": training_file,
            "validation_file": validation_file,
            "hyperparameters": json.dumps(dict(hyperparameters or {}), sort_keys=True),
            "suffix": suffix,
            "seed": seed,
        }
        text = json.dumps(order, sort_keys=True)
        key = key or hashlib.sha256(text.encode()).hexdigest()
        record = {
            **order,
            "id": f"ftjob-{secrets.token_hex(12)}",
            "key": key,
            "state": State.QUEUED,
            "base_model": base_model,
            "seed": secrets.randbelow(_MAX_SEED) if seed is None else seed,
            "metadata": json.dumps(dict(metadata or {})),
            "created_at": time.time(),
        }
        self._data.prepare()
        with self._data.connect(writes=True) as database:
            job = _select_one(database, "key", key)
            if job is not None and self._has_lost_model(job):
                query = "UPDATE jobs SET key = id WHERE id = ?"
                database.execute(query, (job.id,))
            elif job is not None:
                return job, False
            self._require_files(training_file, validation_file)
            self._data.require_space()
            return self._insert(database, record), True

    def list(self) -> tuple[Job, ...]:
        """Return all jobs, newest first."""
        if not self._data.exists:
            return ()
        with self._data.connect() as database:
            rows = database.execute(f"{SELECT_JOBS} ORDER BY number DESC")
            return tuple(map(read_job, rows))

    def has_running(self) -> bool:
        """Return whether a job is being trained."""
        return any(job.state is State.RUNNING for job in self.list())

    def find(self, job_id: str) -> Job | None:
        """Return a job, or `None` if it does not exist."""
        if not self._data.exists:
            return None
        with self._data.connect() as database:
            return _select_one(database, "id", job_id)

    def get(self, job_id: str) -> Job:
        """Return a job.

        Raises:
            NotFoundError: If it does not exist.
        """
        if (job := self.find(job_id)) is None:
            msg = f"No job named {job_id!r}. List the jobs: chatexports models"
            raise NotFoundError(msg)
        return job

    def events(self, job_id: str, *, after: int = 0) -> tuple[Event, ...]:
        """Return a job's events, oldest first: all, or those after a number."""
        if not self._data.exists:
            return ()
        query = f"{SELECT_EVENTS} WHERE job_id = ? AND number > ? ORDER BY number"
        with self._data.connect() as database:
            rows = database.execute(query, (job_id, after))
            return tuple(map(read_event, rows))

    def latest_events(
        self, job_id: str, *, before: int | None = None, limit: int = 20
    ) -> tuple[Event, ...]:
        """Return a job's latest events, newest first: all, or those before a number."""
        query = (
            f"{SELECT_EVENTS} WHERE job_id = ? AND number < ? "
            "ORDER BY number DESC LIMIT ?"
        )
        values = (job_id, _MAX_NUMBER if before is None else before, limit)
        with self._data.connect() as database:
            return tuple(map(read_event, database.execute(query, values)))

    def follow(
        self, job_id: str, *, after: int = 0, stop: Signal | None = None
    ) -> Iterator[Event]:
        """Yield a job's events as they come, until it is no longer active.

        Args:
            job_id: The job.
            after: The number of the last event that is known.
            stop: Ends the iterator when it is set.
        """
        stop = stop or Signal()
        while not stop.is_set():
            job = self.find(job_id)  # Before the events, so that none is missed.
            for event in self.events(job_id, after=after):
                after = event.number
                yield event
            if job is None or not job.is_active:
                return
            stop.wait(_POLL_SECONDS)

    def pause(self, job_id: str) -> Job:
        """Pause a job: its trainer saves and exits.

        Raises:
            NotFoundError: If the job does not exist.
            StateError: If it has finished. As by the others below.
        """
        return self._change(
            job_id, "pause", State.PAUSED, UNFINISHED, "The job was paused"
        )

    def resume(self, job_id: str) -> Job:
        """Queue a paused or failed job; it continues from its last save."""
        sources = (State.QUEUED, State.PAUSED, State.FAILED)
        return self._change(
            job_id, "resume", State.QUEUED, sources, "The job was resumed", error=None
        )

    def cancel(self, job_id: str) -> Job:
        """Cancel a job and delete its saves; the same order makes a new job."""
        message = "The job was cancelled"
        job = self._change(job_id, "cancel", State.CANCELLED, UNFINISHED, message)
        self.wait_for_trainer()
        self._delete_folders(job_id)
        return job

    def delete(self, job_id: str) -> None:
        """Delete a job with its model, and the examples that only it needs.

        This works on a full disk. If it fails, the job is still listed and can be
        deleted again.
        """
        job = self.get(job_id)
        # First, because this frees space for the rest.
        self.delete_unused_files(_files_of(job), but_for=job_id)
        self.move(job_id, State.CANCELLED, "The job was deleted", sources=UNFINISHED)
        self.wait_for_trainer()
        self._delete_folders(job_id)
        with self._data.connect(deletes=True) as database:
            database.execute("DELETE FROM jobs WHERE id = ?", (job_id,))

    def rename_model(self, job_id: str, label: str | None) -> None:
        """Set the label of a job's model."""
        with self._data.connect(writes=True) as database:
            query = "UPDATE jobs SET label = ? WHERE id = ?"
            database.execute(query, (label, job_id))

    def set_strength(self, job_id: str, strength: float) -> None:
        """Set the strength of a job's model."""
        with self._data.connect(writes=True) as database:
            query = (
                "UPDATE jobs SET results = json_set(results, '$.strength', ?) "
                "WHERE id = ?"
            )
            database.execute(query, (strength, job_id))

    def sample(self, job_id: str) -> dict[str, str] | None:
        """Return a `message` and what the model in training would `answer` now."""
        try:
            sample: dict[str, str] = json.loads(
                (self._data.job_folder(job_id) / SAMPLE).read_text("ascii")
            )
        except (OSError, ValueError):  # There is none yet.
            return None
        return sample

    # For the queue and the trainer

    def move(
        self,
        job_id: str,
        state: State,
        message: str,
        *,
        sources: Collection[State] = (State.RUNNING,),
        level: Level = "info",
        **changes: Any,
    ) -> bool:
        """Move a job from one of some states; return whether it was in one of them."""
        now = time.time()
        changes |= {"state": state}
        changes["finished_at"] = None if state in UNFINISHED else now
        if state is State.RUNNING:
            changes["started_at"] = now
        if state is State.CANCELLED:
            changes["key"] = job_id
        marks = ", ".join("?" * len(sources))
        query = f"WHERE id = ? AND state IN ({marks})"
        is_deletion = state is State.CANCELLED
        with self._data.connect(writes=True, deletes=is_deletion) as database:
            if not _update(database, query, (job_id, *sources), changes):
                return False
            _add_event(database, job_id, message, kind="state", level=level)
            if state is State.QUEUED:
                _log_position(database, job_id)
        return True

    def log(
        self,
        job_id: str,
        message: str,
        *,
        kind: Kind = "message",
        level: Level = "info",
        **data: Any,
    ) -> None:
        """Add an event to a job, if it exists."""
        with self._data.connect(writes=True) as database:
            _add_event(database, job_id, message, kind=kind, level=level, data=data)

    def log_step(
        self, job_id: str, step: int, steps: int, loss: float | None, **more: Any
    ) -> None:
        """Add the event of a step, which is also the job's progress."""
        message = f"Step {step}/{steps}: training loss={loss}"
        if (validation_loss := more.get("valid_loss")) is not None:
            message += f", validation loss={validation_loss}"
        data = {"step": step, "total_steps": steps, "train_loss": loss, **more}
        changes = {"step": step, "steps": steps, "loss": loss}
        with self._data.connect(writes=True) as database:
            if _update(database, "WHERE id = ?", (job_id,), changes):
                _add_event(database, job_id, message, kind="step", data=data)

    def record(
        self, job_id: str, *, saved_step: int | None = None, **results: Any
    ) -> None:
        """Record a save, or what training found out."""
        with self._data.connect(writes=True) as database:
            job = _select_one(database, "id", job_id)
            if job is not None:
                changes: dict[str, Any] = {"results": {**job.results, **results}}
                if saved_step is not None:
                    changes["saved_step"] = saved_step
                _update(database, "WHERE id = ?", (job_id,), changes)

    def wait_for_trainer(self) -> None:
        """Wait until no trainer runs, or that of a job which is still to run."""
        if not self._data.exists:
            return
        deadline = time.monotonic() + _TRAINER_SECONDS
        with self._data.lock("trainer") as lock:
            while not lock.acquire(timeout=_POLL_SECONDS):
                # A queue starts the next job's trainer after the last one's exit.
                if self.has_running():
                    return
                if time.monotonic() > deadline:
                    msg = (
                        "The trainer of the job is still running. End the program that "
                        "started it, or try again later."
                    )
                    raise LocalServerError(msg)

    def delete_unused_files(
        self,
        file_ids: Collection[str],
        *,
        but_for: str | None = None,
        keeps_models: bool = True,
    ) -> set[str]:
        """Delete the files that no unfinished job or model needs; return their ids.

        Args:
            file_ids: The files.
            but_for: A job that does not count.
            keeps_models: Whether the files of models are kept.
        """
        states = {*UNFINISHED, State.SUCCEEDED} if keeps_models else {*UNFINISHED}
        # In a transaction, so that no new job uses them meanwhile.
        with self._data.connect(deletes=True) as database:
            needed: set[str] = set()
            for job in map(read_job, database.execute(SELECT_JOBS)):
                if job.id == but_for or job.state not in states:
                    continue
                if not self._has_lost_model(job):
                    needed |= _files_of(job)
            unused = set(file_ids) - needed
            for file_id in unused:
                self._data.file_path(file_id).unlink(missing_ok=True)
        return unused

    def sweep(self) -> None:
        """Delete the saves and models that no job can use any more."""
        saves, models = (
            list_job_folders(self._data.folder(name)) for name in ("jobs", "models")
        )
        # After the folders, so that none of a newer job is deleted.
        states = {job.id: job.state for job in self.list()}
        useless_saves = (None, State.CANCELLED, State.SUCCEEDED)
        for folders, useless in ((saves, useless_saves), (models, useless_saves[:2])):
            for job_id, folder in folders:
                is_trash = folder.name != job_id
                is_useless = is_trash or states.get(job_id) in useless
                if JOB_ID.fullmatch(job_id) and is_useless:
                    _remove_quietly(folder, is_trash=is_trash)

    def _change(
        self,
        job_id: str,
        verb: str,
        state: State,
        sources: Collection[State],
        message: str,
        **changes: Any,
    ) -> Job:
        job = self.get(job_id)
        if job.state is state and state in sources:
            return job
        if not self.move(job_id, state, message, sources=sources, **changes):
            state = self.get(job_id).state
            msg = f"Cannot {verb} a job that is {state}."
            raise StateError(msg)
        return self.get(job_id)

    def _insert(self, database: sqlite3.Connection, record: dict[str, Any]) -> Job:
        columns, marks = ", ".join(record), ", ".join(f":{name}" for name in record)
        database.execute(f"INSERT INTO jobs ({columns}) VALUES ({marks})", record)
        job_id = record["id"]
        message = f"Created fine-tuning job: {job_id}"
        _add_event(database, job_id, message, kind="state")
        _log_position(database, job_id)
        row = database.execute(f"{SELECT_JOBS} WHERE id = ?", (job_id,)).fetchone()
        return read_job(row)

    def _require_files(self, *file_ids: str | None) -> None:
        for file_id in filter(None, file_ids):
            if not self._data.file_path(file_id).is_file():
                msg = f"No examples with the id {file_id!r}. Upload them again."
                raise NotFoundError(msg)

    def _has_lost_model(self, job: Job) -> bool:
        """Whether somebody deleted the folder of a job's model."""
        is_model = job.state is State.SUCCEEDED
        return is_model and not self._data.model_folder(job.id).is_dir()

    def _delete_folders(self, job_id: str) -> None:
        with self._data.storage_errors(deletes=True):
            remove_folder(self._data.job_folder(job_id))
            remove_folder(self._data.model_folder(job_id))


def _files_of(job: Job) -> set[str]:
    return {file_id for file_id in (job.training_file, job.validation_file) if file_id}


def _remove_quietly(folder: Path, *, is_trash: bool) -> None:
    try:
        if is_trash:
            shutil.rmtree(folder)
        else:
            remove_folder(folder)
    except OSError:  # On Windows, while a program uses it: the next sweep deletes it.
        return


def _update(
    database: sqlite3.Connection,
    clause: str,
    values: tuple[Any, ...],
    changes: Mapping[str, Any],
) -> bool:
    columns = ", ".join(f"{name} = ?" for name in changes)
    new = (json.dumps(v) if isinstance(v, dict) else v for v in changes.values())
    query = f"UPDATE jobs SET {columns} {clause}"
    return database.execute(query, (*new, *values)).rowcount == 1


def _add_event(
    database: sqlite3.Connection,
    job_id: str,
    message: str,
    *,
    kind: Kind,
    level: Level = "info",
    data: Mapping[str, Any] | None = None,
) -> None:
    query = (
        "INSERT INTO events (job_id, created_at, kind, level, message, data) "
        "SELECT id, ?, ?, ?, ?, ? FROM jobs WHERE id = ?"
    )
    values = (time.time(), kind, level, message, json.dumps(data or {}), job_id)
    database.execute(query, values)


def _log_position(database: sqlite3.Connection, job_id: str) -> None:
    query = (
        "SELECT other.id FROM jobs, jobs AS other WHERE jobs.id = ? AND "
        "(other.state = 'running' OR "
        "other.state = 'queued' AND other.number < jobs.number) "
        "ORDER BY other.state = 'queued', other.number"
    )
    ahead = database.execute(query, (job_id,)).fetchall()
    if ahead:
        message = (
            f"Queued behind job {ahead[-1][0]} (position {len(ahead) + 1}); jobs "
            "run one at a time"
        )
        _add_event(database, job_id, message, kind="message")


def _select_one(database: sqlite3.Connection, column: str, value: str) -> Job | None:
    row = database.execute(f"{SELECT_JOBS} WHERE {column} = ?", (value,)).fetchone()
    return None if row is None else read_job(row)
