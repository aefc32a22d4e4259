"""Training on this machine: create, pause, find and continue a job."""

from __future__ import annotations

import logging
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_chatexports._progress import Watch, unwatched
from langchain_chatexports.datasets.training_data import TrainingData
from langchain_chatexports.exceptions import (
    FineTuningError,
    FineTuningFailedError,
    FineTuningTimeoutError,
    LocalServerError,
)
from langchain_chatexports.local_server import LocalServer
from langchain_chatexports.local_server.client import client_of, explained_errors
from langchain_chatexports.local_server.http.server import check_extra
from langchain_chatexports.local_server.storage.data_directory import DataDirectory
from langchain_chatexports.local_server.storage.jobs import (
    JobEndedError,
    KeptJob,
    job_events,
    list_jobs,
    stop_job,
)
from langchain_chatexports.local_server.storage.models import (
    TunedModel,
    find_model,
    names_of_job,
)
from langchain_chatexports.workflows.training_events import (
    EventReader,
    JobEvent,
    MessageEvent,
    OnEvent,
    StepEvent,
    StoppedEvent,
    TrainingEvent,
    TrainingProgress,
)

if TYPE_CHECKING:
    from openai import OpenAI

    from langchain_chatexports.finetuning.run import FineTuningRun
    from langchain_chatexports.finetuning.tuner import ChatFineTuner

# The interval of checks that the server is running.
_WAIT_SECONDS = 20.0
_UNFINISHED = frozenset({"queued", "running", "validating_files"})
# Fewer examples are checked within two seconds.
_MIN_LONG_CHECK = 500
_FULL_BYTES = 100_000


def train(
    data: TrainingData,
    base: str | None = None,
    *,
    data_dir: str | Path | None = None,
    on_event: OnEvent | None = None,
    watch: Watch = unwatched,
) -> TunedModel:
    """Fine-tune a base model on this machine, and wait for the result.

    A job for the same data is found again: it continues if it was stopped or has
    failed, and its model is returned if it succeeded. Ctrl-C pauses it.

    Args:
        data: The result of `prepare`.
        base: A folder, a `.gguf` file or a hub id; `None` for the default.
        data_dir: The directory of jobs and models; `None` for the default.
        on_event: Called with each event of the job, and each training step.
        watch: Shows progress while the server checks the examples.

    Raises:
        TrainingDataError: If there are too few examples.
        LocalServerError: If the server cannot start, stops, or the job is deleted, or
            the disk is full.
        FineTuningError: If the training fails.
    """
    data.require_enough()
    check_extra()
    # Before a base is downloaded.
    DataDirectory(data_dir).require_space()
    with open_server(base, data_dir, on_event=on_event) as server:
        run = _LocalJob(server, on_event or _ignore).run(data, watch)
        return find_model(str(run.chat_model().model_name), server.data_dir)


@contextmanager
def open_server(
    base: str | Path | None,
    data_dir: str | Path | None = None,
    *,
    on_event: OnEvent | None = None,
) -> Iterator[LocalServer]:
    """Use the server that runs on the data directory, or start one.

    A new server does not resume other jobs.
    """
    with LocalServer(base, data_dir=data_dir, resume_jobs=False, share=True) as server:
        if server.is_shared and on_event:
            text = f"Using the local server that is running on {server.data_dir}"
            on_event(MessageEvent(text))
        yield server


def create_job(
    server: LocalServer, data: TrainingData, *, watch: Watch = unwatched
) -> JobEvent:
    """Create the job on a running server, or find and continue it; do not wait."""
    data.require_enough()
    total = len(data.examples) + len(data.validation)
    with explained_errors(), client_of(server) as client:
        earlier = {job.id: job.status for job in client.fine_tuning.jobs.list()}
        with _checking(client, total, watch):
            run = _tuner(server, data).submit(data.examples)
        return _found(run, earlier, client, server)


