"""The training queue: runs one trainer at a time, and records each job's result.

A trainer is a child process that exits when its server does. After a server was killed,
the next one records which jobs have a model, and queues the other unfinished ones to
resume from their last checkpoint. A queue with `resume_jobs=False` pauses them instead,
and pauses its own jobs when it stops.
"""

import logging
import shutil
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from langchain_chatexports.local_server.processes import (
    child_environment,
    parse_json_object,
    send_line,
    start_child,
)
from langchain_chatexports.local_server.storage.data_directory import (
    DataDirectory,
    read_json,
    remove_folder,
)
from langchain_chatexports.local_server.storage.database import DatabaseError
from langchain_chatexports.local_server.storage.files import FileStore
from langchain_chatexports.local_server.storage.jobs import (
    COMPLETE,
    UNFINISHED,
    JobStore,
    last_checkpoint,
)
from langchain_chatexports.local_server.training.old_trainer import (
    DISK_FULL,
    STOP,
    TrainingSpec,
)

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.1
_IDLE_SECONDS = 1.0
# The time to finish a step and save a checkpoint: less than `JobStore.stop` waits, and
# less than the server's shutdown limit.
_PAUSE_SECONDS = 15.0
_SHUTDOWN_SECONDS = 7.0


class TrainingQueue:
    """A thread that runs the trainer of one job at a time, oldest job first."""

    def __init__(
        self,
        data: DataDirectory,
        *,
        base_model: str,
        base_directory: Path,
        threads: int,
        resume_jobs: bool = True,
    ) -> None:
        """Initialize the queue; `start` starts its thread."""
        self._data = data
        self._jobs = JobStore(data)
        self._files = FileStore(data)
        self._base_model = base_model
        self._base_directory = base_directory
        self._threads = threads
        self._resume_jobs = resume_jobs
        self._stopping = threading.Event()
        self._changed = threading.Event()
        self._thread: threading.Thread | None = None
        self.is_training = False
        """Whether a trainer is running or starting."""

    def start(self) -> None:
        """Update the jobs of an earlier server, and start the thread."""
        self._files.delete_incomplete()
        self._finish_interrupted(requeue=self._resume_jobs)
        # A killed server may not have deleted these.
        for job_id in self._jobs.ids_with_status("succeeded"):
            shutil.rmtree(self._jobs.folder(job_id), ignore_errors=True)
        for job_id in self._jobs.ids_with_status("cancelled"):
            with suppress(OSError):
                self._jobs.delete_results(job_id)
        for job_id in self._jobs.ids_with_status("queued"):
            if not self._resume_jobs:
                self._jobs.update(job_id, expected=("queued",), status="paused")
            elif not self._matches_base(job_id):
                base = self._jobs.private_fields(job_id)["model"]["base_model"]
                message = f"The job is waiting for a server with its base, {base}"
                self._log(job_id, message, level="warn")
        self._stopping.clear()
        self._thread = threading.Thread(
            target=self._run, name="training-queue", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop the trainer, and queue its job again, or pause all jobs."""
        self._stopping.set()
        self._changed.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if not self._resume_jobs:
            for job_id in self._jobs.ids_with_status("queued"):
                self._jobs.stop(job_id, "paused")

    def enqueue(self, job_id: str) -> None:
        """Queue a job, and log its position."""
        ahead = [
            job
            for job in self._jobs.jobs_ahead(job_id)
            if job in self._jobs.ids_with_status("running") or self._matches_base(job)
        ]
        if ahead:
            self._log(
                job_id,
                f"Queued behind job {ahead[-1]} (position {len(ahead) + 1}); jobs run "
                "one at a time",
            )
        self._changed.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                # If the disk was full, the result of a job may be missing.
                self._finish_interrupted(requeue=True)
                queued = self._jobs.ids_with_status("queued")
                job_id = next(filter(self._matches_base, queued), None)
                if job_id is not None:
                    self.is_training = True
                    self._train(job_id)
                    continue
            except Exception:
                # Keep the thread running: disk space may become available.
                logger.exception("The training queue failed and will try again")
            finally:
                self.is_training = False
            self._changed.wait(_IDLE_SECONDS)
            self._changed.clear()

    def _train(self, job_id: str) -> None:
        if not self._jobs.update(job_id, expected=("queued",), status="running"):
            return
        # The trainer logs the later phases after its imports.
        self._log(job_id, "Fine-tuning job started", phase="libraries")
        model = self._model_folder(job_id)
        folder = self._jobs.folder(job_id)
        previous_checkpoint = last_checkpoint(folder)
        failure: dict[str, Any] | None = {"code": "disk_full", "message": DISK_FULL}
        if self._data.has_space:
            try:
                failure = self._wait_for_trainer(job_id, self._start_trainer(job_id))
            except Exception as error:
                logger.exception("A job could not be started")
                message = f"The job could not be started ({type(error).__name__})."
                failure = {"code": "server_error", "message": message}
        if (
            failure
            and "signal" in failure
            and last_checkpoint(folder) != previous_checkpoint
        ):
            failure = None
        requeue = self._resume_jobs or not self._stopping.is_set()
        self._finish(job_id, model, failure, requeue=requeue)

    def _start_trainer(self, job_id: str) -> subprocess.Popen[bytes]:
        folder = self._jobs.folder(job_id)
        temporary = folder / "temporary"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(mode=0o700, parents=True)
        return start_child(
            "langchain_chatexports.local_server.training.old_trainer",
            child_environment(threads=self._threads, offline=True, temporary=temporary),
            asdict(self._build_spec(job_id)),
            folder=folder,
        )

    def _build_spec(self, job_id: str) -> TrainingSpec:
        job = self._jobs.get(job_id) or {}
        private = self._jobs.private_fields(job_id)
        validation = job.get("validation_file")
        return TrainingSpec(
            data_dir=str(self._data.root),
            job_id=job_id,
            base_directory=str(self._base_directory),
            training_file=str(self._files.path(job["training_file"])),
            validation_file=str(self._files.path(validation)) if validation else None,
            hyperparameters=job["hyperparameters"],
            seed=job["seed"],
            max_length=private["max_length"],
            model_folder=str(self._model_folder(job_id)),
            model_record={**private["model"], "job_id": job_id},
        )

    def _wait_for_trainer(
        self, job_id: str, trainer: subprocess.Popen[bytes]
    ) -> dict[str, Any] | None:
        """Wait for a trainer; stop it if its job is cancelled, paused or deleted."""
        while True:
            with suppress(subprocess.TimeoutExpired):
                code = trainer.wait(_POLL_SECONDS)
                with trainer:
                    output = trainer.stdout.read() if trainer.stdout else b""
                return _parse_failure(code, output)
            status = (self._jobs.get(job_id) or {}).get("status")
            if status != "running" or self._stopping.is_set():
                if status in {"running", "paused"}:
                    self._save_checkpoint(trainer)
                _kill(trainer)
                return None

    def _save_checkpoint(self, trainer: subprocess.Popen[bytes]) -> None:
        """Wait until a trainer has saved a checkpoint and exited, up to a limit."""
        send_line(trainer, STOP)
        started = time.monotonic()
        while time.monotonic() - started < (
            _SHUTDOWN_SECONDS if self._stopping.is_set() else _PAUSE_SECONDS
        ):
            with suppress(subprocess.TimeoutExpired):
                trainer.wait(_POLL_SECONDS)
                return

    def _model_folder(self, job_id: str) -> Path:
        model_id: str = self._jobs.private_fields(job_id)["model"]["id"]
        return self._data.models / model_id

    def _finish_interrupted(self, *, requeue: bool) -> None:
        """Record the results of jobs whose trainer has exited."""
        for job_id in self._jobs.ids_with_status("running"):
            self._finish(job_id, self._model_folder(job_id), requeue=requeue)

    def _finish(
        self,
        job_id: str,
        model: Path,
        failure: dict[str, Any] | None = None,
        *,
        requeue: bool,
    ) -> None:
        """Record the result of a job: a model, a failure, or an interruption."""
        folder = self._jobs.folder(job_id)
        result = read_json(model / "model.json")
        if result is not None:
            shutil.rmtree(folder, ignore_errors=True)
            self._log(job_id, f"New fine-tuned model created: {result['name']}")
            self._log(job_id, "The job has successfully completed")
            is_updated = self._jobs.update(
                job_id,
                expected=UNFINISHED,
                status="succeeded",
                fine_tuned_model=result["name"],
                finished_at=result["created_at"],
                trained_tokens=result["trained_tokens"],
            )
            if not is_updated:  # The job was cancelled or deleted concurrently.
                remove_folder(model)
        elif failure is not None:
            _delete_incomplete_checkpoints(folder)
            self._log(job_id, failure["message"], level="error")
            error = {key: failure.get(key) for key in ("code", "message", "param")}
            self._jobs.update(
                job_id, expected=("running",), status="failed", error=error
            )
        elif not requeue:
            self._jobs.update(job_id, expected=("running",), status="paused")
        elif self._jobs.update(job_id, expected=("running",), status="queued"):
            message = "Training was interrupted; the job is queued again"
            self._log(job_id, message, level="warn")

    def _log(
        self,
        job_id: str,
        message: str,
        level: Literal["info", "warn", "error"] = "info",
        phase: str = "",
    ) -> None:
        data = {"phase": phase} if phase else None
        # A job finishes even if the disk is too full for its events.
        with suppress(DatabaseError):
            self._jobs.log(job_id, message, level=level, data=data)

    def _matches_base(self, job_id: str) -> bool:
        model = self._jobs.private_fields(job_id).get("model", {})
        return bool(model.get("base_model") == self._base_model)


def _kill(trainer: subprocess.Popen[bytes]) -> None:
    trainer.kill()
    with suppress(OSError):
        trainer.communicate()


def _parse_failure(exit_code: int, output: bytes) -> dict[str, Any] | None:
    """Return the reason for a trainer's failure from its output or exit code."""
    lines = output.splitlines()
    failure = parse_json_object(lines[-1]) if lines else {}
    if "code" in failure:
        logger.error("Training failed in %s", failure.get("frames"))
        return failure
    if exit_code == 0:
        return None
    message = f"The trainer exited with code {exit_code} without a message."
    if exit_code > 0:
        return {"code": "trainer_ended", "message": message}
    message = (
        "The trainer was killed, most likely because memory ran out. Close other "
        "programs, or use shorter chats or a smaller base model, and resume the job."
    )
    return {"code": "trainer_ended", "signal": -exit_code, "message": message}


def _delete_incomplete_checkpoints(folder: Path) -> None:
    """Delete incomplete checkpoints and an unpublished model."""
    shutil.rmtree(folder / "model", ignore_errors=True)
    for checkpoint in folder.glob("saves/checkpoint-*"):
        if not (checkpoint / COMPLETE).exists():
            shutil.rmtree(checkpoint, ignore_errors=True)
