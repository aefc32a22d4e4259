"""The training queue: starts a trainer for each job, and records how the job ended.

The state is read from the jobs' folders, so the jobs of a killed server are found
again: one with a model has succeeded, one whose trainer is alive is running, and every
other unfinished one is queued again. A queue that does not resume jobs trains only
those that are created or resumed while it runs, and pauses them when it stops.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import shutil
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any, Literal

from langchain_chatexports._locks import is_locked
from langchain_chatexports.local_server.processes import (
    child_command,
    child_environment,
    detached_flags,
)
from langchain_chatexports.local_server.storage.data_directory import read_json
from langchain_chatexports.local_server.storage.jobs import FINISHED, JobStore
from langchain_chatexports.local_server.training.trainer import (
    ALREADY_RUNNING,
    TrainingSpec,
)

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from langchain_chatexports.local_server.storage.files import FileStore
    from langchain_chatexports.local_server.storage.models import ModelStore

__all__ = ["UNFINISHED", "TrainingQueue"]

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.1
_IDLE_SECONDS = 5.0
# A step and a save of a large base; LocalServer waits for it, too.
_SAVE_SECONDS = 12.0
_REQUEST_SECONDS = 20.0
_DISK_FULL = "The disk with the data directory is full. Free some space, and try again."
UNFINISHED = ("queued", "running")
"""What a job is called that will be trained, or is."""


class TrainingQueue:
    """Threads that each run the trainer of one job at a time, oldest job first."""

    def __init__(
        self,
        jobs: JobStore,
        files: FileStore,
        models: ModelStore,
        *,
        base_directory: Path,
        threads: int,
        at_once: int = 1,
        resumes: bool = True,
    ) -> None:
        """Initialize the queue; `start` starts its threads.

        Args:
            jobs: The jobs to train.
            files: The uploaded files.
            models: The tuned models.
            base_directory: The base model.
            threads: The number of CPU threads of all trainers together.
            at_once: How many jobs may train at the same time.
            resumes: Whether to train what an earlier server left.
        """
        self._jobs = jobs
        self._files = files
        self._models = models
        self._base_directory = base_directory
        self._threads = max(1, threads // at_once)
        self._at_once = at_once
        self._resumes = resumes
        self._held: set[str] = set()
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._claimed: set[str] = set()
        self._workers: list[threading.Thread] = []

    def start(self) -> None:
        """Update the jobs that an earlier server left, and start the threads."""
        orphans = 0
        for job_id in self._jobs.with_status(*UNFINISHED):
            if self._is_training(job_id):
                orphans += 1
            else:
                self._conclude(job_id, exit_code=None)
        queued = self._jobs.with_status("queued")
        self._held = set() if self._resumes else set(queued)
        for job_id in queued:
            if self._resumes and not self._has_this_base(job_id):
                base = self._jobs.private(job_id)["model"]["base_model"]
                self._log(
                    job_id,
                    f"The job is waiting for a server with its base, {base}",
                    level="warn",
                )
        self._stopping.clear()
        # Each trainer that a killed server left needs a thread that waits for it.
        self._workers = [
            threading.Thread(
                target=self._run,
                args=(number < self._at_once,),
                name=f"training-queue-{number}",
                daemon=True,
            )
            for number in range(max(self._at_once, orphans))
        ]
        for thread in self._workers:
            thread.start()

    @property
    def is_training(self) -> bool:
        """Whether a trainer is running, or about to start."""
        return bool(self._claimed)

    def stop(self) -> None:
        """Stop the trainers, and queue their jobs again or pause them."""
        self._stopping.set()
        self.wake()
        for thread in self._workers:
            thread.join()
        self._workers = []
        if not self._resumes:
            for job_id in self._jobs.with_status("queued"):
                if job_id not in self._held:
                    self._pause(job_id)

    def enqueue(self, job_id: str) -> None:
        """Let a queued job train in its turn, and tell it which job is before it."""
        self._held.discard(job_id)
        queued = self._jobs.with_status("queued")
        before = queued[: queued.index(job_id)] if job_id in queued else []
        waiting = [job for job in before if self._may_train(job)]
        ahead = [*self._jobs.with_status("running"), *waiting]
        if len(ahead) >= self._at_once:
            self._log(job_id, f"The job waits behind job {ahead[-1]}")
        self.wake()

    def wake(self) -> None:
        """Wake a thread for a new job."""
        with self._changed:
            self._changed.notify_all()

    def cancel(self, job_id: str) -> bool:
        """Cancel a job, and wait until its trainer has stopped.

        Returns:
            Whether it was cancelled; `False` if it had finished before.
        """
        waiting = ("queued", "paused")
        if self._jobs.update(job_id, only_from=waiting, **_finished("cancelled")):
            self._log(job_id, "The job was cancelled")
            self._delete_saves(job_id)
            return True
        return self._ask_trainer(job_id, "cancel", "cancelled")

    def pause(self, job_id: str) -> bool:
        """Pause a job until it is resumed, and wait until its trainer has stopped.

        Returns:
            Whether it is paused; `False` if it had finished before.
        """
        return (
            self._pause(job_id, only_from=("queued",))
            or self._ask_trainer(job_id, "pause", "paused")
            or self._status(job_id) == "paused"
        )

    def resume(self, job_id: str) -> bool:
        """Queue a paused job, or one that an earlier server left.

        Returns:
            Whether it is queued; `False` if it is running, or has finished.
        """
        if self._jobs.update(job_id, only_from=("paused",), status="queued"):
            self._log(job_id, "The job was resumed")
        elif self._status(job_id) != "queued":
            return False
        self.enqueue(job_id)
        return True

    def _ask_trainer(self, job_id: str, request: str, status: str) -> bool:
        asked = {request: True}
        if not self._jobs.update(job_id, only_from=("running",), private=asked):
            return False
        deadline = time.monotonic() + _REQUEST_SECONDS
        while self._status(job_id) == "running" and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS / 2)
        return self._status(job_id) == status

    def _status(self, job_id: str) -> str:
        return str((self._jobs.get(job_id) or {}).get("status"))

    def _run(self, takes_new_jobs: bool = True) -> None:
        statuses = ("running", "queued") if takes_new_jobs else ("running",)
        while not self._stopping.is_set():
            job_id = self._claim_job(statuses)
            if job_id is None:
                if not takes_new_jobs:
                    return
                self._files.delete_expired()
                continue
            try:
                self._train(job_id)
            except Exception as error:
                # The thread must continue with the other jobs.
                logger.exception("A job could not be started")
                code, message = _start_failure(error)
                self._fail(job_id, code, message)
            finally:
                with self._changed:
                    self._claimed.discard(job_id)

    def _claim_job(self, statuses: tuple[str, ...]) -> str | None:
        """Return the next job, or `None` after a few seconds without one."""
        with self._changed:
            for status in statuses:
                for job_id in self._jobs.with_status(status):
                    is_free = job_id not in self._claimed
                    if is_free and (status == "running" or self._may_train(job_id)):
                        self._claimed.add(job_id)
                        return job_id
            if not self._stopping.is_set():
                self._changed.wait(_IDLE_SECONDS)
        return None

    def _train(self, job_id: str) -> None:
        if self._is_training(job_id):
            self._conclude(job_id, exit_code=self._watch(job_id, None))
            return
        started = self._jobs.update(
            job_id,
            only_from=("queued",),
            status="running",
            private={"cancel": False, "pause": False},
        )
        if not started:
            return
        self._jobs.events(job_id).append("Fine-tuning job started")
        trainer = self._start_trainer(job_id)
        exit_code = self._watch(job_id, trainer)
        if exit_code == ALREADY_RUNNING:
            exit_code = self._watch(job_id, None)
        self._conclude(job_id, exit_code=exit_code)

    def _start_trainer(self, job_id: str) -> subprocess.Popen[bytes]:
        folder = self._jobs.folder(job_id)
        (folder / "failure.json").unlink(missing_ok=True)
        shutil.rmtree(folder / "work" / "temporary", ignore_errors=True)
        (folder / "work" / "temporary").mkdir(mode=0o700, parents=True)
        trainer = subprocess.Popen(  # noqa: S603 - our own interpreter, our own module.
            child_command("langchain_chatexports.local_server.training.trainer"),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env=child_environment(
                threads=self._threads,
                offline=True,
                temporary=folder / "work" / "temporary",
            ),
            **detached_flags(),
        )
        if trainer.stdin is not None:
            # If the trainer has ended already, its exit code says why.
            with contextlib.suppress(OSError), trainer.stdin as stdin:
                stdin.write(self._spec(job_id).to_json())
        return trainer

    def _spec(self, job_id: str) -> TrainingSpec:
        job = self._jobs.get(job_id) or {}
        private = self._jobs.private(job_id)
        validation = job.get("validation_file")
        return TrainingSpec(
            job_folder=str(self._jobs.folder(job_id)),
            base_directory=str(self._base_directory),
            training_file=str(self._files.path(job["training_file"])),
            validation_file=str(self._files.path(validation)) if validation else None,
            hyperparameters=job["hyperparameters"],
            seed=job["seed"],
            max_length=private["max_length"],
            stops_early=private["stops_early"],
            dtype=private.get("dtype"),
            model_folder=str(self._models.folder(private["model"]["id"])),
            model_record={**private["model"], "job_id": job_id},
        )

    def _watch(
        self, job_id: str, trainer: subprocess.Popen[bytes] | None
    ) -> int | None:
        """Wait for a trainer; `None` stands for one that an earlier server started."""
        while True:
            if trainer is not None:
                exit_code = trainer.poll()
                if exit_code is not None:
                    return exit_code
            elif not self._is_training(job_id):
                return None
            asked = self._jobs.private(job_id)
            if asked["cancel"]:
                self._stop_trainer(job_id, trainer, saves=False)
            elif self._stopping.is_set() or asked.get("pause"):
                self._stop_trainer(job_id, trainer, saves=True)
            # Files can expire during a long training.
            self._files.delete_expired()
            time.sleep(_POLL_SECONDS)

    def _stop_trainer(
        self, job_id: str, trainer: subprocess.Popen[bytes] | None, *, saves: bool
    ) -> None:
        if trainer is not None:
            if saves:
                trainer.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    trainer.wait(_SAVE_SECONDS)
            trainer.kill()
            trainer.wait()
            return
        # Not our child, but it holds the lock, so the process id is the trainer's.
        try:
            text = (self._jobs.folder(job_id) / "trainer.pid").read_text("ascii")
            kill = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows lacks it.
            os.kill(int(text), signal.SIGTERM if saves else kill)
        except (OSError, ValueError):
            logger.debug("The trainer of an earlier server cannot be stopped yet")

    def _conclude(self, job_id: str, *, exit_code: int | None) -> None:
        private = self._jobs.private(job_id)
        result = read_json(self._models.folder(private["model"]["id"]) / "model.json")
        failure = read_json(self._jobs.folder(job_id) / "failure.json")
        if result is not None:
            self._succeed(job_id, result)
        elif private["cancel"]:
            self._jobs.update(job_id, only_from=UNFINISHED, **_finished("cancelled"))
            self._log(job_id, "The job was cancelled")
        elif failure is not None:
            self._fail(job_id, failure["code"], failure["message"], failure["param"])
        elif private.get("pause") or (self._stopping.is_set() and not self._resumes):
            self._pause(job_id)
        elif self._stopping.is_set() or exit_code is None:
            if self._jobs.update(job_id, only_from=("running",), status="queued"):
                self._log(
                    job_id, "The server stopped; the job is queued again", level="warn"
                )
        else:
            self._fail(job_id, "trainer_ended", _exit_reason(exit_code))
        if self._status(job_id) in FINISHED:
            self._delete_saves(job_id)

    def _pause(self, job_id: str, only_from: Collection[str] = UNFINISHED) -> bool:
        is_paused = self._jobs.update(
            job_id, only_from=only_from, status="paused", private={"pause": False}
        )
        if is_paused:
            self._log(job_id, "The job was stopped")
        return is_paused

    def _delete_saves(self, job_id: str) -> None:
        shutil.rmtree(self._jobs.folder(job_id) / "work", ignore_errors=True)

    def _succeed(self, job_id: str, result: dict[str, Any]) -> None:
        self._models.refresh()
        self._log(job_id, f"New fine-tuned model created: {result['name']}")
        self._log(job_id, "The job has successfully completed")
        self._jobs.update(
            job_id,
            only_from=UNFINISHED,
            status="succeeded",
            fine_tuned_model=result["name"],
            finished_at=result["created_at"],
            trained_tokens=result["trained_tokens"],
        )

    def _fail(
        self, job_id: str, code: str, message: str, param: str | None = None
    ) -> None:
        error = {"code": code, "message": message, "param": param}
        self._log(job_id, message, level="error")
        self._jobs.update(
            job_id, only_from=UNFINISHED, **_finished("failed"), error=error
        )

    def _log(
        self,
        job_id: str,
        message: str,
        level: Literal["info", "warn", "error"] = "info",
    ) -> None:
        # A full disk must not keep a job from finishing.
        with contextlib.suppress(OSError):
            self._jobs.events(job_id).append(message, level=level)

    def _may_train(self, job_id: str) -> bool:
        return job_id not in self._held and self._has_this_base(job_id)

    def _has_this_base(self, job_id: str) -> bool:
        return self._models.is_of_this_base(self._jobs.private(job_id)["model"])

    def _is_training(self, job_id: str) -> bool:
        return is_locked(self._jobs.folder(job_id) / "trainer.lock")


def _finished(status: str) -> dict[str, Any]:
    return {"status": status, "finished_at": int(time.time())}


def _start_failure(error: Exception) -> tuple[str, str]:
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "disk_full", _DISK_FULL
    kind = type(error).__name__
    return "server_error", f"The job could not be started ({kind})."


def _exit_reason(exit_code: int) -> str:
    if exit_code == -9:  # noqa: PLR2004 - SIGKILL, which Windows lacks.
        return (
            "The trainer was killed, most likely because memory ran out. Close other "
            "programs, or use shorter chats or a smaller base model."
        )
    if exit_code == errno.ENOSPC:
        return _DISK_FULL
    return f"The trainer ended with exit code {exit_code}, without a reason."
