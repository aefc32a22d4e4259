"""Output, questions and progress in the terminal.

The progress bar polls a counter, so long operations need no callbacks.
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
from typing import Any, Self

import typer
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.text import Text

from langchain_chatexports._progress import seconds_left, time_left
from langchain_chatexports._terminal import one_line, printable
from langchain_chatexports._translation import _, ngettext, number
from langchain_chatexports.exceptions import ChatExportError

_PROGRAM = "chatexports"
_COMMAND = re.compile(rf"((?<=: )|(?<=：)|(?<=^  ))\S*{_PROGRAM} .*$")  # noqa: RUF001
_FRAMES_PER_SECOND = 5
_BAR_WIDTH = 20


class _Console(Console):
    """A console that raises broken-pipe errors."""

    def on_broken_pipe(self) -> None:
        """Raise the error: rich would close stdout and exit with status 1."""
        raise  # noqa: PLE0704 - rich calls this where it handles the error


stderr_console = _Console(stderr=True, highlight=False, soft_wrap=True)


def get_program() -> str:
    """Return the name of this program in the user's shell.

    This is its path if `chatexports` is not on `PATH`, as in an environment that is not
    activated.
    """
    script = Path(sys.argv[0])
    if script.stem != _PROGRAM or script.parent == Path():
        return _PROGRAM
    executable = shutil.which(_PROGRAM)
    if executable and Path(executable).parent.resolve() == script.parent.resolve():
        return _PROGRAM
    return str(script)


def command_line(*words: object) -> str:
    """Return a command line of this program, quoted for the system's shell."""
    line = [get_program(), *map(str, words)]
    return subprocess.list2cmdline(line) if os.name == "nt" else shlex.join(line)


def print_line(text: object = "") -> None:
    """Print lines to stderr, for everything but data.

    In a terminal, lines wrap between words. A command at the end of a long line gets
    its own line, so that it can be copied.
    """
    if not stderr_console.is_terminal:
        _print_unwrapped(printable_lines(text))
        return
    for line in printable_lines(text).split("\n"):
        command = _COMMAND.search(line)
        if command is None or cell_len(line) <= stderr_console.width:
            stderr_console.print(line, markup=False, emoji=False, soft_wrap=False)
            continue
        stderr_console.print(
            line[: command.start()], markup=False, emoji=False, soft_wrap=False
        )
        _print_unwrapped(f"  {command.group()}")


def say(sentence: str, **values: object) -> None:
    """Print a sentence to stderr, in the terminal's language."""
    print_line(_(sentence, **values))


def say_count(singular: str, plural: str, count: int, **values: object) -> None:
    """Print a sentence with a count to stderr, in the terminal's language."""
    print_line(ngettext(singular, plural, count, **values))


def _print_unwrapped(text: str) -> None:
    stderr_console.print(text, markup=False, emoji=False, soft_wrap=True)


def show(text: object = "") -> None:
    """Write the human-readable result of a command to stdout."""
    sys.stdout.write(f"{printable_lines(text)}\n")
    sys.stdout.flush()


def show_table(text: object) -> None:
    """Write a table to stdout; in a terminal, truncate long lines with an ellipsis."""
    width = _terminal_width()
    lines = printable_lines(text).split("\n")
    show("\n".join(_truncate(line, width) for line in lines) if width else text)


