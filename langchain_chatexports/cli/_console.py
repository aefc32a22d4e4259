"""Lines, questions and progress at the terminal.

Progress is a bar at a terminal and a line every two seconds elsewhere. A thread polls
how much is done, so that work need not report it, and a long step shows progress too.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from langchain_chatexports._terminal import plural, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from typing_extensions import Self

    from langchain_chatexports.datasets.preparation import Preparation
    from langchain_chatexports.exceptions import ChatExportError

__all__ = [
    "Meter",
    "TrainingProgress",
    "asking",
    "command_line",
    "confirmed",
    "print_json",
    "printable_lines",
    "program",
    "reading",
    "say",
    "shell_words",
    "show",
    "show_rows",
    "show_table",
    "stderr_console",
    "stdin_is_terminal",
    "time_left_in_all",
    "watching",
    "watching_count",
]

_PROGRAM = "chatexports"
# Of the first word, as in "messages read for names".
_PLURAL = re.compile(r"s\b")
_SECONDS_BETWEEN_LINES = 2.0
_SECONDS_BETWEEN_POLLS = 0.2
_LONG_SECONDS = 120
# How many times longer the pauses between lines are after that.
_LATER = 10
# The time left is estimated when a 50th is done.
_FIRST_SHARE = 50


class _Console(Console):
    """A console that lets the error of a broken pipe through."""

    def on_broken_pipe(self) -> None:
        """Raise the error: rich would close stdout and exit with status 1."""
        raise  # noqa: PLE0704 - rich calls this where it handles the error


stderr_console = _Console(stderr=True, highlight=False, soft_wrap=True)


def shell_words(words: Sequence[object]) -> str:
    """Return words as a command line for the system's shell, quoted where needed."""
    texts = [str(word) for word in words]
    return subprocess.list2cmdline(texts) if os.name == "nt" else shlex.join(texts)


def program() -> str:
    """Return what runs this program in the user's shell.

    `chatexports`, or the path that was typed, where the shell finds another program of
    that name or none: in an environment that is not activated.
    """
    typed = Path(sys.argv[0])
    if typed.stem != _PROGRAM or typed.parent == Path():
        return _PROGRAM
    found = shutil.which(_PROGRAM)
    if found and Path(found).parent.resolve() == typed.parent.resolve():
        return _PROGRAM
    return str(typed)


def command_line(*words: object) -> str:
    """Return a command of this program to type next, for the system's shell."""
    return shell_words([program(), *words])


def say(text: object = "") -> None:
    """Write lines to stderr, which takes everything but data."""
    stderr_console.print(printable_lines(text), markup=False, emoji=False)


def show(text: object = "") -> None:
    """Write lines to stdout, for people: the result of a command."""
    sys.stdout.write(f"{printable_lines(text)}\n")
    sys.stdout.flush()


def show_table(text: object) -> None:
    """Write a table to stdout; at a terminal, its long lines end with an ellipsis."""
    width = _terminal_width()
    lines = printable_lines(text).split("\n")
    show("\n".join(_shortened(line, width) for line in lines) if width else text)


def show_rows(rows: Sequence[Sequence[str]]) -> None:
    """Write rows of cells to stdout as a table, in columns."""
    shown = [[printable(cell) for cell in row] for row in rows]
    # Chinese letters and emoji are two columns wide.
    widths = [max(map(cell_len, column)) for column in zip(*shown, strict=True)]
    lines = (
        "  ".join(
            cell + " " * (width - cell_len(cell))
            for cell, width in zip(row, widths, strict=True)
        )
        for row in shown
    )
    show_table("\n".join(map(str.rstrip, lines)))


def _terminal_width() -> int | None:
    return Console().width if sys.stdout.isatty() else None


def _shortened(line: str, width: int) -> str:
    text = Text(line)
    text.truncate(width, overflow="ellipsis")
    return text.plain


def printable_lines(text: object) -> str:
    """Return a text without control characters, except line breaks."""
    return "\n".join(map(printable, str(text).split("\n")))


def print_json(value: Mapping[str, Any] | list[Any]) -> None:
    """Write JSON to stdout."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
    sys.stdout.flush()


def stdin_is_terminal() -> bool:
    """Return whether a question can be answered."""
    return sys.stdin is not None and sys.stdin.isatty()


@dataclass(frozen=True)
class Meter:
    """A count that grows, for a line of progress.

    Attributes:
        what: The word for what is counted, in the plural.
        done: Returns how much is done.
        total: About how much there is, if that is known.
        made: Returns what is shown beside it, such as the examples made so far.
    """

    what: str
    done: Callable[[], int]
    total: int | None = None
    made: Callable[[], str] = str
    started: float = field(default_factory=time.monotonic)

    def __str__(self) -> str:
        """Return the count and, after a second, its rate and the time left."""
        done, seconds = self.done(), time.monotonic() - self.started
        is_known = self.total is not None and done <= self.total
        what = self.what
        if is_known:
            what = f"of {self.total:,} {what}"
        elif done == 1:
            what = _PLURAL.sub("", what, count=1)
        parts = [f"{done:,} {what}"]
        if is_timed := seconds >= 1:
            parts.append(_rate(done / seconds))
        if is_timed and is_known and _FIRST_SHARE * done >= (self.total or 0) > 0:
            parts.append(_time_left(seconds / done * ((self.total or 0) - done)))
        if made := self.made():
            parts.append(made)
        return ", ".join(parts)


@contextmanager
def asking() -> Iterator[None]:
    """Let Ctrl-C at one of typer's questions stop the command as it does elsewhere."""
    import typer

    try:
        yield
    except typer.Abort:
        raise KeyboardInterrupt from None


