"""Training on this machine: create, pause, find and continue a job."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Iterator
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
    TrainingProgress,
)

if TYPE_CHECKING:
    from openai import OpenAI

    from langchain_chatexports.finetuning.run import FineTuningRun

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
    emit = on_event or (lambda _event: None)
    seen: set[str] = set()
    reader = EventReader()

    def tell(event: Any) -> None:
        if event.id not in seen:
            seen.add(event.id)
            found = reader.read(event.model_dump(warnings=False))
            if found is not None:
                emit(found)

    with (
        open_server(base, data_dir, on_event=on_event) as server,
        client_of(server) as client,
        quiet_interrupts(),
    ):
        job = None
        try:
            run, job = _submit(server, client, data, watch, tell)
            if job.state != "new":
                # An earlier command has shown the job's events.
                listed = client.fine_tuning.jobs.list_events(run.id, limit=1000)
                seen.update(event.id for event in listed)
            emit(job)
            _wait(run, server)
        except (KeyboardInterrupt, SystemExit):
            if job and (stopped := _stopped(job, server, client)):
                emit(stopped)
            raise
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
    with explained_errors(), client_of(server) as client:
        return _submit(server, client, data, watch)[1]


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


def _submit(
    server: LocalServer,
    client: OpenAI,
    data: TrainingData,
    watch: Watch,
    on_event: Callable[[Any], None] | None = None,
) -> tuple[FineTuningRun, JobEvent]:
    """Create the job, or find it; a stopped one continues."""
    from openai import BadRequestError

    from langchain_chatexports.finetuning.tuner import ChatFineTuner

    jobs = client.fine_tuning.jobs
    earlier = {job.id for job in jobs.list()}
    suffix, labels = names_of_job(
        data.person, data.source, data.preparation.whole_exports
    )
    tuner: ChatFineTuner = ChatFineTuner(
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
    with _checking(client, len(data.examples) + len(data.validation), watch):
        run = tuner.submit(data.examples)
    if run.id not in earlier:
        return run, JobEvent(run.id, "new")
    if run.status == "succeeded":
        return run, JobEvent(run.id, "trained")
    if run.status == "running":
        return run, JobEvent(run.id, "running")
    job = _stored_job(run.id, server)
    # The server may have resumed the failed job already, and may be running it.
    with suppress(BadRequestError):
        jobs.resume(run.id)
    return run, JobEvent(run.id, "continued", job.saved_step if job else 0)


def _wait(run: FineTuningRun, server: LocalServer) -> None:
    """Wait for the end of a job, while its server runs."""
    while True:
        try:
            run.wait(_WAIT_SECONDS)
        except FineTuningTimeoutError:  # noqa: PERF203 - a wait, not work
            if not server.is_running:
                msg = (
                    f"The local server stopped before job {run.id} had finished. Run "
                    "the same command again to continue it."
                )
                raise LocalServerError(msg) from None
            if shutil.disk_usage(server.data_dir).free < _FULL_BYTES:
                # The server waits for space to write the result of the training.
                msg = (
                    f"The disk with {server.data_dir} is full. Free some space and "
                    "run the same command again: it continues from the last checkpoint."
                )
                raise LocalServerError(msg) from None
        except FineTuningFailedError as error:
            job = _stored_job(run.id, server)
            step = job.saved_step if job else 0
            again = f"continues it from step {step:,}" if step else "begins it again"
            reason = getattr(run.job.error, "message", None) or "There is no reason."
            msg = f"The training failed. {reason} The same command {again}."
            raise FineTuningFailedError(
                msg, job_id=run.id, code=error.code, param=error.param
            ) from error
        except FineTuningError as error:
            job = _stored_job(run.id, server)
            if job is not None and job.status != "cancelled":
                raise
            end = "cancelled" if job else "deleted"
            msg = f"Job {run.id} was {end}, so there is no model."
            raise LocalServerError(msg) from error
        else:
            return


def _stopped(job: JobEvent, server: LocalServer, client: OpenAI) -> StoppedEvent | None:
    """Pause a job, unless another command waits for it, or it has ended."""
    from openai import BadRequestError, OpenAIError

    if job.state == "running" and server.is_shared:
        return StoppedEvent(job.job_id, "elsewhere", _stored_job(job.job_id, server))
    try:
        client.fine_tuning.jobs.pause(job.job_id)
    except BadRequestError:  # The job has ended.
        return None
    except OpenAIError:
        # The server was interrupted, too.
        with suppress(JobEndedError):
            stop_job(job.job_id, "paused", data_dir=server.data_dir)
    return StoppedEvent(job.job_id, "paused", _stored_job(job.job_id, server))


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


def _stored_job(job_id: str, server: LocalServer) -> KeptJob | None:
    jobs = list_jobs(server.data_dir)
    return next((job for job in jobs if job.id == job_id), None)


@contextmanager
def quiet_interrupts() -> Iterator[None]:
    """Silence the tuner's log of an interruption, for which there are events."""
    logger = logging.getLogger("langchain_chatexports.finetuning.connection")
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = False
