"""Training on this machine: create, find, pause and resume a job."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_chatexports._progress import Watch, no_progress
from langchain_chatexports.exceptions import (
    FineTuningError,
    FineTuningFailedError,
    FineTuningTimeoutError,
    LocalServerError,
)
from langchain_chatexports.local_server import LocalServer
from langchain_chatexports.local_server.client import open_client, translate_errors
from langchain_chatexports.local_server.old_http.server import check_extra
from langchain_chatexports.local_server.storage.data_directory import DataDirectory
from langchain_chatexports.local_server.storage.jobs import (
    JobNotActiveError,
    LocalJob,
    job_events,
    list_jobs,
    stop_job,
)
from langchain_chatexports.local_server.storage.models import (
    TunedModel,
    find_model,
    job_labels,
)
from langchain_chatexports.workflows.training_data import TrainingData
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

# How often to check that the server is still running.
_WAIT_SECONDS = 20.0
_UNFINISHED = frozenset({"queued", "running", "validating_files"})
# Checking fewer examples takes less than two seconds.
_MIN_WATCHED_EXAMPLES = 500
_MIN_FREE_BYTES = 100_000


def train(
    data: TrainingData,
    base: str | None = None,
    *,
    data_dir: str | Path | None = None,
    on_event: OnEvent | None = None,
    watch: Watch = no_progress,
) -> TunedModel:
    """Fine-tune a base model on this machine, and wait for the result.

    Repeated calls with the same data reuse one job: a call resumes it if it was stopped
    or failed, and returns its model if it succeeded. Ctrl-C pauses it.

    Args:
        data: The result of `prepare`.
        base: A folder, a `.gguf` file or a hub id; `None` for the default.
        data_dir: The directory of jobs and models; `None` for the default.
        on_event: Called with each event of the job, and each training step.
        watch: Shows progress while the server checks the examples.

    Raises:
        TrainingDataError: If there are too few examples.
        LocalServerError: If the server does not start or stops, the job is deleted, or
            the disk is full.
        FineTuningError: If training fails.
    """
    data.check_size()
    check_extra()
    # Fail before a base is downloaded.
    DataDirectory(data_dir).require_space()
    emit = on_event or (lambda _event: None)
    seen_ids: set[str] = set()
    reader = EventReader()

    def forward(event: Any) -> None:
        if event.id not in seen_ids:
            seen_ids.add(event.id)
            converted = reader.read(event.model_dump(warnings=False))
            if converted is not None:
                emit(converted)

    with (
        open_server(base, data_dir, on_event=on_event) as server,
        open_client(server) as client,
        silence_interrupt_log(),
    ):
        job = None
        try:
            run, job = _submit(server, client, data, watch, forward)
            if job.state != "new":
                # An earlier command has already emitted these events.
                old_events = client.fine_tuning.jobs.list_events(run.id, limit=1000)
                seen_ids.update(event.id for event in old_events)
            emit(job)
            _wait(run, server)
        except (KeyboardInterrupt, SystemExit):
            if job and (stopped_event := _pause(job, server, client)):
                emit(stopped_event)
            raise
        return find_model(str(run.chat_model().model_name), server.data_dir)


@contextmanager
def open_server(
    base: str | Path | None,
    data_dir: str | Path | None = None,
    *,
    on_event: OnEvent | None = None,
) -> Iterator[LocalServer]:
    """Use the running server of the data directory, or start one.

    A new server does not resume other jobs.
    """
    with LocalServer(base, data_dir=data_dir, resume_jobs=False, share=True) as server:
        if server.is_shared and on_event:
            text = f"Using the running local server for {server.data_dir}"
            on_event(MessageEvent(text))
        yield server


def create_job(
    server: LocalServer, data: TrainingData, *, watch: Watch = no_progress
) -> JobEvent:
    """Create the job on a running server, or find and resume it, without waiting."""
    data.check_size()
    with translate_errors(), open_client(server) as client:
        return _submit(server, client, data, watch)[1]


def pause_job(job: LocalJob, server: LocalServer | None, data_dir: Path | None) -> None:
    """Pause an unfinished job, through its server if one is running."""
    with suppress(JobNotActiveError):
        if server is None:
            stop_job(job.id, "paused", data_dir=data_dir)
            return
        with translate_errors(), open_client(server) as client:
            if client.fine_tuning.jobs.retrieve(job.id).status in _UNFINISHED:
                client.fine_tuning.jobs.pause(job.id)


def resume_job(job: LocalJob, server: LocalServer) -> None:
    """Resume a stopped or failed job, unless it has succeeded in the meantime."""
    with translate_errors(), open_client(server) as client:
        # A killed server may have finished the job; the next server detects that.
        if client.fine_tuning.jobs.retrieve(job.id).status != "succeeded":
            client.fine_tuning.jobs.resume(job.id)


def is_unfinished(job: LocalJob) -> bool:
    """Return whether a job is running or queued."""
    return job.status in _UNFINISHED


def get_progress(
    job: LocalJob, data_dir: str | Path | None = None, *, now: float | None = None
) -> TrainingProgress:
    """Return the progress of a job; `now` is in Unix seconds."""
    reader = EventReader()
    events = map(reader.read, job_events(job.id, data_dir))
    steps = [event for event in events if isinstance(event, StepEvent)]
    if job.status != "running":
        return TrainingProgress(steps)
    return TrainingProgress(
        steps, reader.phase, reader.seconds_left_at(now or time.time())
    )


def get_failure_message(job: LocalJob, data_dir: str | Path | None = None) -> str:
    """Return the last message of a failed job."""
    return "".join([event["message"] for event in job_events(job.id, data_dir)][-1:])


def format_progress(job: LocalJob) -> str:
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
    """Create the job, or find it and resume it if it was stopped."""
    from openai import BadRequestError

    from langchain_chatexports.finetuning.tuner import ChatFineTuner

    jobs = client.fine_tuning.jobs
    earlier_ids = {job.id for job in jobs.list()}
    suffix, labels = job_labels(
        data.person, data.source, data.preparation.citable_exports
    )
    tuner: ChatFineTuner = ChatFineTuner(
        model=server.base_model,
        base_url=server.base_url,
        api_key=server.api_key,
        suffix=suffix,
        metadata=labels or None,
        validation_examples=list(data.validation) or None,
        # Unlike OpenAI, the local server accepts dialogues that end with the user.
        allow_trailing=True,
        on_event=on_event,
    )
    with _watch_validation(client, len(data.examples) + len(data.validation), watch):
        run = tuner.submit(data.examples)
    if run.id not in earlier_ids:
        return run, JobEvent(run.id, "new")
    if run.status == "succeeded":
        return run, JobEvent(run.id, "trained")
    if run.status == "running":
        return run, JobEvent(run.id, "running")
    job = _find_stored_job(run.id, server)
    # The server may already have resumed a failed job.
    with suppress(BadRequestError):
        jobs.resume(run.id)
    return run, JobEvent(run.id, "resumed", job.saved_step if job else 0)


def _wait(run: FineTuningRun, server: LocalServer) -> None:
    """Wait for a job to finish, as long as its server is running."""
    while True:
        try:
            run.wait(_WAIT_SECONDS)
        except FineTuningTimeoutError:
            if not server.is_running:
                msg = (
                    f"The local server stopped before job {run.id} finished. Run the "
                    "same command again to resume it."
                )
                raise LocalServerError(msg) from None
            if shutil.disk_usage(server.data_dir).free < _MIN_FREE_BYTES:
                # The server is waiting for space to save a checkpoint.
                msg = (
                    f"The disk with {server.data_dir} is full. Free some space and run "
                    "the same command again to resume from the last checkpoint."
                )
                raise LocalServerError(msg) from None
        except FineTuningFailedError as error:
            job = _find_stored_job(run.id, server)
            step = job.saved_step if job else 0
            action = f"resume it from step {step:,}" if step else "start it again"
            reason = getattr(run.job.error, "message", None) or "The reason is unknown."
            msg = f"Training failed. {reason} To {action}, run the same command again."
            raise FineTuningFailedError(
                msg, job_id=run.id, code=error.code, param=error.param
            ) from error
        except FineTuningError as error:
            job = _find_stored_job(run.id, server)
            if job is not None and job.status != "cancelled":
                raise
            status = "cancelled" if job else "deleted"
            msg = f"Job {run.id} was {status}, so no model was created."
            raise LocalServerError(msg) from error
        else:
            return


def _pause(job: JobEvent, server: LocalServer, client: OpenAI) -> StoppedEvent | None:
    """Pause a job, unless it has finished or another command is waiting for it."""
    from openai import BadRequestError, OpenAIError

    if job.state == "running" and server.is_shared:
        return StoppedEvent(
            job.job_id, "elsewhere", _find_stored_job(job.job_id, server)
        )
    try:
        client.fine_tuning.jobs.pause(job.job_id)
    except BadRequestError:  # The job has finished.
        return None
    except OpenAIError:
        # The server was also interrupted.
        with suppress(JobNotActiveError):
            stop_job(job.job_id, "paused", data_dir=server.data_dir)
    return StoppedEvent(job.job_id, "paused", _find_stored_job(job.job_id, server))


def _watch_validation(client: OpenAI, total: int, watch: Watch) -> Any:
    """Show how many examples the server has checked."""
    from openai import OpenAIError

    if total < _MIN_WATCHED_EXAMPLES:
        return no_progress("", lambda: 0, None)
    counts = [0]

    def get_checked_count() -> int:
        with suppress(OpenAIError, KeyError, TypeError):
            response: Any = client.get("/checked_examples", cast_to=object)
            counts.append(int(response["count"]))
        return counts[-1]

    initial_count = get_checked_count()
    return watch("examples checked", lambda: get_checked_count() - initial_count, total)


def _find_stored_job(job_id: str, server: LocalServer) -> LocalJob | None:
    jobs = list_jobs(server.data_dir)
    return next((job for job in jobs if job.id == job_id), None)


@contextmanager
def silence_interrupt_log() -> Iterator[None]:
    """Silence the tuner's log about interruptions, which are reported as events."""
    logger = logging.getLogger("langchain_chatexports.finetuning.connection")
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = False
