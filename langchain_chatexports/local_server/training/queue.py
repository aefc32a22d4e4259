"""The queue: of all processes that offer to run the jobs, a lock elects one."""

import logging
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

from langchain_chatexports._files import is_full
from langchain_chatexports._translation import Sentence
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.errors import DiskFullError
from langchain_chatexports.local_server.processes import start, thread_count
from langchain_chatexports.local_server.training.trainer import (
    DISK_FULL,
    MIN_FREE_BYTES,
)
from langchain_chatexports.local_server.workspace import Job, State, Workspace

logger = logging.getLogger(__name__)

SAVE_SECONDS = 30.0
"""How often a trainer saves, which limits the work that an interruption loses."""

_TRAIN_LORA = "langchain_chatexports.local_server.training.lora:train_lora"
_ELECTION_SECONDS = 0.5
_WATCH_SECONDS = 0.1
_RETRY_SECONDS = 1.0
# To finish a step and save.
_SAVING_SECONDS = 15.0


class Queue:
    """Runs the jobs of a workspace, one at a time, while no other process does.

    When the process that does ends, in whatever way, the system releases its lock, and
    another process with a queue takes over from the last save. Jobs that are queued
    when the last one ends wait for the next.

    ```python
    with Queue(workspace):
        for event in workspace.jobs.follow(job.id):
            print(event.message)
    ```
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        threads: int | None = None,
        save_seconds: float = SAVE_SECONDS,
        train: Callable[..., Path | None] | None = None,
    ) -> None:
        """Initialize the queue; `start`, or a `with` statement, starts it.

        Args:
            workspace: The workspace.
            threads: The number of a trainer's threads; by default, of physical cores.
            save_seconds: How often a trainer saves.
            train: A function of a module, such as `testing.train_steps`; by default,
                LoRA. See `trainer.Train`.
        """
        self._threads = threads or thread_count()
        name = f"{train.__module__}:{train.__qualname__}" if train else _TRAIN_LORA
        self._settings = {
            "data_dir": str(workspace.data_dir),
            "threads": self._threads,
            "save_seconds": save_seconds,
            "train": name,
        }
        self._workspace = workspace
        self._stopping = threading.Event()
        self._hurrying = threading.Event()
        self._thread: threading.Thread | None = None
        self.disk_is_full = threading.Event()
        """Set while the disk is so full that not even a job's end can be written."""

    def start(self) -> Self:
        """Offer to run the jobs.

        Raises:
            DataDirectoryError: If the data directory cannot be written.
        """
        self._workspace.prepare()
        self._stopping.clear()
        self._hurrying.clear()
        self._thread = threading.Thread(target=self._run, name="queue", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Leave the jobs to the next process; the running one is saved first.

        A second Ctrl-C ends the save: the job continues from an earlier one.
        """
        thread, self._thread = self._thread, None
        self._stopping.set()
        if thread is None:
            return
        try:
            _join(thread)
        except KeyboardInterrupt:
            self._hurrying.set()
            _join(thread)
            raise

    def __enter__(self) -> Self:
        """Start the queue."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stop the queue."""
        self.stop()

    def _run(self) -> None:
        lock = self._workspace.lock("queue")
        while not self._stopping.is_set():
            try:
                with lock:
                    if lock.acquire():
                        self._serve()
                self._stopping.wait(_ELECTION_SECONDS)
            except DiskFullError:
                if not self.disk_is_full.is_set():
                    logger.error("The disk is full: jobs wait until some is free")  # noqa: TRY400 - as below
                self.disk_is_full.set()
                self._stopping.wait(_RETRY_SECONDS)
            except Exception as error:  # noqa: BLE001 - the disk may become free.
                logger.error(  # noqa: TRY400 - a traceback can quote paths of a user.
                    "The queue failed with %s and will try again", type(error).__name__
                )
                self._stopping.wait(_RETRY_SECONDS)

    def _serve(self) -> None:
        """Run the jobs, as the only process that does."""
        self._take_over()
        self.disk_is_full.clear()
        seen = None
        with self._workspace.versions() as versions:
            while not self._stopping.is_set():
                if (version := versions.read()) != seen:
                    seen = version
                    self._run_jobs()
                self._stopping.wait(_WATCH_SECONDS)

    def _run_jobs(self) -> None:
        while not self._stopping.is_set() and (job := self._next_job()):
            self._train(job)
            self._workspace.sweep()

    def _take_over(self) -> None:
        message = "The process that ran this job ended; it continues from its last save"
        for job in self._workspace.jobs.list():
            if job.state is State.RUNNING:
                self._workspace.jobs.move(job.id, State.QUEUED, message, level="warn")
        self._workspace.sweep()

    def _next_job(self) -> Job | None:
        """Move the oldest queued job to `running`."""
        jobs = self._workspace.jobs
        queued = [job for job in jobs.list() if job.state is State.QUEUED]
        for job in queued[::-1]:
            message, sources = "The job started", (State.QUEUED,)
            if jobs.move(job.id, State.RUNNING, message, sources=sources):
                return job
        return None

    def _train(self, job: Job) -> None:
        """Run a job's trainer until it ends or the job is no longer `running`."""
        settings = {**self._settings, "job": job.id}
        temporary = self._workspace.job_folder(job.id) / "temporary"
        try:
            temporary.mkdir(mode=0o700, parents=True, exist_ok=True)
            child = start(
                "langchain_chatexports.local_server.training.trainer",
                settings,
                threads=self._threads,
                temporary=temporary,
            )
        except OSError as error:
            code = DiskFullError.code if is_full(error) else "trainer_ended"
            reason = error.strerror or type(error).__name__
            self._fail(job, code, f"The trainer could not be started ({reason}).")
            return
        with child:
            try:
                self._watch(job, child)
            finally:
                child.kill()
                child.wait()
        if self._is_running(job):  # A trainer writes its own end, unless it is killed.
            self._end_killed(job, child.returncode)

    def _watch(self, job: Job, child: "subprocess.Popen[bytes]") -> None:
        requeued = "The job waits for another process to run it"
        while child.poll() is None:
            is_stopping = self._stopping.wait(_WATCH_SECONDS)
            with suppress(LocalServerError):  # The disk is full: look again later.
                if is_stopping:
                    self._workspace.jobs.move(job.id, State.QUEUED, requeued)
                if not self._is_running(job):
                    self._wait_for_save(child)
                    return
            if self._hurrying.is_set():
                return

    def _wait_for_save(self, child: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + _SAVING_SECONDS
        while not self._hurrying.is_set() and time.monotonic() < deadline:
            with suppress(subprocess.TimeoutExpired):
                child.wait(_WATCH_SECONDS)
                return

    def _end_killed(self, job: Job, code: int) -> None:
        jobs = self._workspace.jobs
        current = jobs.get(job.id)
        if code < 0 and current.saved_step > job.saved_step:
            message = "The trainer was killed; the job continues from its last save"
            jobs.move(job.id, State.QUEUED, message, level="warn")
            return
        message = f"The trainer exited with code {code} without a message."
        if self._workspace.free_bytes < MIN_FREE_BYTES:
            self._fail(job, DiskFullError.code, DISK_FULL)
            return
        if code < 0:
            message = Sentence(
                "The trainer was killed, most likely because memory ran out. Close "
                "other programs, or use shorter chats or a smaller base model, and "
                "resume the job."
            )
        self._fail(job, "trainer_ended", message)

    def _fail(self, job: Job, code: str, message: str) -> None:
        error = {"code": code, "message": message, "param": None}
        self._workspace.jobs.move(
            job.id, State.FAILED, message, level="error", error=error
        )

    def _is_running(self, job: Job) -> bool:
        current = self._workspace.jobs.find(job.id)
        return current is not None and current.state is State.RUNNING


def _join(thread: threading.Thread) -> None:
    while thread.is_alive():  # On Windows, Ctrl-C waits for the end of a join.
        thread.join(_WATCH_SECONDS)