def confirmed(question: str, *, agreed: bool, refusal: ChatExportError) -> bool:
    """Ask whether to continue, unless that was agreed to before.

    Args:
        question: The question.
        agreed: Whether the answer was given as an option.
        refusal: Raised where there is no terminal to ask at.
    """
    import typer

    if agreed:
        return True
    if not stdin_is_terminal():
        raise refusal
    with asking():
        return bool(typer.confirm(question, err=True))


@contextmanager
def watching(meter: Meter) -> Iterator[None]:
    """Show progress while the block runs.

    Args:
        meter: The count to poll.
    """
    show = _bar if stderr_console.is_terminal else _lines
    with show(meter):
        yield


def watching_count(
    what: str, done: Callable[[], int], total: int | None
) -> AbstractContextManager[None]:
    """Show progress while a block runs, for what the library counts.

    Args:
        what: The word for what is counted, in the plural.
        done: Returns how much is done.
        total: About how much there is, if that is known.
    """
    return watching(Meter(what, done, total))


def reading(
    preparation: Preparation, made: str = "examples"
) -> AbstractContextManager[None]:
    """Show progress while a preparation is read.

    Args:
        preparation: What is read.
        made: The word for what is made of it, in the plural.
    """
    if preparation.reads_examples():
        return watching(Meter(made, lambda: preparation.examples))
    return watching(
        Meter(
            "messages",
            lambda: preparation.messages_read,
            preparation.estimate_message_count(),
            lambda: plural(preparation.examples, made.removesuffix("s")),
        )
    )


@contextmanager
def _lines(meter: Meter) -> Iterator[None]:
    last: object = None

    def poll() -> None:
        nonlocal last
        now = (meter.done(), meter.made())
        if now != last:
            last = now
            say(str(meter))

    with _polling(poll, _SECONDS_BETWEEN_LINES, later=_LATER):
        yield


@contextmanager
def _bar(meter: Meter) -> Iterator[None]:
    columns = [TextColumn("{task.description}")]
    bar = [BarColumn(bar_width=20)] if meter.total else []
    progress = Progress(*bar, *columns, console=stderr_console, transient=True)
    task = progress.add_task(str(meter), total=meter.total)

    def poll() -> None:
        progress.update(task, completed=meter.done(), description=str(meter))

    with progress, _polling(poll, _SECONDS_BETWEEN_POLLS):
        yield


@contextmanager
def _polling(
    poll: Callable[[], None], seconds: float, later: int = 1
) -> Iterator[None]:
    is_over = threading.Event()
    begin = time.monotonic()

    def loop() -> None:
        pause = seconds
        while not is_over.wait(pause):
            try:
                poll()
            except BrokenPipeError:
                return  # The work itself meets the broken pipe, and ends.
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
    """Return the seconds that are left in words."""
    if seconds < _LONG_SECONDS:
        return f"about {seconds:.0f} s left"
    return f"about {seconds / 60:.0f} min left"


def time_left_in_all(seconds: float) -> str:
    """Return the seconds that are left of all stages in words."""
    return f"{_time_left(seconds)} in all"


class TrainingProgress:
    """Shows a job's steps and loss, as a bar or, without a terminal, in lines.

    Attributes:
        told: The ids of events that were shown, by this command or an earlier one.
    """

    def __init__(
        self, rest: Callable[[float, int], float | None] | None = None
    ) -> None:
        """Initialize the progress.

        Args:
            rest: Returns how many seconds of the command are left after the training,
                from the seconds of a step and the number of steps.
        """
        self._rest = rest
        self.told: set[str] = set()
        self._progress: Progress | None = None
        self._task: Any = None
        self._last_line = 0.0
        self._first: tuple[int, float] | None = None

    def __enter__(self) -> Self:
        """Return it; the bar appears with the first step."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Remove the bar."""
        if self._progress is not None:
            self._progress.stop()

    def on_event(self, event: Any) -> None:
        """Show one event of the job (the SDK's `FineTuningJobEvent`)."""
        if event.id in self.told:
            return
        self.told.add(event.id)
        data = event.data if isinstance(event.data, dict) else {}
        step, total = data.get("step"), data.get("total_steps")
        if event.type != "metrics" or not isinstance(step, int):
            say(f"  {event.message}")
            return
        loss = data.get("train_loss")
        shown = f"loss {loss:.2f}" if isinstance(loss, (int, float)) else ""
        if self._first is None:
            self._first = (step, time.monotonic())
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
                TextColumn("{task.fields[in_all]}"),
                console=stderr_console,
            )
            self._task = self._progress.add_task(
                "training", total=total, loss=loss, in_all=""
            )
            self._progress.start()
        _, in_all = self._left(step, total, time.monotonic())
        self._progress.update(
            self._task, completed=step, total=total, loss=loss, in_all=in_all
        )

    def _print_line(self, step: int, total: int | None, loss: str) -> None:
        now = time.monotonic()
        if now - self._last_line < _SECONDS_BETWEEN_LINES and step != total:
            return
        self._last_line = now
        left = "".join(f", {text}" for text in self._left(step, total, now) if text)
        say(f"  step {step}{f'/{total}' if total else ''}, {loss}{left}")

    def _left(self, step: int, total: int | None, now: float) -> tuple[str, str]:
        """Return how long the training still takes, and the whole command."""
        # A resumed training does not start at the first step.
        first, started = self._first or (step, now)
        if not (total and first < step < total):
            return "", ""
        each = (now - started) / (step - first)
        seconds = each * (total - step)
        rest = self._rest(each, total) if self._rest else None
        in_all = "" if rest is None else time_left_in_all(seconds + rest)
        return _time_left(seconds), in_all
