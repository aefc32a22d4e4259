"""What a person sees while something runs: lines and progress on stderr.

How far something is, is a bar at a terminal and a line every two seconds elsewhere.
What runs is not asked to report: it is looked at from a thread, which costs it nothing
and shows also what happens inside of one step.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from langchain_chatexports._terminal import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from typing_extensions import Self

__all__ = [
    "Meter",
    "TrainingProgress",
    "asking",
    "counting",
    "print_json",
    "printable_lines",
    "say",
    "shell_words",
    "show",
    "stderr_console",
    "stdin_is_terminal",
    "watching",
]

_SECONDS_BETWEEN_LINES = 2.0
_SECONDS_BETWEEN_LOOKS = 0.2
_LONG_SECONDS = 120
# How many times longer the pauses between lines are after that.
_LATER = 10
# How much of it must be done before the rest can be told from it: a 50th.
_FIRST_SHARE = 50


class _Console(Console):
    """A console that leaves it to the command what a broken pipe means."""

    def on_broken_pipe(self) -> None:
        """Let the error through: rich would close stdout, and end with status 1."""
        raise  # noqa: PLE0704 - rich calls this where it handles the error


stderr_console = _Console(stderr=True, highlight=False, soft_wrap=True)


def shell_words(words: Sequence[object]) -> str:
    """Join words to a command that a person can paste into the system's shell."""
    texts = [str(word) for word in words]
    return subprocess.list2cmdline(texts) if os.name == "nt" else shlex.join(texts)


def say(text: object = "") -> None:
    """Write lines to stderr: data goes to stdout, everything else here."""
    stderr_console.print(printable_lines(text), markup=False, emoji=False)


def show(text: object = "") -> None:
    """Write lines for people to stdout, where they are what the command was for."""
    sys.stdout.write(f"{printable_lines(text)}\n")
    sys.stdout.flush()


def printable_lines(text: object) -> str:
    """Return a text without what a terminal would obey, but for line breaks."""
    return "\n".join(map(printable, str(text).split("\n")))


def print_json(value: Mapping[str, Any] | list[Any]) -> None:
    """Write JSON to stdout."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
    sys.stdout.flush()


def stdin_is_terminal() -> bool:
    """Return whether there is somebody to ask."""
    return sys.stdin is not None and sys.stdin.isatty()


@dataclass(frozen=True)
class Meter:
    """Something that grows.

    Attributes:
        what: The word for it, in the plural.
        done: Tells how much is done.
        total: How much there is, about, if that is known.
        made: What is said beside it, such as how many examples came of it.
    """

    what: str
    done: Callable[[], int]
    total: int | None = None
    made: Callable[[], str] = str
    started: float = field(default_factory=time.monotonic)

    def __str__(self) -> str:
        """Say how far it is, how fast it goes, and how long it will take."""
        done, seconds = self.done(), max(1e-9, time.monotonic() - self.started)
        is_known = self.total is not None and done <= self.total
        of = f" of {self.total:,}" if is_known else ""
        parts = [f"{done:,}{of} {self.what}", _rate(done / seconds)]
        if is_known and _FIRST_SHARE * done >= (self.total or 0) > 0:
            parts.append(_time_left(seconds / done * ((self.total or 0) - done)))
        if made := self.made():
            parts.append(made)
        return ", ".join(parts)


@contextmanager
def asking() -> Iterator[None]:
    """Let Ctrl-C at a question of typer's stop the command as it does elsewhere."""
    import typer

    try:
        yield
    except typer.Abort:
        raise KeyboardInterrupt from None


@contextmanager
def watching(meter: Meter) -> Iterator[None]:
    """Show how far something is while the block runs.

    Args:
        meter: What to look at.
    """
    show = _bar if stderr_console.is_terminal else _lines
    with show(meter):
        yield


