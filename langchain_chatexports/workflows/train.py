"""Training on this machine: create or find a job, run it, and wait for its end."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from langchain_chatexports._extras import require_local
from langchain_chatexports._progress import Watch, no_progress
from langchain_chatexports._translation import Sentence, _
from langchain_chatexports.datasets.examples import TrainingExample
from langchain_chatexports.datasets.jsonl import write_jsonl
from langchain_chatexports.datasets.validation import validate_examples
from langchain_chatexports.exceptions import (
    FineTuningFailedError,
    LocalServerError,
    TrainingDataError,
)
from langchain_chatexports.local_server import (
    DiskFullError,
    InvalidExamplesError,
    Job,
    Model,
    Queue,
    Snapshot,
    State,
    Workspace,
    find_base,
    job_labels,
)
from langchain_chatexports.workflows.bases import download_base, training_bytes
from langchain_chatexports.workflows.corrections import person_models
from langchain_chatexports.workflows.training_data import TrainingData
from langchain_chatexports.workflows.training_events import (
    EventReader,
    JobEvent,
    OnEvent,
    StoppedEvent,
)


def train(
    data: TrainingData,
    base: str | None = None,
    *,
    workspace: Workspace | None = None,
    on_event: OnEvent | None = None,
    watch: Watch = no_progress,
) -> Model:
    """Fine-tune a base model on this machine, and wait for the result.

    Repeated calls with the same data reuse one job: a call resumes it if it was paused
    or failed, and returns its model if it succeeded. Ctrl-C pauses it.

    Args:
        data: The result of `prepare`.
        base: A folder, a `.gguf` file or a hub id; `None` for the default.
        workspace: The jobs and models; `None` for those of the user.
        on_event: Called with each event of the job, and each training step.
        watch: Shows progress while a base is downloaded.

    Raises:
        TrainingDataError: If the examples break a rule, or are too few.
        LocalServerError: If the base is missing, the disk is full, or the job was
            cancelled, deleted or paused by another program.
        FineTuningFailedError: If training fails.
    """
    _check(data)
    require_local()
    workspace = workspace or Workspace()
    found = find_base(base)
    workspace.require_space(training_bytes(found))
    if found.needs_download():
        download_base(found, watch)
    emit = on_event or (lambda _event: None)
    event = create_job(workspace, data, base)
    is_ours = event.state != "running"  # What another command ordered goes on.
    after = 0
    if event.state != "new":  # An earlier command has shown these events.
        latest = workspace.jobs.latest_events(event.job_id, limit=1)
        after = latest[0].number if latest else 0
    reader = EventReader()
    try:
        emit(event)
        with Queue(workspace) as running:
            full = running.disk_is_full
            try:
                for stored in workspace.jobs.follow(
                    event.job_id, after=after, stop=full
                ):
                    if (converted := reader.read(stored)) is not None:
                        emit(converted)
                if full.is_set():
                    raise _full_disk_error(workspace)
            except (KeyboardInterrupt, SystemExit):
                if is_ours:
                    pause_job(workspace, event.job_id)
                raise
    except (KeyboardInterrupt, SystemExit):
        _emit_interruption(workspace, event.job_id, emit, is_ours=is_ours)
        raise
    return _get_model(workspace, event.job_id)


def create_job(
    workspace: Workspace, data: TrainingData, base: str | None = None
) -> JobEvent:
    """Create the job of these examples, or find and resume it, without waiting."""
    _check(data)
    found = find_base(base)
    suffix, labels = job_labels(
        data.person, data.source, data.preparation.citable_exports
    )
    job, is_new = workspace.jobs.find_or_create(
        base=found.id,
        base_model=found.name,
        training_file=_store(workspace, data.examples),
        validation_file=_store(workspace, data.validation) if data.validation else None,
        suffix=suffix,
        metadata=labels,
    )
    if is_new:
        return JobEvent(job.id, "new")
    if job.state is State.SUCCEEDED:
        return JobEvent(job.id, "trained")
    if job.is_active and workspace.has_queue():
        return JobEvent(job.id, "running")
    if not job.is_active:
        job = workspace.jobs.resume(job.id)
    return JobEvent(job.id, "resumed", job.saved_step)


def find_earlier_model(
    data: TrainingData, workspace: Workspace
) -> tuple[Model, int] | None:
    """Return the newest model of the person, and how many of the examples are new.

    `None` if there is no model, or it has learned the same examples.
    """
    models = person_models(workspace, data.person or "")
    if not (data.person and models):
        return None
    known = {*map(_key, chain(*workspace.examples(models[0])))}
    examples = [*data.examples, *data.validation]
    new = sum(_key(example) not in known for example in examples)
    return (models[0], new) if new else None


def _key(example: Mapping[str, Any]) -> str:
    return json.dumps(example, sort_keys=True)


def pause_job(workspace: Workspace, job_id: str) -> None:
    """Pause a job, if it has not finished meanwhile."""
    job = workspace.jobs.find(job_id)
    if job is not None and job.is_active:
        workspace.jobs.pause(job_id)


def find_seconds_left(workspace: Workspace, job: Job) -> float | None:
    """Return the estimated time until a running job ends; `None` if unknown."""
    if job.state is not State.RUNNING:
        return None
    reader = EventReader()
    for event in workspace.jobs.events(job.id):
        reader.read(event)
    return reader.seconds_left_at(time.time())


def format_progress(job: Job) -> str:
    """Return the progress of a job as text, such as `step 3 of 20`."""
    if job.steps:
        return _("step {step} of {total}", step=job.step, total=job.steps)
    return _("step {step}", step=job.step)


def explain_wait(snapshot: Snapshot) -> str | None:
    """Return why queued jobs wait; `None` if a program runs them."""
    if snapshot.has_queue:
        return None
    return _(
        "No program runs the jobs, so unfinished ones wait. Start one: "
        "chatexports serve"
    )


def _check(data: TrainingData) -> None:
    """Raise an error if the examples break a rule, or are too few."""
    data.check_size()
    for name, examples in (("training", data.examples), ("held-out", data.validation)):
        if problems := validate_examples(examples, minimum=0, allow_trailing=True):
            msg = f"The {name} examples break the rules of the training format:"
            raise TrainingDataError(msg, problems)


def _store(workspace: Workspace, examples: Sequence[TrainingExample]) -> str:
    buffer = io.BytesIO()
    write_jsonl(examples, buffer)
    return workspace.files.create(buffer.getvalue()).id


def _emit_interruption(
    workspace: Workspace, job_id: str, emit: Any, *, is_ours: bool
) -> None:
    if is_ours:  # Otherwise it waits in the queue, if it was not run yet.
        pause_job(workspace, job_id)
    job = workspace.jobs.find(job_id)
    if job is None or job.state is State.SUCCEEDED:
        return
    emit(StoppedEvent(job_id, "paused" if is_ours else "elsewhere", job))


def _get_model(workspace: Workspace, job_id: str) -> Model:
    """Return the model of a job that has ended, or raise why there is none."""
    job = workspace.jobs.find(job_id)
    match job:
        case Job(state=State.SUCCEEDED, model=str(name)):
            return workspace.models.find(name)
        case Job(state=State.FAILED):
            raise _failure(job)
        case Job(state=State.PAUSED):
            msg = Sentence(
                "Job {job} was paused at {progress} by another program. Run the same "
                "command again to resume it.",
                job=job_id,
                progress=format_progress(job),
            )
        case _:
            # A deletion cancels the job first.
            msg = Sentence(
                "Job {job} was cancelled or deleted, so no model was created.",
                job=job_id,
            )
    raise LocalServerError(msg)


def _full_disk_error(workspace: Workspace) -> DiskFullError:
    msg = Sentence(
        "The disk with {path} is full, so training stopped. Free some space, and run "
        "the same command again: it continues from its last save.",
        path=workspace.data_dir,
    )
    return DiskFullError(msg)


def _failure(job: Job) -> FineTuningFailedError:
    error = job.error or {}
    reason = Sentence(error.get("message") or "The reason is unknown.")
    if error.get("code") != InvalidExamplesError.code:
        resume = Sentence(
            "To resume it from step {step}, run the same command again.",
            step=job.saved_step,
        )
        start = Sentence("To start it again, run the same command again.")
        action = resume if job.saved_step else start
        reason = Sentence("{reason} {action}", reason=reason, action=action)
    msg = Sentence("Training failed. {reason}", reason=reason)
    return FineTuningFailedError(
        msg, job_id=job.id, code=error.get("code"), param=error.get("param")
    )
