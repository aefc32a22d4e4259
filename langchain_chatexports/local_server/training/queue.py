"""The training queue: one trainer at a time, and the result of each job.

A trainer is a child process that ends with its server, which keeps its standard input
open. The jobs of a killed server continue from their last save: a job with a model has
succeeded, and each other unfinished one is queued again. A queue that does not resume
jobs pauses those of an earlier server, and its own jobs when it stops.
"""

import logging
import shutil
import subprocess
import threading
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from langchain_chatexports.local_server.processes import (
    child_environment,
    json_object,
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
    last_saved,
)
from langchain_chatexports.local_server.training.trainer import (
    DISK_FULL,
    STOP,
    TrainingSpec,
)

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.1
_IDLE_SECONDS = 1.0
# Enough for most steps and a save; the server's end takes a little longer.
_SAVE_SECONDS = 7.0


class TrainingQueue:
    """A thread that runs the trainer of one job at a time, oldest job first."""

    def __init__(
        self,
        data: DataDirectory,
        *,
        base_model: str,
        base_directory: Path,
        threads: int,
        resumes: bool = True,
    ) -> None:
        """Initialize the queue; `start` starts its thread."""
        self._data = data
        self._jobs = JobStore(data)
        self._files = FileStore(data)
        self._base_model = base_model
        self._base_directory = base_directory
        self._threads = threads
        self._resumes = resumes
        self._stopping = threading.Event()
        self._changed = threading.Event()
        self._thread: threading.Thread | None = None
        self.is_training = False
        """Whether a trainer is running, or about to start."""

    def start(self) -> None:
        """Update the jobs of an earlier server, and start the thread."""
        self._files.delete_incomplete()
        self._conclude_left(continues=self._resumes)
        # The server may have been killed before these were deleted.
        for job_id in self._jobs.with_status("succeeded"):
            shutil.rmtree(self._jobs.folder(job_id), ignore_errors=True)
        for job_id in self._jobs.with_status("cancelled"):
            with suppress(OSError):
                self._jobs.delete_results(job_id)
        for job_id in self._jobs.with_status("queued"):
            if not self._resumes:
                self._jobs.update(job_id, only_from=("queued",), status="paused")
            elif not self._has_this_base(job_id):
                base = self._jobs.private(job_id)["model"]["base_model"]
                message = f"The job is waiting for a server with its base, {base}"
                self._log(job_id, message, level="warn")
        self._stopping.clear()
        self._thread = threading.Thread(
            target=self._run, name="training-queue", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop the trainer, and queue its job again or pause all jobs."""
        self._stopping.set()
        self._changed.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if not self._resumes:
            for job_id in self._jobs.with_status("queued"):
                self._jobs.stop(job_id, "paused")

    def enqueue(self, job_id: str) -> None:
        """Queue a job for training, and log the job before it."""
        before = [
            job
            for job in self._jobs.before(job_id)
            if job in self._jobs.with_status("running") or self._has_this_base(job)
        ]
        if before:
            self._log(
                job_id,
                f"The job waits for job {before[-1]}: it is number "
                f"{len(before) + 1} in the queue, and one job trains at a time",
            )
        self._changed.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                # A full disk may have kept the end of a job from being recorded.
                self._conclude_left(continues=True)
                queued = self._jobs.with_status("queued")
                job_id = next(filter(self._has_this_base, queued), None)
                if job_id is not None:
                    self.is_training = True
                    self._train(job_id)
                    continue
            except Exception:
                # The thread must continue: a full disk may have space again.
                logger.exception("The training queue will try again")
            finally:
                self.is_training = False
            self._changed.wait(_IDLE_SECONDS)
            self._changed.clear()

    def _train(self, job_id: str) -> None:
        if not self._jobs.update(job_id, only_from=("queued",), status="running"):
            return
        # After its imports, the trainer logs its own phases.
        self._log(job_id, "Fine-tuning job started", phase="libraries")
        model = self._model_of(job_id)
        folder = self._jobs.folder(job_id)
        before = last_saved(folder)
        failure: dict[str, Any] | None = {"code": "disk_full", "message": DISK_FULL}
        if self._data.has_space:
            try:
                failure = self._watch(job_id, self._start_trainer(job_id))
            except Exception as error:
                logger.exception("A job could not be started")
                message = f"The job could not be started ({type(error).__name__})."
                failure = {"code": "server_error", "message": message}
        if failure and "signal" in failure and last_saved(folder) != before:
            failure = None
        continues = self._resumes or not self._stopping.is_set()
        self._conclude(job_id, model, failure, continues=continues)

    def _start_trainer(self, job_id: str) -> subprocess.Popen[bytes]:
        folder = self._jobs.folder(job_id)
        temporary = folder / "temporary"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(mode=0o700, parents=True)
        return start_child(
            "langchain_chatexports.local_server.training.trainer",
            child_environment(threads=self._threads, offline=True, temporary=temporary),
            asdict(self._spec(job_id)),
            folder=folder,
        )

    def _spec(self, job_id: str) -> TrainingSpec:
        job = self._jobs.get(job_id) or {}
        private = self._jobs.private(job_id)
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
            model_folder=str(self._model_of(job_id)),
            model_record={**private["model"], "job_id": job_id},
        )

    def _watch(
        self, job_id: str, trainer: subprocess.Popen[bytes]
    ) -> dict[str, Any] | None:
        """Wait for a trainer; stop it if its job is cancelled, paused or deleted."""
        while True:
            with suppress(subprocess.TimeoutExpired):
                code = trainer.wait(_POLL_SECONDS)
                with trainer:
                    output = trainer.stdout.read() if trainer.stdout else b""
                return _failure(code, output)
            status = (self._jobs.get(job_id) or {}).get("status")
            if status != "running" or self._stopping.is_set():
                _stop(trainer, saves=status in {"running", "paused"})
                return None

    def _model_of(self, job_id: str) -> Path:
        model_id: str = self._jobs.private(job_id)["model"]["id"]
        return self._data.models / model_id

    def _conclude_left(self, *, continues: bool) -> None:
        """Record the results of jobs that no trainer trains any more."""
        for job_id in self._jobs.with_status("running"):
            self._conclude(job_id, self._model_of(job_id), continues=continues)

    def _conclude(
        self,
        job_id: str,
        model: Path,
        failure: dict[str, Any] | None = None,
        *,
        continues: bool,
    ) -> None:
        """Record the result of a training; without failure or model it was stopped."""
        folder = self._jobs.folder(job_id)
        result = read_json(model / "model.json")
        if result is not None:
            shutil.rmtree(folder, ignore_errors=True)
            self._log(job_id, f"New fine-tuned model created: {result['name']}")
            self._log(job_id, "The job has successfully completed")
            is_updated = self._jobs.update(
                job_id,
                only_from=UNFINISHED,
                status="succeeded",
                fine_tuned_model=result["name"],
                finished_at=result["created_at"],
                trained_tokens=result["trained_tokens"],
            )
            if not is_updated:  # It was cancelled or deleted at the last moment.
                remove_folder(model)
        elif failure is not None:
            _delete_incomplete_saves(folder)
            self._log(job_id, failure["message"], level="error")
            error = {key: failure.get(key) for key in ("code", "message", "param")}
            self._jobs.update(
                job_id, only_from=("running",), status="failed", error=error
            )
        elif not continues:
            self._jobs.update(job_id, only_from=("running",), status="paused")
        elif self._jobs.update(job_id, only_from=("running",), status="queued"):
            message = "The training was interrupted; the job is queued again"
            self._log(job_id, message, level="warn")

    def _log(
        self,
        job_id: str,
        message: str,
        level: Literal["info", "warn", "error"] = "info",
        phase: str = "",
    ) -> None:
        data = {"phase": phase} if phase else None
        # A full disk must not keep a job from finishing.
        with suppress(DatabaseError):
            self._jobs.log(job_id, message, level=level, data=data)

    def _has_this_base(self, job_id: str) -> bool:
        model = self._jobs.private(job_id).get("model", {})
        return bool(model.get("base_model") == self._base_model)


def _stop(trainer: subprocess.Popen[bytes], *, saves: bool) -> None:
    if saves:
        send_line(trainer, STOP)
        with suppress(subprocess.TimeoutExpired):
            trainer.wait(_SAVE_SECONDS)
    trainer.kill()
    with suppress(OSError):
        trainer.communicate()


def _failure(exit_code: int, output: bytes) -> dict[str, Any] | None:
    """Return the reason of a trainer's failure, from its output or exit code."""
    lines = output.splitlines()
    written = json_object(lines[-1]) if lines else {}
    if "code" in written:
        logger.error("A training failed in %s", written.get("frames"))
        return written
    if exit_code == 0:
        return None
    message = f"The trainer ended with exit code {exit_code}, without a reason."
    if exit_code > 0:
        return {"code": "trainer_ended", "message": message}
    message = (
        "The trainer was killed, most likely because memory ran out. Close other "
        "programs, or use shorter chats or a smaller base model, and continue the "
        "training."
    )
    return {"code": "trainer_ended", "signal": -exit_code, "message": message}


def _delete_incomplete_saves(folder: Path) -> None:
    """Delete incomplete saves, as after a full disk, and an unpublished model."""
    shutil.rmtree(folder / "model", ignore_errors=True)
    for save in folder.glob("saves/checkpoint-*"):
        if not (save / COMPLETE).exists():
            shutil.rmtree(save, ignore_errors=True)
