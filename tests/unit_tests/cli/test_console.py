"""How far something is, at a terminal and without one, and how much there is."""

from __future__ import annotations

import io
import sys
import time
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from langchain_chatexports.cli import _console as console
from langchain_chatexports.cli import _training
from langchain_chatexports.cli._console import (
    _progress_line,
    program,
    show_table,
    watching,
)
from langchain_chatexports.cli._training import TrainingDisplay
from langchain_chatexports.workflows.training_events import StepEvent

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def line(done: int, total: int | None = None, *, seconds: float = 10) -> str:
    return _progress_line("messages", done, total, seconds)


def wait_until(is_so: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            line(250_000, 1_000_000),
            "250,000 of 1,000,000 messages, 25,000 a second, about 30 s left",
        ),
        (line(2, 5), "2 of 5 messages, 12 a minute, about 15 s left"),
        # Nearly nothing, and ends that nobody knows.
        (line(10, 1000), "10 of 1,000 messages, 1 a second"),
        (line(10), "10 messages, 1 a second"),
        (line(10, 5), "10 messages, 1 a second"),
        (line(0, 1000), "0 of 1,000 messages, 0 a second"),
        (line(1, 16, seconds=0.001), "1 of 16 messages"),
        (line(1, seconds=0), "1 message"),
    ],
)
def test_progress_says_count_rate_and_time_left(text: str, said: str) -> None:
    assert text == said


def test_minutes_are_minutes() -> None:
    assert line(10, 490).endswith("about 8 min left")


def test_lines_come_while_a_single_step_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(console, "say", said.append)
    monkeypatch.setattr(console, "_SECONDS_BETWEEN_LINES", 0.01)
    with watching("messages", iter(range(1000)).__next__, None):
        wait_until(lambda: len(said) > 1)
    count = len(said)
    time.sleep(0.05)
    assert len(said) == count


def test_a_line_is_not_said_again(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(console, "say", said.append)
    monkeypatch.setattr(console, "_SECONDS_BETWEEN_LINES", 0.01)
    with watching("messages", lambda: 7, None):
        wait_until(lambda: said)
        time.sleep(0.1)
    assert len(said) == 1


def test_lines_of_long_work_become_rare(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(console, "say", said.append)
    monkeypatch.setattr(console, "_SECONDS_BETWEEN_LINES", 0.01)
    monkeypatch.setattr(console, "_LONG_SECONDS", 0)
    monkeypatch.setattr(console, "_LATER", 1000)
    with watching("messages", iter(range(1000)).__next__, None):
        wait_until(lambda: said)
        time.sleep(0.1)
    assert len(said) == 1


def test_short_work_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with watching("messages", iter(range(1000)).__next__, None):
        pass
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("total", [None, 20])
def test_a_terminal_gets_a_bar_that_goes_away(
    monkeypatch: pytest.MonkeyPatch, total: int | None
) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=100)
    monkeypatch.setattr(console, "stderr_console", terminal)
    with watching("messages", lambda: 10, total):
        pass
    shown = screen.getvalue()
    assert "10 of 20 messages" in shown if total else "10 messages" in shown
    assert "\x1b[2K" in shown


def test_an_error_ends_the_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(console, "say", said.append)
    monkeypatch.setattr(console, "_SECONDS_BETWEEN_LINES", 0.01)
    with pytest.raises(ZeroDivisionError), watching("messages", lambda: 7, None):
        raise ZeroDivisionError
    count = len(said)
    time.sleep(0.05)
    assert len(said) == count


def test_steps_are_lines_without_a_terminal_and_the_last_one_always(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with TrainingDisplay() as show:
        for step, left in ((1, None), (2, 90.0), (3, 0.0)):
            show(StepEvent(step, 3, 1.0, None, 0.0, left))
    assert capsys.readouterr().err.splitlines() == [
        "  step 1/3, loss 1.00",
        "  step 3/3, loss 1.00, about 0 s left",
    ]


def test_at_a_terminal_a_bar_shows_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=100)
    monkeypatch.setattr(console, "stderr_console", terminal)
    monkeypatch.setattr(_training, "stderr_console", terminal)
    with TrainingDisplay() as show:
        show(StepEvent(2, 4, 1.5, None, 0.0, 90.0))
    assert "step 2/4, loss 1.50, about 90 s left" in screen.getvalue()


@pytest.mark.skipif(sys.platform == "win32", reason="scripts are .exe files there")
@pytest.mark.parametrize(
    ("typed", "on_path", "shown"),
    [
        (".venv/bin/chatexports", None, ".venv/bin/chatexports"),
        (".venv/bin/chatexports", "other", ".venv/bin/chatexports"),
        (".venv/bin/chatexports", ".venv/bin", "chatexports"),
        ("my venv/chatexports", None, "my venv/chatexports"),
        ("chatexports", None, "chatexports"),
        ("pytest/__main__.py", None, "chatexports"),
    ],
)
def test_what_to_type_next_begins_with_what_runs_in_this_shell(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    typed: str,
    on_path: str | None,
    shown: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in (".venv/bin", "other"):
        script = tmp_path / folder / "chatexports"
        script.parent.mkdir(parents=True)
        script.touch(0o700)
    monkeypatch.setenv("PATH", str(tmp_path / on_path) if on_path else "")
    monkeypatch.setattr(sys, "argv", [typed])
    assert program() == shown


LONG = f"{'x' * 70} \u5c71\u7530\u592a\u90ce and everybody else"


def test_a_long_line_of_a_table_ends_with_an_ellipsis_at_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of Chinese characters each takes two columns."""
    monkeypatch.setattr(console, "_terminal_width", lambda: 80)
    show_table(f"short\n{LONG}")
    first, second = capsys.readouterr().out.splitlines()
    assert first == "short"
    assert second == f"{'x' * 70} \u5c71\u7530\u592a\u90ce\u2026"


def test_in_a_file_nothing_of_a_table_is_shortened(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_table(LONG)
    assert capsys.readouterr().out == f"{LONG}\n"