@contextmanager
def counting(
    items: Iterable[Any], what: str, meter: Meter | None = None
) -> Iterator[Iterator[Any]]:
    """Count items as they pass, and show that.

    Args:
        items: What passes.
        what: The word for it, in the plural.
        meter: What they are made of, if its end is known better than theirs.

    Yields:
        The same items.
    """
    count = 0

    def counted() -> Iterator[Any]:
        nonlocal count
        for item in items:
            count += 1
            yield item

    if meter is None:
        meter = Meter(what, lambda: count)
    else:
        meter = Meter(
            meter.what, meter.done, meter.total, made=lambda: f"{count:,} {what}"
        )
    with watching(meter):
        yield counted()


@contextmanager
def _lines(meter: Meter) -> Iterator[None]:
    last: object = None

    def look() -> None:
        nonlocal last
        now = (meter.done(), meter.made())
        if now != last:
            last = now
            say(str(meter))

    with _looking(look, _SECONDS_BETWEEN_LINES, later=_LATER):
        yield


@contextmanager
def _bar(meter: Meter) -> Iterator[None]:
    columns = [TextColumn("{task.description}")]
    bar = [BarColumn(bar_width=20)] if meter.total else []
    progress = Progress(*bar, *columns, console=stderr_console, transient=True)
    task = progress.add_task(str(meter), total=meter.total)

    def look() -> None:
        progress.update(task, completed=meter.done(), description=str(meter))

    with progress, _looking(look, _SECONDS_BETWEEN_LOOKS):
        yield


@contextmanager
def _looking(
    look: Callable[[], None], seconds: float, later: int = 1
) -> Iterator[None]:
    is_over = threading.Event()
    begin = time.monotonic()

    def loop() -> None:
        pause = seconds
        while not is_over.wait(pause):
            try:
                look()
            except BrokenPipeError:
                return  # Nobody reads any longer; what is at work says so itself.
            if time.monotonic() - begin > _LONG_SECONDS:
                pause = later * seconds

    thread = threading.Thread(target=loop, daemon=True, name="progress")
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _rate(per_second: float) -> str:
    if 0 < per_second < 0.95:  # noqa: PLR2004 - what would be shown as 1 or more
        return f"{60 * per_second:,.0f} a minute"
    return f"{per_second:,.0f} a second"


def _time_left(seconds: float) -> str:
    if seconds < _LONG_SECONDS:
        return f"about {seconds:.0f} s left"
    return f"about {seconds / 60:.0f} min left"


class TrainingProgress:
    """Shows a job's steps and loss, as a bar or, without a terminal, in lines."""

    def __init__(self) -> None:
        """Show nothing yet."""
        self._progress: Progress | None = None
        self._task: Any = None
        self._last_line = 0.0
        self._started: float | None = None

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Take the bar away."""
        if self._progress is not None:
            self._progress.stop()

    def on_event(self, event: Any) -> None:
        """Show one event of the job (the SDK's `FineTuningJobEvent`)."""
        data = event.data if isinstance(event.data, dict) else {}
        step, total = data.get("step"), data.get("total_steps")
        if event.type != "metrics" or not isinstance(step, int):
            say(f"  {event.message}")
            return
        loss = data.get("train_loss")
        shown = f"loss {loss:.2f}" if isinstance(loss, (int, float)) else ""
        if stderr_console.is_terminal:
            self._advance_bar(step, total, shown)
        else:
            self._print_line(step, total, shown)

    def _advance_bar(self, step: int, total: int | None, loss: str) -> None:
        if self._progress is None:
            self._progress = Progress(
                TextColumn("  training"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[loss]}"),
                TimeRemainingColumn(),
                console=stderr_console,
            )
            self._task = self._progress.add_task("training", total=total, loss=loss)
            self._progress.start()
        self._progress.update(self._task, completed=step, total=total, loss=loss)

    def _print_line(self, step: int, total: int | None, loss: str) -> None:
        now = time.monotonic()
        if self._started is None:
            self._started = now
        if now - self._last_line < _SECONDS_BETWEEN_LINES and step != total:
            return
        self._last_line = now
        left = ""
        if total and step > 1 and step < total:
            seconds = (now - self._started) / (step - 1) * (total - step)
            left = f", about {seconds:.0f} s left"
        say(f"  step {step}{f'/{total}' if total else ''}, {loss}{left}")
