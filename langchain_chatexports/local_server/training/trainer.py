"""The trainer: a child process that runs one job and writes its end.

It runs as long as the process that started it. What a job trains with is a function,
`train(progress, examples, job, settings)`: `lora.train_lora`, or another for tests.
"""

import math
import os
import shutil
import threading
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

from langchain_chatexports._serving import stack_frames
from langchain_chatexports._translation import Sentence
from langchain_chatexports.datasets.chat_prompts import most_common_prompt
from langchain_chatexports.datasets.validation import validate_examples
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.errors import (
    DiskFullError,
    InvalidExamplesError,
    OutOfMemoryError,
    TrainingError,
)
from langchain_chatexports.local_server.processes import (
    claim_stdout,
    postpone_garbage_collection,
    read_settings,
)
from langchain_chatexports.local_server.workspace import Job, State, Workspace
from langchain_chatexports.local_server.workspace.data_directory import replace
from langchain_chatexports.local_server.workspace.models import tuned_model_name
from langchain_chatexports.local_server.workspace.records import (
    Kind,
    Level,
)

# A trainer that is killed while it saves leaves a folder without this file.
_COMPLETE = "complete"
_POLL_SECONDS = 0.2
_LOCK_SECONDS = 60.0
_NICENESS = 5
_MIN_EXAMPLES, _MAX_PROBLEMS = 10, 10
MIN_FREE_BYTES = 2**20
DISK_FULL = Sentence(
    "The disk with the data directory is full. Free some space, and resume the job "
    "from its last save."
)

Train: TypeAlias = (
    "Callable[[Progress, list[dict[str, Any]], Job, dict[str, Any]], Path | None]"
)
"""Trains the examples of a job and returns the folder of the adapter, or `None` if it
was stopped. The settings have `threads` and `validation_examples`, a list."""


class Progress:
    """What a training reports, and what it asks: where to begin, when to stop."""

    def __init__(self, workspace: Workspace, job: Job, *, save_seconds: float) -> None:
        """Start watching the job."""
        self.folder = workspace.job_folder(job.id)
        """The folder of saves, named `checkpoint-<step>`, and of anything else."""

        self.is_stopping = False
        """Whether to save and return `None`."""

        self.require_space = workspace.require_space
        self._jobs, self._job, self._save_seconds = workspace.jobs, job, save_seconds
        self._reported_step = job.step
        self._saved_at: float | None = None  # `None` until training begins.
        threading.Thread(target=self._watch, daemon=True).start()

    def begin(self) -> Path | None:
        """Begin with the steps: return the last complete save, if any."""
        self._saved_at = time.monotonic()
        saves = self._saves()
        for folder in self.folder.glob("checkpoint-*"):
            if folder not in saves:
                shutil.rmtree(folder, ignore_errors=True)
        step = step_of(saves[-1]) if saves else 0
        self.log(f"Training from step {step + 1}", kind="phase", phase="steps")
        return saves[-1] if saves else None

    def step(self, step: int, steps: int, loss: float, **more: Any) -> None:
        """Report a finished step, with more metrics under OpenAI's names."""
        if (
            step > self._reported_step
        ):  # A resumed job repeats the steps since its save.
            self._reported_step = step
            metrics = {name: _round(value) for name, value in more.items()}
            self._jobs.log_step(self._job.id, step, steps, _round(loss), **metrics)

    def should_save(self) -> bool:
        """Return whether to save after this step."""
        begun = self._saved_at
        is_due = begun is None or time.monotonic() - begun > self._save_seconds
        return self.is_stopping or is_due

    def saved(self, folder: Path) -> None:
        """Report a save; older ones are deleted."""
        (folder / _COMPLETE).touch()
        self._saved_at = time.monotonic()
        self._jobs.record(self._job.id, saved_step=step_of(folder))
        for old in self._saves()[:-1]:
            shutil.rmtree(old, ignore_errors=True)

    def log(
        self,
        message: str,
        *,
        kind: Kind = "message",
        level: Level = "info",
        **data: Any,
    ) -> None:
        """Add an event to the job; it must not quote a chat."""
        self._jobs.log(self._job.id, message, kind=kind, level=level, **data)

    def record(self, **results: Any) -> None:
        """Record what training found out, such as `trained_tokens`."""
        self._jobs.record(self._job.id, **results)

    def _saves(self) -> list[Path]:
        complete = self.folder.glob(f"checkpoint-*/{_COMPLETE}")
        return sorted((file.parent for file in complete), key=step_of)

    def _watch(self) -> None:
        """See that any process paused, cancelled or deleted the job."""
        while True:
            job = _find(self._jobs.find, self._job)
            self.is_stopping = job is None or job.state is not State.RUNNING
            has_no_use = job is None or job.state is State.CANCELLED
            if has_no_use or (self.is_stopping and self._saved_at is None):
                os._exit(0)
            time.sleep(_POLL_SECONDS)


