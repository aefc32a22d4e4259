"""How far something is, at a terminal and without one, and how much there is."""

import io
import sys
from pathlib import Path

import pytest
from rich.console import Console

from langchain_chatexports.cli import _console as console
from langchain_chatexports.cli._console import (
    _progress_line,
    print_line,
    program,
    show_progress,
    show_table,
)
from langchain_chatexports.cli._training import TrainingDisplay
from langchain_chatexports.workflows.training_events import StepEvent


@pytest.mark.parametrize(
    ("done", "total", "seconds", "said"),
    [
        (250_000, 1_000_000, 10, "250,000 of 1,000,000 messages, about 30 s left"),
        # Nearly nothing, and ends that nobody knows.
        (10, 1000, 10, "10 of 1,000 messages"),
        (10, None, 10, "10 messages"),
        (10, 5, 10, "10 messages"),
    ],
)
def test_progress_says_count_and_time_left(
    done: int, total: int | None, seconds: float, said: str
) -> None:
    assert _progress_line("messages", done, total, seconds) == said


def test_a_terminal_breaks_lines_between_words_and_no_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=40, color_system=None)
    monkeypatch.setattr(console, "stderr_console", terminal)
    path = "a_folder_with_a_name/of_many_letters"
    print_line(f"This path is not broken in its middle: {path}")
    command = f"chatexports prepare {path} --ai 'Jonas'"
    print_line(f"Next: {command}")
    shown = screen.getvalue().splitlines()
    assert path in shown
    assert shown[-2:] == ["Next: ", f"  {command}"]


@pytest.mark.parametrize("total", [None, 20])
def test_a_terminal_gets_a_bar_that_goes_away(
    monkeypatch: pytest.MonkeyPatch, total: int | None
) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=100)
    monkeypatch.setattr(console, "stderr_console", terminal)
    with show_progress("messages", lambda: 10, total):
        pass
    shown = screen.getvalue()
    assert "10 of 20 messages" in shown if total else "10 messages" in shown
    assert "\x1b[2K" in shown


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
