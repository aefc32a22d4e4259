"""The queue: so many trainers at a time, and what becomes of a job when it ends.

A job's folder says everything, so a server that was killed finds its jobs again: one
whose model is there has succeeded, one whose trainer lives is running, and every other
unfinished one waits again.
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

from langchain_chatexports.local_server.processes import (
    child_command,
    child_environment,
    detached_flags,
)
from langchain_chatexports.local_server.storage.data_directory import read_json
from langchain_chatexports.local_server.storage.jobs import FINISHED, JobStore
from langchain_chatexports.local_server.storage.locks import is_locked
from langchain_chatexports.local_server.training.trainer import (
    ALREADY_TRAINING,
    TrainingOrder,
)

if TYPE_CHECKING:
    from pathlib import Path

    from langchain_chatexports.local_server.storage.files import FileStore
    from langchain_chatexports.local_server.storage.models import ModelStore

__all__ = ["TrainingQueue"]

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.1
_IDLE_SECONDS = 5.0
_PATIENCE_SECONDS = 5.0
_DISK_FULL = "The disk with the data directory is full. Free some space, and try again."
_UNFINISHED = ("validating_files", "queued", "running")


class TrainingQueue:
    """Threads that each start a trainer for a queued job, oldest first."""

    def __init__(
        self,
        jobs: JobStore,
        files: FileStore,
        models: ModelStore,
        *,
        base_directory: Path,
        threads: int,
        at_once: int = 1,
    ) -> None:
        """Say where jobs, files and models are; `start` begins.

        Args:
            jobs: The jobs to train.
            files: The uploads that they name.
            models: Where the tuned models appear.
            base_directory: The base model.
            threads: How many threads all trainers together may use.
            at_once: How many jobs may train at the same time.
        """
        self._jobs = jobs
        self._files = files
        self._models = models
        self._base_directory = base_directory
        self._threads = max(1, threads // at_once)
        self._at_once = at_once
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._taken: set[str] = set()
        self._threads_at_work: list[threading.Thread] = []

    def start(self) -> None:
        """Put the jobs in order that an earlier server left, and begin."""
        left_alone = 0
        for job_id in self._jobs.with_status(*_UNFINISHED):
            if self._is_training(job_id):
                left_alone += 1
            else:
                self._conclude(job_id, exit_code=None)
        for job_id in self._jobs.with_status("queued"):
            if not self._has_this_base(job_id):
                base = self._jobs.private(job_id)["model"]["base_model"]
                self._tell(
                    job_id,
                    f"The job waits for a server with its base, {base}",
                    level="warn",
                )
        self._stopping.clear()
        # Trainers that a killed server left are watched, however many they are.
        self._threads_at_work = [
            threading.Thread(
                target=self._run,
                args=(number < self._at_once,),
                name=f"training-queue-{number}",
                daemon=True,
            )
            for number in range(max(self._at_once, left_alone))
        ]
        for thread in self._threads_at_work:
            thread.start()

    def stop(self) -> None:
        """End the trainers, if there are any, and queue their jobs again."""
        self._stopping.set()
        self.wake()
        for thread in self._threads_at_work:
            thread.join()
        self._threads_at_work = []

    def wake(self) -> None:
        """Say that there is a new job."""
        with self._changed:
            self._changed.notify_all()

    def cancel(self, job_id: str, *, timeout: float = 15.0) -> bool:
        """Cancel a job and wait until it is.

        Returns:
            Whether it was cancelled; `False` if it had ended before.
        """
        if self._jobs.update(
            job_id, only_from=("validating_files", "queued"), **_ended("cancelled")
        ):
            self._jobs.events(job_id).append("The job was cancelled")
            return True
        if not self._jobs.update(job_id, only_from=("running",), cancel=True):
            return False
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            job = self._jobs.get(job_id) or {}
            if job.get("status") in FINISHED:
                return bool(job["status"] == "cancelled")
            time.sleep(_POLL_SECONDS / 2)
        return False

    def _run(self, takes_new_jobs: bool = True) -> None:
        statuses = ("running", "queued") if takes_new_jobs else ("running",)
        while not self._stopping.is_set():
            job_id = self._take(statuses)
            if job_id is None:
                if not takes_new_jobs:
                    return
                self._files.delete_expired()
                continue
            try:
                self._train(job_id)
            except Exception as error:
                # The thread must live on: other jobs wait.
                logger.exception("A job could not be started")
                code, message = _why_not_started(error)
                self._fail(job_id, code, message)
            finally:
                with self._changed:
                    self._taken.discard(job_id)

    def _take(self, statuses: tuple[str, ...]) -> str | None:
        """Return the job that comes next; `None`, after a while, if there is none."""
        with self._changed:
            for status in statuses:
                for job_id in self._jobs.with_status(status):
                    is_free = job_id not in self._taken
                    if is_free and (status == "running" or self._has_this_base(job_id)):
                        self._taken.add(job_id)
                        return job_id
            if not self._stopping.is_set():
                self._changed.wait(_IDLE_SECONDS)
        return None

    def _train(self, job_id: str) -> None:
        if self._is_training(job_id):
            self._conclude(job_id, exit_code=self._watch(job_id, None))
            return
        started = self._jobs.update(
            job_id, only_from=("queued",), status="running", cancel=False
        )
        if not started:
            return
        self._jobs.events(job_id).append("Fine-tuning job started")
        trainer = self._start_trainer(job_id)
        exit_code = self._watch(job_id, trainer)
        if exit_code == ALREADY_TRAINING:
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
            # A trainer that is gone already tells it by its exit code.
            with contextlib.suppress(OSError), trainer.stdin as stdin:
                stdin.write(self._order(job_id).to_json())
        return trainer

    def _order(self, job_id: str) -> TrainingOrder:
        job = self._jobs.get(job_id) or {}
        private = self._jobs.private(job_id)
        validation = job.get("validation_file")
        return TrainingOrder(
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
        """Wait for a trainer, one's own or one that an earlier server started."""
        while True:
            if trainer is not None:
                exit_code = trainer.poll()
                if exit_code is not None:
                    return exit_code
            elif not self._is_training(job_id):
                return None
            if self._stopping.is_set() or self._jobs.private(job_id)["cancel"]:
                self._end_trainer(job_id, trainer)
            # A training can take hours, and a file may have less.
            self._files.delete_expired()
            time.sleep(_POLL_SECONDS)

    def _end_trainer(
        self, job_id: str, trainer: subprocess.Popen[bytes] | None
    ) -> None:
        if trainer is not None:
            trainer.terminate()
            try:
                trainer.wait(_PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                trainer.kill()
                trainer.wait()
            return
        # Not our child. The lock says that the process of this id is the trainer.
        try:
            text = (self._jobs.folder(job_id) / "trainer.pid").read_text("ascii")
            os.kill(int(text), signal.SIGTERM)
        except (OSError, ValueError):
            logger.debug("The trainer of an earlier server cannot be ended yet")

    def _conclude(self, job_id: str, *, exit_code: int | None) -> None:
        private = self._jobs.private(job_id)
        result = read_json(self._models.folder(private["model"]["id"]) / "model.json")
        failure = read_json(self._jobs.folder(job_id) / "failure.json")
        if result is not None:
            self._succeed(job_id, result)
        elif private["cancel"]:
            self._jobs.update(job_id, only_from=_UNFINISHED, **_ended("cancelled"))
            self._tell(job_id, "The job was cancelled")
        elif failure is not None:
            self._fail(job_id, failure["code"], failure["message"], failure["param"])
        elif self._stopping.is_set() or exit_code is None:
            if self._jobs.update(job_id, only_from=("running",), status="queued"):
                self._tell(
                    job_id, "The server stopped; the job goes on with it", level="warn"
                )
        else:
            self._fail(job_id, "trainer_ended", _how_it_ended(exit_code))
        job = self._jobs.get(job_id) or {}
        if job.get("status") in FINISHED:
            # Until then it holds what the next trainer goes on from.
            self._clean(job_id)

    def _succeed(self, job_id: str, result: dict[str, Any]) -> None:
        self._models.refresh()
        self._tell(job_id, f"New fine-tuned model created: {result['name']}")
        self._tell(job_id, "The job has successfully completed")
        self._jobs.update(
            job_id,
            only_from=_UNFINISHED,
            status="succeeded",
            fine_tuned_model=result["name"],
            finished_at=result["created_at"],
            trained_tokens=result["trained_tokens"],
        )

    def _fail(
        self, job_id: str, code: str, message: str, param: str | None = None
    ) -> None:
        error = {"code": code, "message": message, "param": param}
        self._tell(job_id, message, level="error")
        self._jobs.update(
            job_id, only_from=_UNFINISHED, **_ended("failed"), error=error
        )

    def _tell(
        self,
        job_id: str,
        message: str,
        level: Literal["info", "warn", "error"] = "info",
    ) -> None:
        # A full disk must not keep a job from its end.
        with contextlib.suppress(OSError):
            self._jobs.events(job_id).append(message, level=level)

    def _clean(self, job_id: str) -> None:
        folder = self._jobs.folder(job_id)
        shutil.rmtree(folder / "work", ignore_errors=True)

    def _has_this_base(self, job_id: str) -> bool:
        return self._models.is_of_this_base(self._jobs.private(job_id)["model"])

    def _is_training(self, job_id: str) -> bool:
        return is_locked(self._jobs.folder(job_id) / "trainer.lock")


def _ended(status: str) -> dict[str, Any]:
    return {"status": status, "finished_at": int(time.time())}


def _why_not_started(error: Exception) -> tuple[str, str]:
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "disk_full", _DISK_FULL
    kind = type(error).__name__
    return "server_error", f"The job could not be started ({kind})."


def _how_it_ended(exit_code: int) -> str:
    if exit_code == -9:  # noqa: PLR2004 - SIGKILL, which Windows has no name for.
        return (
            "The trainer was killed, most likely because the memory did not suffice. "
            "Close other programs, or take shorter dialogues or a smaller base model."
        )
    if exit_code == errno.ENOSPC:
        return _DISK_FULL
    return f"The trainer ended with exit code {exit_code} and gave no reason."
