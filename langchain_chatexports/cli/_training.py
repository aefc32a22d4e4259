"""Output while training: the base, the job, its steps, and the remaining time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

from langchain_chatexports._translation import _, number
from langchain_chatexports.cli._console import (
    ProgressDisplay,
    command_line,
    confirm,
    print_line,
    say,
    show_progress,
    stdin_is_terminal,
)
from langchain_chatexports.cli._errors import error_text
from langchain_chatexports.datasets.examples import TrainingExample
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server import (
    Base,
    BaseChoice,
    Snapshot,
    State,
    Workspace,
    conversion_text,
)
from langchain_chatexports.workflows.bases import (
    download_base,
    language_warning,
    training_duration,
)
from langchain_chatexports.workflows.models import not_deleted
from langchain_chatexports.workflows.train import explain_wait, format_progress
from langchain_chatexports.workflows.training_events import (
    JobEvent,
    MessageEvent,
    StepEvent,
    StoppedEvent,
    TrainingEvent,
)

_SECONDS_BETWEEN_LINES = 10.0


class TrainingDisplay(ProgressDisplay):
    """Prints the events of a job, and its steps as a bar or as lines."""

    def __init__(self, workspace: Workspace | None = None) -> None:
        super().__init__()
        self._options = [] if workspace is None else data_dir_options(workspace)
        self._last_line = 0.0

    def __call__(self, event: TrainingEvent) -> None:
        if isinstance(event, StepEvent):
            self._show_step(event)
        elif isinstance(event, MessageEvent):
            print_line(f"  {event}")
        elif isinstance(event, JobEvent):
            print_line(event)
            if event.state != "trained":
                self.wait(_("Loading the base and the examples"))
        else:
            self.pause()
            if event.host:
                self._show_left(event)
            else:
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
            say("Job {job} continues in another program.", job=event.job_id)
        else:
            if event.job and event.job.step:
                progress = format_progress(event.job)
                stopped = _(
                    "Training stopped at {progress}. To resume it:", progress=progress
                )
            else:
                stopped = _("Training stopped. To resume it:")
            print_line(stopped)
            print_line(f"  {command_line(*sys.argv[1:])}")
        say("To delete the job and its examples:")
        print_line(
            f"  {command_line('models', '--delete', event.job_id, *self._options)}"
        )

    def _show_left(self, event: StoppedEvent) -> None:
        """Print what goes on at another server."""
        if event.outcome == "nothing sent":
            say("Nothing was sent.")
        elif event.job_id is None:
            say("If {host} created the job, you may be billed for it.", host=event.host)
            say("Run the same command again to find it.")
        else:
            say(
                "Job {job} is still running on {host} and may be billed.",
                job=event.job_id,
                host=event.host,
            )
            say("Run the same command again to wait for it, or cancel it there.")


def select_base(
    choose: Callable[[bool], BaseChoice], *, yes: bool
) -> tuple[BaseChoice, str | None]:
    """Choose a base, or the best local one if the user declines a download."""
    choice = choose(yes or stdin_is_terminal())
    print_line(choice)
    if not choice.base.is_default and not _is_downloaded(choice.base, yes=yes):
        choice = choose(False)
        print_line(choice)
    if choice.better is not None:
        say(
            "A better base, if you download it: {option} ({size})",
            option=f"--base {choice.better.id}",
            size=choice.better.download_text(),
        )
    return choice, None if choice.base.is_default else choice.base.id


def _is_downloaded(base: Base, *, yes: bool) -> bool:
    if not base.needs_download():
        return True
    # Without a terminal, only local bases are proposed, so this never raises.
    if not confirm(_("Download it?"), yes=yes, refusal=""):
        return False
    try:
        download_base(base, show_progress)
    except LocalServerError as error:
        say("warning: {text}", text=error_text(error))
        return False
    return True


def print_base(
    base: Base,
    language: str | None = None,
    examples: Sequence[TrainingExample] = (),
    workspace: Workspace | None = None,
) -> None:
    """Print the base model with its size, license and training time."""
    parts = [_("Base model: {name}", name=base.name)]
    if base.is_default:
        parts.append(_("a tiny demo model"))
    if base.needs_download():
        size = number(base.download_bytes() / 1e6, 0)
        parts.append(
            _("{size} MB from huggingface.co", size=size)
            if base.size_bytes
            else _("from huggingface.co")
        )
    if base.license:
        parts.append(_("license: {license}", license=base.license))
    if examples and (conversion := conversion_text(base)):
        parts.append(conversion)
    if workspace and (duration := training_duration(base, examples, workspace)):
        parts.append(_("trains in {duration}", duration=duration))
    print_line(", ".join(parts))
    if warning := language_warning(base, language):
        say("warning: {text}", text=warning)


def chat_command(
    name: str, *, workspace: Workspace | None = None, base_url: str | None = None
) -> str:
    """Return the command to talk to a model, which works in any folder."""
    options = [] if workspace is None else data_dir_options(workspace)
    if base_url is not None:
        options = ["--base-url", base_url]
    # A model name on a server may look like an option.
    model = ["--", name] if name.startswith("-") else [name]
    return command_line("chat", *options, *model)


def state_name(state: State) -> str:
    """Return the state of a job for people."""
    names = {
        State.QUEUED: _("queued"),
        State.RUNNING: _("running"),
        State.PAUSED: _("paused"),
        State.SUCCEEDED: _("succeeded"),
        State.FAILED: _("failed"),
        State.CANCELLED: _("cancelled"),
    }
    return names[state]


def confirm_deletion(question: str, *, yes: bool) -> bool:
    """Ask whether to delete, after what would not be deleted."""
    if not yes:
        print_line(not_deleted())
    refusal = _("Nothing was deleted. Add --yes to agree.")
    if confirm(question, yes=yes, refusal=refusal):
        return True
    say("Nothing was deleted.")
    return False


def print_wait(snapshot: Snapshot) -> None:
    """Print why queued jobs wait, if no program runs them."""
    is_waiting = any(job.is_active for job in snapshot.jobs)
    if is_waiting and (reason := explain_wait(snapshot)):
        print_line(reason)


def megabytes(size_bytes: int) -> str:
    return f"{number(size_bytes / 1e6, 1)} MB"


def data_dir_options(workspace: Workspace) -> list[str]:
    """Return the option for a data directory, unless it is the user's."""
    if workspace.data_dir == Workspace().data_dir:
        return []
    return ["--data-dir", str(workspace.data_dir)]