def pause_job(job: KeptJob, server: LocalServer | None, data_dir: Path | None) -> None:
    """Stop a job so that it can be continued, through the server that trains it.

    A job that has ended meanwhile is not changed.
    """
    with suppress(JobEndedError):
        if server is None:
            stop_job(job.id, "paused", data_dir=data_dir)
            return
        with explained_errors(), client_of(server) as client:
            if client.fine_tuning.jobs.retrieve(job.id).status in _UNFINISHED:
                client.fine_tuning.jobs.pause(job.id)


def continue_job(job: KeptJob, server: LocalServer) -> None:
    """Continue a job that was stopped or has failed, unless it has ended meanwhile."""
    with explained_errors(), client_of(server) as client:
        # A killed server may have finished the job, which the next server detects.
        if client.fine_tuning.jobs.retrieve(job.id).status != "succeeded":
            client.fine_tuning.jobs.resume(job.id)


def is_unfinished(job: KeptJob) -> bool:
    """Return whether a job is running or queued."""
    return job.status in _UNFINISHED


def progress_now(
    job: KeptJob, data_dir: str | Path | None = None, *, now: float | None = None
) -> TrainingProgress:
    """Return the progress of a training; `now` is in Unix seconds."""
    reader = EventReader()
    events = map(reader.read, job_events(job.id, data_dir))
    steps = [event for event in events if isinstance(event, StepEvent)]
    if job.status != "running":
        return TrainingProgress(steps)
    return TrainingProgress(steps, reader.phase, reader.left_at(now or time.time()))


def failure_of(job: KeptJob, data_dir: str | Path | None = None) -> str:
    """Return the last message of a failed job."""
    return "".join([event["message"] for event in job_events(job.id, data_dir)][-1:])


def progress_of(job: KeptJob) -> str:
    """Return the progress of a job as text, such as `step 3 of 20`."""
    total = f" of {job.total_steps:,}" if job.total_steps else ""
    return f"step {job.step:,}{total}"


class _LocalJob:
    """A job on this machine, which is paused by an interruption."""

    def __init__(self, server: LocalServer, on_event: OnEvent) -> None:
        self._server = server
        self._emit = on_event
        self._client = client_of(server)
        self._events = EventReader()
        self._seen: set[str] = set()
        self._id: str | None = None
        self._is_anothers = False

    def run(self, data: TrainingData, watch: Watch) -> FineTuningRun:
        """Create or find the job, and wait for its end."""
        with self._client, quiet_interrupts():
            try:
                run = self._create(data, watch)
                self._wait(run)
            except (KeyboardInterrupt, SystemExit):
                if self._id and self._is_anothers:
                    self._emit(StoppedEvent(self._id, "elsewhere", self._stored_job()))
                elif self._id:
                    self._pause(self._id)
                raise
        return run

    def _create(self, data: TrainingData, watch: Watch) -> FineTuningRun:
        jobs = self._client.fine_tuning.jobs
        earlier = {job.id: job.status for job in jobs.list()}
        total = len(data.examples) + len(data.validation)
        with _checking(self._client, total, watch):
            run = _tuner(self._server, data, self._on_event).submit(data.examples)
        self._id = run.id
        if run.id in earlier:
            # An earlier command has shown the job's events.
            listed = jobs.list_events(run.id, limit=1000)
            self._seen.update(event.id for event in listed)
        found = _found(run, earlier, self._client, self._server)
        self._is_anothers = found.state == "running" and self._server.is_shared
        self._emit(found)
        return run

    def _wait(self, run: FineTuningRun) -> None:
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
                if shutil.disk_usage(self._server.data_dir).free < _FULL_BYTES:
                    # The server waits for space to write the result of the training.
                    msg = (
                        f"The disk with {self._server.data_dir} is full. Free some "
                        "space and run the same command again: it continues from the "
                        "last checkpoint."
                    )
                    raise LocalServerError(msg) from None
            except FineTuningFailedError as error:
                raise self._failure(run, error) from error
            except FineTuningError as error:
                job = self._stored_job()
                if job is not None and job.status != "cancelled":
                    raise
                end = "cancelled" if job else "deleted"
                msg = f"Job {run.id} was {end}, so there is no model."
                raise LocalServerError(msg) from error
            else:
                return

    def _failure(
        self, run: FineTuningRun, error: FineTuningFailedError
    ) -> FineTuningFailedError:
        job = self._stored_job()
        step = job.saved_step if job else 0
        again = f"continues it from step {step:,}" if step else "begins it again"
        reason = getattr(run.job.error, "message", None) or "The server gave no reason."
        msg = f"The training failed. {reason} The same command {again}."
        return FineTuningFailedError(
            msg, job_id=run.id, code=error.code, param=error.param
        )

    def _on_event(self, event: Any) -> None:
        if event.id not in self._seen:
            self._seen.add(event.id)
            found = self._events.read(event.model_dump(warnings=False))
            if found is not None:
                self._emit(found)

    def _pause(self, job_id: str) -> None:
        from openai import BadRequestError, OpenAIError

        try:
            self._client.fine_tuning.jobs.pause(job_id)
        except BadRequestError:  # The job has ended.
            return
        except OpenAIError:
            # The server was interrupted, too.
            with suppress(JobEndedError):
                stop_job(job_id, "paused", data_dir=self._server.data_dir)
        self._emit(StoppedEvent(job_id, "paused", self._stored_job()))

    def _stored_job(self) -> KeptJob | None:
        return _stored_job(self._id, self._server)