def step_of(save: Path) -> int:
    """Return the step of a save."""
    return int(save.name.rpartition("-")[2])


def main() -> None:
    """Run the job in the settings, unless it is no longer to run."""
    claim_stdout()
    postpone_garbage_collection()
    settings = read_settings()
    if hasattr(os, "nice"):
        os.nice(_NICENESS)  # Chats have priority.
    workspace = Workspace(settings["data_dir"])
    # The trainer of a killed process may still be ending.
    if workspace.lock("trainer").acquire(timeout=_LOCK_SECONDS):
        job = workspace.jobs.find(settings["job"])
        if job is not None and job.state is State.RUNNING:
            run(workspace, job, settings)
    os._exit(0)


def run(workspace: Workspace, job: Job, settings: dict[str, Any]) -> None:
    """Train and write the job's end, unless it is stopped before."""
    jobs, target = workspace.jobs, workspace.model_folder(job.id)
    try:
        # Published by a trainer that was killed afterwards.
        if not target.is_dir():
            workspace.require_space()
            progress = Progress(workspace, job, save_seconds=settings["save_seconds"])
            result = _train(progress, workspace, job, settings)
            if result is None:
                return
            replace(result, target)
        name = tuned_model_name(job)
        message = f"New fine-tuned model created: {name}"
        jobs.move(job.id, State.SUCCEEDED, message, model=name)
        shutil.rmtree(workspace.job_folder(job.id), ignore_errors=True)
    except Exception as error:  # noqa: BLE001 - becomes the job's error.
        failure = describe(error, workspace)
        frames = stack_frames(error)
        jobs.move(
            job.id,
            State.FAILED,
            failure["message"],
            level="error",
            error={**failure, "frames": frames},
        )


def describe(error: Exception, workspace: Workspace) -> dict[str, Any]:
    """Return `code`, `message` and `param` of an error; the message quotes no chat."""
    # Rust and C report a full disk in classes of their own.
    is_full = isinstance(error, OSError) or not isinstance(error, LocalServerError)
    if is_full and workspace.free_bytes < MIN_FREE_BYTES:
        error = DiskFullError(DISK_FULL)
    elif isinstance(error, MemoryError):
        msg: str = Sentence(
            "Not enough memory for training. Close other programs, or use shorter "
            "chats, batch_size 1 or a smaller base model."
        )
        error = OutOfMemoryError(msg)
    elif not isinstance(error, LocalServerError):
        msg = f"Training failed with {type(error).__name__}."
        error = TrainingError(msg)
    code = getattr(error, "code", TrainingError.code)
    param = getattr(error, "param", None)
    return {"code": code, "message": str(error), "param": param}


def _train(
    progress: Progress, workspace: Workspace, job: Job, settings: dict[str, Any]
) -> Path | None:
    # Read before the slow imports, because the files may be deleted meanwhile.
    examples = _read(workspace, job.training_file, "training_file")
    held_out = []
    if job.validation_file is not None:
        held_out = _read(workspace, job.validation_file, "validation_file")
    prompt = most_common_prompt(examples)
    progress.record(system_prompt=prompt.system, user_label=prompt.label)
    module, _, name = settings["train"].partition(":")
    train: Train = getattr(import_module(module), name)
    progress.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings["validation_examples"] = held_out
    return train(progress, examples, job, settings)


def _read(workspace: Workspace, file_id: str, param: str) -> list[dict[str, Any]]:
    examples = [*workspace.files.read(file_id)]
    if not examples:
        msg = "The examples were deleted before training started."
        raise TrainingError(msg, param=param)
    problems = validate_examples(
        examples,
        minimum=_MIN_EXAMPLES if param == "training_file" else 1,
        allow_trailing=True,
        limit=_MAX_PROBLEMS,
    )
    if problems:
        raise InvalidExamplesError([*map(str, problems)], param=param)
    return examples


def _find(find: Callable[[str], Job | None], job: Job) -> Job | None:
    try:
        return find(job.id)
    except LocalServerError:  # Busy, or the disk is full: look again later.
        return job


def _round(value: Any) -> Any:
    """Return a number that JSON can represent."""
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value


if __name__ == "__main__":
    main()
