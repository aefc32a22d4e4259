"""What commands that train show: the base, the job, its steps, and what is left."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from typing_extensions import Self

from langchain_chatexports._terminal import short_duration
from langchain_chatexports.cli._console import bar, command_line, say, stderr_console
from langchain_chatexports.workflows.bases import Base, find_base, fitting_bases
from langchain_chatexports.workflows.train import (
    JobEvent,
    MessageEvent,
    StepEvent,
    StoppedEvent,
    TrainingEvent,
    progress_of,
)

_SECONDS_BETWEEN_LINES = 2.0
# What a person may wait for without having asked for more.
_USUAL_SECONDS = 3600


class TrainingDisplay:
    """Shows the events of a training, its steps as a bar or in lines."""

    def __init__(
        self, data_dir: Path | None = None, *, proposes_bases: bool = False
    ) -> None:
        """Initialize the display.

        Args:
            data_dir: Where jobs are kept, for the commands that are printed.
            proposes_bases: Whether to say which larger base would be in time.
        """
        self._where = () if data_dir is None else ("--data-dir", _absolute(data_dir))
        self._proposes_bases = proposes_bases
        self._stack = ExitStack()
        self._bar: Callable[[int, int | None, str], None] | None = None
        self._last_line = 0.0

    def __enter__(self) -> Self:
        """Return it; the bar appears with the first step."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Remove the bar."""
        self._stack.close()

    def __call__(self, event: TrainingEvent) -> None:
        """Show an event."""
        if isinstance(event, StepEvent):
            self._show_step(event)
        elif isinstance(event, MessageEvent):
            say(f"  {event}")
            if event.estimated_seconds is not None and self._proposes_bases:
                _propose_base(event.estimated_seconds)
        elif isinstance(event, JobEvent):
            say(event)
        else:
            self._stack.close()
            self._show_stopped(event)

    def _show_step(self, event: StepEvent) -> None:
        if stderr_console.is_terminal:
            if self._bar is None:
                self._bar = self._stack.enter_context(bar())
            self._bar(event.step, event.total, str(event))
            return
        now = time.monotonic()
        is_last = event.step == event.total
        if is_last or now - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = now
            say(f"  {event}")

    def _show_stopped(self, event: StoppedEvent) -> None:
        if event.outcome == "deleted":
            say("Training stopped. Its job and the uploaded examples are deleted.")
        elif event.outcome == "elsewhere":
            cancel = command_line("models", "--cancel", event.job_id, *self._where)
            say(f"Job {event.job_id} continues in another command. To cancel it:")
            say(f"  {cancel}")
        else:
            job = event.job
            at = f" at {progress_of(job)}" if job and job.step else ""
            saved = ""
            if job and job.saved_step:
                saved = f", a checkpoint of step {job.saved_step:,}"
            say(f"Training stopped{at}. To continue it:")
            say(f"  {command_line(*sys.argv[1:])}")
            say(f"Until then its job{saved} and the uploaded examples stay here.")
            say("To delete them:")
            say(f"  {command_line('models', '--delete', event.job_id, *self._where)}")


def _propose_base(seconds_of_default: float) -> None:
    timed = [
        (base, base.training_seconds(seconds_of_default) or 0.0)
        for base in fitting_bases()[1:]
    ]
    in_time = [choice for choice in timed if choice[1] <= _USUAL_SECONDS]
    if in_time:
        base, seconds = in_time[-1]
        say(
            f"  A larger base talks better: --base {base.id} takes about "
            f"{short_duration(seconds)}."
        )


def say_base(base: str | None) -> Base:
    """Print which model will be trained, with its source, size and license."""
    found = find_base(base)
    parts = [f"Base model: {found.name}"]
    if found.download_bytes:
        parts.append(f"{found.download_bytes / 1e6:,.0f} MB from huggingface.co")
    if found.license:
        parts.append(f"license: {found.license}")
    say(", ".join(parts))
    if found.is_default:
        say("This is a tiny demo model: choose a larger one with --base.")
    return found


def chat_command(
    name: str, *, data_dir: Path | None = None, base_url: str | None = None
) -> str:
    """Return the command that talks to a model, from any folder."""
    where: list[str] = []
    if data_dir is not None:
        where = ["--data-dir", _absolute(data_dir)]
    if base_url is not None:
        where = ["--base-url", base_url]
    # Another server chooses the name: it must not be read as an option.
    words = ["--", name] if name.startswith("-") else [name]
    return command_line("chat", *where, *words)


def _absolute(path: Path) -> str:
    return str(path.expanduser().absolute())
