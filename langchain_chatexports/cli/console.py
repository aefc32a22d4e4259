"""What a person sees while something runs: lines and progress on stderr."""

from __future__ import annotations

import json
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from typing_extensions import Self

__all__ = ["TrainingProgress", "counting", "print_json", "say", "stdin_is_terminal"]

_SECONDS_BETWEEN_LINES = 2.0
_stderr = Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str = "") -> None:
    """Write a line to stderr: data goes to stdout, everything else here."""
    _stderr.print(text, markup=False)


def print_json(value: Mapping[str, Any] | list[Any]) -> None:
    """Write JSON to stdout."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
    sys.stdout.flush()


def stdin_is_terminal() -> bool:
    """Tell whether there is somebody to ask."""
    return sys.stdin is not None and sys.stdin.isatty()


@contextmanager
def counting(items: Iterable[Any], what: str) -> Iterator[Iterator[Any]]:
    """Count items as they pass, with their rate; plain lines without a terminal.

    Args:
        items: What passes.
        what: The word for it, in the plural.

    Yields:
        The same items.
    """
    if not _stderr.is_terminal:
        yield _counted_in_lines(items, what)
        return
    with Progress(
        TextColumn(f"{{task.completed:>10,.0f}} {what}"),
        TextColumn("{task.speed:,.0f}/s", style="dim"),
        console=_stderr,
        transient=True,
    ) as progress:
        task = progress.add_task(what, total=None)
        yield _advanced(items, progress, task)


def _advanced(items: Iterable[Any], progress: Progress, task: Any) -> Iterator[Any]:
    for item in items:
        yield item
        progress.advance(task)


def _counted_in_lines(items: Iterable[Any], what: str) -> Iterator[Any]:
    started = last = time.monotonic()
    for count, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_LINES:
            say(f"{count:,} {what}, {count / (now - started):,.0f} a second")
            last = now


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
        if _stderr.is_terminal:
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
                console=_stderr,
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
