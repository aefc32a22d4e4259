"""Progress, lines and tables, with and without a terminal."""

import io
import sys
from pathlib import Path

import pytest
from rich.console import Console

from langchain_chatexports.cli import _console as console
from langchain_chatexports.cli._console import (
    _progress_line,
    get_program,
    print_line,
    show_progress,
    show_table,
)
from langchain_chatexports.cli._training import TrainingDisplay
from langchain_chatexports.workflows.training_events import StepEvent


@pytest.mark.parametrize(
    ("done", "total", "seconds", "line"),
    [
        (250_000, 1_000_000, 10, "250,000 of 1,000,000 messages, about 30 s left"),
        # Too early for an estimate, and unknown totals.
        (10, 1000, 10, "10 of 1,000 messages"),
        (10, None, 10, "10 messages"),
        (10, 5, 10, "10 messages"),
    ],
)
def test_progress_line_has_count_and_time_left(
    done: int, total: int | None, seconds: int, line: str
) -> None:
    assert _progress_line("messages", done, total, seconds) == line


def test_commands_are_not_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_progress_bar_is_shown_and_removed(
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


def test_steps_are_lines_without_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with TrainingDisplay() as show:
        for step, left in ((1, None), (2, 90.0), (3, 0.0)):
            show(StepEvent(step, 3, 1.0, None, 0.0, left))
    assert capsys.readouterr().err.splitlines() == [
        "  step 1/3, loss 1.00",
        "  step 3/3, loss 1.00",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="scripts are .exe files there")
@pytest.mark.parametrize(
    ("script", "on_path", "name"),
    [
        (".venv/bin/chatexports", None, ".venv/bin/chatexports"),
        (".venv/bin/chatexports", "other", ".venv/bin/chatexports"),
        (".venv/bin/chatexports", ".venv/bin", "chatexports"),
        ("my venv/chatexports", None, "my venv/chatexports"),
        ("chatexports", None, "chatexports"),
        ("pytest/__main__.py", None, "chatexports"),
    ],
)
def test_program_is_a_path_if_not_on_path(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    on_path: str | None,
    name: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in (".venv/bin", "other"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "chatexports").touch(0o700)
    monkeypatch.setenv("PATH", str(tmp_path / on_path) if on_path else "")
    monkeypatch.setattr(sys, "argv", [script])
    assert get_program() == name


def test_table_is_truncated_at_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Chinese characters take two columns."""
    monkeypatch.setattr(console, "_terminal_width", lambda: 80)
    name = f"{'x' * 70} \u5c71\u7530\u592a\u90ce"
    show_table(f"short\n{name} and others")
    assert capsys.readouterr().out.splitlines() == ["short", f"{name}\u2026"]
