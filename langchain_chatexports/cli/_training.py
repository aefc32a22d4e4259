"""Output of commands that train: the base, the job, its steps, and the time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from langchain_chatexports._terminal import short_duration
from langchain_chatexports.cli._console import (
    ProgressDisplay,
    command_line,
    confirmed,
    print_line,
    show_progress,
    stdin_is_terminal,
)
from langchain_chatexports.datasets.examples import TrainingExample
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.workflows.bases import (
    Base,
    BaseChoice,
    download_base,
    find_base,
    language_warning,
    training_seconds,
)
from langchain_chatexports.workflows.train import progress_of
from langchain_chatexports.workflows.training_events import (
    JobEvent,
    MessageEvent,
    StepEvent,
    StoppedEvent,
    TrainingEvent,
)

_SECONDS_BETWEEN_LINES = 10.0


class TrainingDisplay(ProgressDisplay):
    """Shows the events of a training, its steps as a bar or in lines."""

    def __init__(self, data_dir: Path | None = None) -> None:
        super().__init__()
        self._where = () if data_dir is None else ("--data-dir", _absolute(data_dir))
        self._last_line = 0.0

    def __call__(self, event: TrainingEvent) -> None:
        if isinstance(event, StepEvent):
            self._show_step(event)
        elif isinstance(event, MessageEvent):
            print_line(f"  {event}")
        elif isinstance(event, JobEvent):
            print_line(event)
        else:
            self.pause()
            self._show_stopped(event)

    def _show_step(self, event: StepEvent) -> None:
        if self.update(event.step, event.total, str(event)):
            return
        now = time.monotonic()
        is_last = event.step == event.total
        if is_last or now - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = now
            print_line(f"  {event}")

    def _show_stopped(self, event: StoppedEvent) -> None:
        if event.outcome == "elsewhere":
            print_line(f"Job {event.job_id} continues in another command.")
        else:
            job = event.job
            at = f" at {progress_of(job)}" if job and job.step else ""
            print_line(f"Training stopped{at}. To continue it:")
            print_line(f"  {command_line(*sys.argv[1:])}")
        print_line("To delete it, with its examples:")
        print_line(
            f"  {command_line('models', '--delete', event.job_id, *self._where)}"
        )


def settle_base(
    choose: Callable[[bool], BaseChoice], *, agreed: bool
) -> tuple[BaseChoice, str | None]:
    """Download and return the proposed base, or return the best local one."""
    choice = choose(agreed or stdin_is_terminal())
    print_line(choice)
    if not choice.base.is_default and not _is_downloaded(choice.base, agreed=agreed):
        choice = choose(False)
        print_line(choice)
    if choice.better is not None:
        size = choice.better.download_in_words
        print_line(f"A better one exists: --base {choice.better.id} ({size}).")
    return choice, None if choice.base.is_default else choice.base.id


def _is_downloaded(base: Base, *, agreed: bool) -> bool:
    if not base.download_bytes:
        return True
    never = LocalServerError("")  # A choice without a terminal needs no download.
    if not confirmed("Download it?", agreed=agreed, refusal=never):
        return False
    try:
        download_base(base, show_progress)
    except LocalServerError as error:
        print_line(f"warning: {error}")
        return False
    return True


def print_base(
    base: str | None,
    language: str | None = None,
    examples: Sequence[TrainingExample] = (),
) -> None:
    """Print the base model: source, size, license, and training time."""
    found = find_base(base)
    parts = [f"Base model: {found.name}"]
    if found.is_default:
        parts.append("a tiny demo model")
    if found.download_bytes:
        parts.append(f"{found.download_bytes / 1e6:,.0f} MB from huggingface.co")
    if found.license:
        parts.append(f"license: {found.license}")
    seconds = training_seconds(found, examples) if examples else None
    if seconds is not None:
        parts.append(f"trains in about {short_duration(seconds)} (estimated)")
    print_line(", ".join(parts))
    if warning := language_warning(found, language):
        print_line(f"warning: {warning}")


def chat_command(
    name: str, *, data_dir: Path | None = None, base_url: str | None = None
) -> str:
    """Return the command that talks to a model, from any folder."""
    where: list[str] = []
    if data_dir is not None:
        where = ["--data-dir", _absolute(data_dir)]
    if base_url is not None:
        where = ["--base-url", base_url]
    # Another server's name for a model must not be read as an option.
    words = ["--", name] if name.startswith("-") else [name]
    return command_line("chat", *where, *words)


def _absolute(path: Path) -> str:
    return str(path.expanduser().absolute())
