"""Lines, questions and progress at the terminal.

The progress bar polls a counter, so the work itself reports nothing.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import typer
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from typing_extensions import Self

from langchain_chatexports._progress import seconds_left, time_left
from langchain_chatexports._terminal import one_line, plural, printable
from langchain_chatexports.exceptions import ChatExportError

_PROGRAM = "chatexports"
_COMMAND = re.compile(rf"(?<=: )\S*{_PROGRAM} .*$|(?<=^  )\S*{_PROGRAM} .*$")
_FRAMES_PER_SECOND = 5
_BAR_WIDTH = 20


class _Console(Console):
    """A console that raises broken-pipe errors."""

    def on_broken_pipe(self) -> None:
        """Raise the error: rich would close stdout and exit with status 1."""
        raise  # noqa: PLE0704 - rich calls this where it handles the error


stderr_console = _Console(stderr=True, highlight=False, soft_wrap=True)


def program() -> str:
    """Return the word that runs this program in the user's shell.

    `chatexports`, or its path if the shell does not find it, as in an environment that
    is not activated.
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
    texts = [program(), *map(str, words)]
    return subprocess.list2cmdline(texts) if os.name == "nt" else shlex.join(texts)


def print_line(text: object = "") -> None:
    """Print lines to stderr, for everything but data.

    At a terminal, lines are broken between words. A command at a line's end stays on a
    line of its own, so that it can be copied.
    """
    if not stderr_console.is_terminal:
        _print_whole(printable_lines(text))
        return
    for line in printable_lines(text).split("\n"):
        command = _COMMAND.search(line)
        if command is None or cell_len(line) <= stderr_console.width:
            stderr_console.print(line, markup=False, emoji=False, soft_wrap=False)
            continue
        stderr_console.print(
            line[: command.start()], markup=False, emoji=False, soft_wrap=False
        )
        _print_whole(f"  {command.group()}")


def _print_whole(text: str) -> None:
    stderr_console.print(text, markup=False, emoji=False, soft_wrap=True)


def show(text: object = "") -> None:
    """Write lines to stdout, for people: the result of a command."""
    sys.stdout.write(f"{printable_lines(text)}\n")
    sys.stdout.flush()


def show_table(text: object) -> None:
    """Write a table to stdout; at a terminal, its long lines end with an ellipsis."""
    width = _terminal_width()
    lines = printable_lines(text).split("\n")
    show("\n".join(_shortened(line, width) for line in lines) if width else text)


def show_rows(rows: Sequence[Sequence[str]], notes: Iterable[str] = ()) -> None:
    """Write rows of cells to stdout, in columns; below the first, with notes."""
    shown = [[printable(cell) for cell in row] for row in rows]
    # Chinese letters and emoji are two columns wide.
    widths = [max(map(cell_len, column)) for column in zip(*shown, strict=True)]
    head, *lines = (
        "  ".join(
            cell + " " * (width - cell_len(cell))
            for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in shown
    )
    below = chain((printable(note) for note in notes), repeat(""))
    noted = (
        [line, f"    {note}"] if note else [line]
        for line, note in zip(lines, below, strict=False)
    )
    show_table("\n".join([head, *chain.from_iterable(noted)]))


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
    sys.stdout.write(json.dumps(value, indent=2, default=_json_text) + "\n")
    sys.stdout.flush()


def _json_text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def stdin_is_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def confirmed(question: str, *, agreed: bool, refusal: ChatExportError) -> bool:
    """Ask whether to continue, unless an option already confirms it."""
    if agreed:
        return True
    if not stdin_is_terminal():
        raise refusal
    return bool(typer.confirm(question, err=True))


def ask_for_speaker(senders: Mapping[str, int]) -> str:
    """Ask whose voice to learn, by number or name."""
    print_line(
        "Whose voice should the model learn? The export does not name its owner."
    )
    names = list(senders)
    for number, (name, count) in enumerate(senders.items(), 1):
        print_line(f"  {number}. {one_line(name)} ({plural(count, 'message')})")
    while True:
        answer = typer.prompt("Number or name", err=True).strip()
        if answer in senders:
            return str(answer)
        if answer.isdigit() and 1 <= int(answer) <= len(names):
            return names[int(answer) - 1]
        print_line("No sender has that number or name.")


def speaker_chooser() -> Callable[[Mapping[str, int]], str] | None:
    """Return a function that asks whose voice to learn; `None` without a terminal."""
    return ask_for_speaker if stdin_is_terminal() else None


@contextmanager
def show_progress(
    what: str, done: Callable[[], int], total: int | None
) -> Iterator[None]:
    """Show progress at a terminal while the block runs."""
    started = time.monotonic()

    def progress() -> Table:
        count = done()
        seconds = time.monotonic() - started
        return _bar(count, total, _progress_line(what, count, total, seconds))

    with _live(progress):
        yield


class ProgressDisplay:
    """A progress bar at a terminal, from the first update on."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._shown: RenderableType | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.pause()

    def pause(self) -> None:
        """Remove the bar until the next update."""
        self._stack.close()
        self._shown = None

    def update(self, done: int, total: int | None, description: str) -> bool:
        """Update the bar, and return whether there is one."""
        if not stderr_console.is_terminal:
            return False
        is_new = self._shown is None
        self._shown = _bar(done, total, description)
        if is_new:
            self._stack.enter_context(_live(lambda: self._shown or ""))
        return True


@contextmanager
def _live(shown: Callable[[], RenderableType]) -> Iterator[None]:
    if not stderr_console.is_terminal:
        yield
        return
    with Live(
        get_renderable=shown,
        console=stderr_console,
        refresh_per_second=_FRAMES_PER_SECOND,
        transient=True,
    ):
        yield


def _bar(done: int, total: int | None, description: str) -> Table:
    progress = ProgressBar(
        total=total, completed=done, width=_BAR_WIDTH, pulse=total is None
    )
    row = Table.grid(padding=(0, 1))
    row.add_row(progress, Text(printable(description)))
    return row


def _progress_line(what: str, done: int, total: int | None, seconds: float) -> str:
    """Return a count and the remaining time, if it is known."""
    if total is None or done > total:
        return f"{done:,} {what}"
    left = seconds_left(done, total, seconds)
    return f"{done:,} of {total:,} {what}" + (
        "" if left is None else f", {time_left(left)}"
    )