def show_rows(rows: Sequence[Sequence[str]], notes: Iterable[str] = ()) -> None:
    """Write a header and rows to stdout in columns, with a note below each row."""
    cells = [[printable(cell) for cell in row] for row in rows]
    # Chinese characters and emoji are two columns wide.
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    header, *lines = (
        "  ".join(
            cell + " " * (width - cell_len(cell))
            for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in cells
    )
    padded_notes = chain((printable(note) for note in notes), repeat(""))
    lines_and_notes = (
        [line, f"    {note}"] if note else [line]
        for line, note in zip(lines, padded_notes, strict=False)
    )
    show_table("\n".join([header, *chain.from_iterable(lines_and_notes)]))


def _terminal_width() -> int | None:
    return Console().width if sys.stdout.isatty() else None


def _truncate(line: str, width: int) -> str:
    text = Text(line)
    text.truncate(width, overflow="ellipsis")
    return text.plain


def printable_lines(text: object) -> str:
    """Remove control characters, except line breaks."""
    return "\n".join(map(printable, str(text).split("\n")))


def print_json(value: Mapping[str, Any] | list[Any]) -> None:
    sys.stdout.write(json.dumps(value, indent=2, default=_to_json) + "\n")
    sys.stdout.flush()


def _to_json(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def stdin_is_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def confirm(question: str, *, yes: bool, refusal: str) -> bool:
    """Ask whether to continue, unless `--yes` was given.

    Without a terminal, the refusal is raised as an error.
    """
    if yes:
        return True
    if not stdin_is_terminal():
        raise ChatExportError(refusal)
    words = {"y": True, "yes": True, "n": False, "no": False, "": False}
    words |= {_("y"): True, _("yes"): True, _("n"): False, _("no"): False}
    while True:
        hint = _("[y/N]")
        answer = typer.prompt(f"{question} {hint}", "", show_default=False, err=True)
        if (agrees := words.get(answer.strip().lower())) is not None:
            return agrees
        say("Answer y or n.")


def ask_for_speaker(senders: Mapping[str, int]) -> str:
    """Ask which sender the model should imitate, by number or name."""
    say("Whom should the model imitate? The export does not identify its owner.")
    names = list(senders)
    for index, (name, count) in enumerate(senders.items(), 1):
        messages = ngettext("{count} message", "{count} messages", count)
        print_line(f"  {index}. {one_line(name)} ({messages})")
    while True:
        answer = typer.prompt(_("Number or name"), err=True).strip()
        if answer in senders:
            return str(answer)
        if answer.isdigit() and 1 <= int(answer) <= len(names):
            return names[int(answer) - 1]
        say("No such sender.")


def get_speaker_chooser() -> Callable[[Mapping[str, int]], str] | None:
    """Return a function that asks for the speaker; `None` without a terminal."""
    return ask_for_speaker if stdin_is_terminal() else None


@contextmanager
def show_progress(
    unit: str, done: Callable[[], int], total: int | None
) -> Iterator[None]:
    """Show progress in a terminal while the block runs."""
    started = time.monotonic()

    def render_progress() -> RenderableType:
        count = done()
        seconds = time.monotonic() - started
        return _create_bar(count, total, _progress_line(unit, count, total, seconds))

    with _live_display(render_progress):
        yield


@contextmanager
def show_waiting(text: str, *, after: float = 0.0) -> Iterator[None]:
    """Show in a terminal what the block is doing, and for how long.

    Nothing is shown in the first `after` seconds.
    """
    started = time.monotonic()

    def render() -> RenderableType:
        seconds = time.monotonic() - started
        if seconds < after:
            return ""
        return _create_bar(
            0, None, _("{text} … {seconds} s", text=text, seconds=round(seconds))
        )

    with _live_display(render):
        yield


class ProgressDisplay:
    """A progress bar in a terminal, shown after the first update."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._bar: RenderableType | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.pause()

    def pause(self) -> None:
        """Remove the bar until the next update."""
        self._stack.close()
        self._bar = None

    def wait(self, text: str) -> None:
        """Show what is being done, and for how long, until the next update."""
        self.pause()
        self._stack.enter_context(show_waiting(text))

    def update(self, done: int, total: int | None, description: str) -> bool:
        """Update the bar; return `False` if there is no terminal to show it in."""
        if not stderr_console.is_terminal:
            return False
        if is_new := self._bar is None:
            self.pause()  # Ends `wait`.
        self._bar = _create_bar(done, total, description)
        if is_new:
            self._stack.enter_context(_live_display(lambda: self._bar or ""))
        return True


@contextmanager
def _live_display(render: Callable[[], RenderableType]) -> Iterator[None]:
    if not stderr_console.is_terminal:
        yield
        return
    from rich.live import Live

    with Live(
        get_renderable=render,
        console=stderr_console,
        refresh_per_second=_FRAMES_PER_SECOND,
        transient=True,
    ):
        yield


def _create_bar(done: int, total: int | None, description: str) -> RenderableType:
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    progress = ProgressBar(
        total=total, completed=done, width=_BAR_WIDTH, pulse=total is None
    )
    row = Table.grid(padding=(0, 1))
    row.add_row(progress, Text(printable(description)))
    return row


def _progress_line(unit: str, done: int, total: int | None, seconds: float) -> str:
    """Return the count and the remaining time, if known."""
    if total is None or done > total:
        return _count_text(unit, done)
    remaining = seconds_left(done, total, seconds)
    left = "" if remaining is None else f", {time_left(remaining)}"
    return f"{_fraction_text(unit, done, total)}{left}"


def _count_text(unit: str, done: int) -> str:
    texts = {
        "examples": _("{done} examples", done=done),
        "messages": _("{done} messages", done=done),
    }
    return texts.get(unit, f"{number(done)} {unit}")


def _fraction_text(unit: str, done: int, total: int) -> str:
    if unit == "messages":
        return _("{done} of {total} messages", done=done, total=total)
    return _("{done} of {total} {unit}", done=done, total=total, unit=unit)