def _checking(client: OpenAI, total: int, watch: Watch) -> Any:
    """Show the progress of counting tokens on the server."""
    from openai import OpenAIError

    if total < _MIN_LONG_CHECK:
        return unwatched("", lambda: 0, None)
    counts = [0]

    def checked() -> int:
        with suppress(OpenAIError, KeyError, TypeError):
            answer: Any = client.get("/checked_examples", cast_to=object)
            counts.append(int(answer["count"]))
        return counts[-1]

    before = checked()
    return watch("examples checked", lambda: checked() - before, total)


def _tuner(
    server: LocalServer,
    data: TrainingData,
    on_event: Callable[[Any], None] | None = None,
) -> ChatFineTuner:
    from langchain_chatexports.finetuning.tuner import ChatFineTuner

    suffix, labels = names_of_job(
        data.person, data.source, data.preparation.whole_exports
    )
    return ChatFineTuner(
        model=server.base_model,
        base_url=server.base_url,
        api_key=server.api_key,
        suffix=suffix,
        metadata=labels or None,
        validation_examples=list(data.validation) or None,
        # The local server takes dialogues that end with the user; OpenAI does not.
        allow_trailing=True,
        on_event=on_event,
    )


def _found(
    run: FineTuningRun, earlier: Mapping[str, str], client: OpenAI, server: LocalServer
) -> JobEvent:
    """Return the event of a job, and continue the job if it was stopped."""
    if run.id not in earlier:
        return JobEvent(run.id, "new")
    if run.status == "succeeded":
        return JobEvent(run.id, "trained")
    if run.status == "running":
        return JobEvent(run.id, "running")
    job = _stored_job(run.id, server)
    client.fine_tuning.jobs.resume(run.id)
    return JobEvent(run.id, "continued", job.saved_step if job else 0)


def _stored_job(job_id: str | None, server: LocalServer) -> KeptJob | None:
    jobs = list_jobs(server.data_dir)
    return next((job for job in jobs if job.id == job_id), None)


def _ignore(event: TrainingEvent) -> None:
    del event


@contextmanager
def quiet_interrupts() -> Iterator[None]:
    """Silence the tuner's log of an interruption, for which there are events."""

    def is_not_of_interrupt(_record: logging.LogRecord) -> bool:
        return not isinstance(sys.exc_info()[1], KeyboardInterrupt)

    logger = logging.getLogger("langchain_chatexports.finetuning.connection")
    logger.addFilter(is_not_of_interrupt)
    try:
        yield
    finally:
        logger.removeFilter(is_not_of_interrupt)
