"""How far something is, at a terminal and without one, and how much there is."""

from __future__ import annotations

import io
import sys
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from langchain_chatexports.cli import _console as console
from langchain_chatexports.cli._console import (
    Meter,
    TrainingProgress,
    program,
    show_table,
    watching,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any


def meter(done: int, total: int | None = None, *, seconds: float = 10) -> Meter:
    return Meter("messages", lambda: done, total, started=time.monotonic() - seconds)


@pytest.fixture
def _time_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.monotonic", lambda: 1000.0)


def wait_until(is_so: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def growing() -> Meter:
    return Meter("messages", iter(range(1000)).__next__)


@pytest.mark.usefixtures("_time_stands_still")
def test_a_meter_says_count_rate_and_time_left() -> None:
    text = str(meter(250_000, 1_000_000))
    assert text == "250,000 of 1,000,000 messages, 25,000 a second, about 30 s left"


@pytest.mark.usefixtures("_time_stands_still")
def test_minutes_are_minutes() -> None:
    assert str(meter(10, 490)).endswith("about 8 min left")


@pytest.mark.usefixtures("_time_stands_still")
def test_what_takes_seconds_each_has_a_rate_a_minute() -> None:
    assert str(meter(2, 5)) == "2 of 5 messages, 12 a minute, about 15 s left"


@pytest.mark.usefixtures("_time_stands_still")
def test_the_time_left_is_not_guessed_from_nearly_nothing() -> None:
    assert str(meter(10, 1000)) == "10 of 1,000 messages, 1 a second"


@pytest.mark.usefixtures("_time_stands_still")
@pytest.mark.parametrize("total", [None, 5])
def test_an_end_that_nobody_knows_is_not_guessed(total: int | None) -> None:
    assert str(meter(10, total)) == "10 messages, 1 a second"


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("examples", "1 example"),
        ("messages read for names", "1 message read for names"),
    ],
)
def test_the_first_one_is_in_the_singular(what: str, text: str) -> None:
    assert str(Meter(what, lambda: 1)) == text


@pytest.mark.usefixtures("_time_stands_still")
def test_of_the_first_second_no_rate_is_shown() -> None:
    assert str(meter(1, 16, seconds=0.001)) == "1 of 16 messages"


def test_nothing_yet_is_no_division_by_zero() -> None:
    assert str(meter(0, 1000)).startswith("0 of 1,000 messages")


def test_what_is_made_stands_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(console, "say", said.append)
    monkeypatch.setattr(console, "_SECONDS_BETWEEN_LINES", 0.01)
    with watching(Meter("messages", lambda: 10, 20, lambda: "3 examples")):
        wait_until(lambda: any(line.endswith("3 examples") for line in said))
    assert all("10 of 20 messages" in line for line in said)


def test_lines_come_while_a_single_step_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(console, "say", said.append)
    monkeypatch.setattr(console, "_SECONDS_BETWEEN_LINES", 0.01)
    with watching(growing()):
        wait_until(lambda: len(said) > 1)
    count = len(said)
    time.sleep(0.05)
    assert len(said) == count


def test_a_line_is_not_said_again(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(console, "say", said.append)
    monkeypatch.setattr(console, "_SECONDS_BETWEEN_LINES", 0.01)
    with watching(meter(7)):
        wait_until(lambda: said)
        time.sleep(0.1)
    assert len(said) == 1


def test_lines_of_long_work_become_rare(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(console, "say", said.append)
    monkeypatch.setattr(console, "_SECONDS_BETWEEN_LINES", 0.01)
    monkeypatch.setattr(console, "_LONG_SECONDS", 0)
    monkeypatch.setattr(console, "_LATER", 1000)
    with watching(growing()):
        wait_until(lambda: said)
        time.sleep(0.1)
    assert len(said) == 1


def test_short_work_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with watching(growing()):
        pass
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("total", [None, 20])
def test_a_terminal_gets_a_bar_that_goes_away(
    monkeypatch: pytest.MonkeyPatch, total: int | None
) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=100)
    monkeypatch.setattr(console, "stderr_console", terminal)
    with watching(meter(10, total)):
        pass
    shown = screen.getvalue()
    assert "10 of 20 messages" in shown if total else "10 messages" in shown
    assert "\x1b[2K" in shown


def test_an_error_ends_the_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(console, "say", said.append)
    monkeypatch.setattr(console, "_SECONDS_BETWEEN_LINES", 0.01)
    with pytest.raises(ZeroDivisionError), watching(meter(7)):
        raise ZeroDivisionError
    count = len(said)
    time.sleep(0.05)
    assert len(said) == count


def _step(step: int, total: int = 200, **more: Any) -> Any:
    data = {"step": step, "total_steps": total, "train_loss": 1.0}
    event = {"id": f"event-{step}", "type": "metrics", "message": "", "data": data}
    return SimpleNamespace(**{**event, **more})


def test_the_time_left_of_a_resumed_training_is_that_of_its_own_steps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    progress = TrainingProgress()
    for step in (101, 102, 103):
        progress.on_event(_step(step))
        now[0] += 10
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "  step 103/200, loss 1.00, about 16 min left"


def test_what_comes_after_a_training_is_in_the_time_left_in_all(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    # As much again as the training takes.
    progress = TrainingProgress(lambda each, steps: each * steps)
    for step in (1, 2):
        progress.on_event(_step(step, 62))
        now[0] += 10
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.endswith(", about 10 min left, about 20 min left in all")


def test_events_that_were_told_before_are_not_told_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    progress = TrainingProgress()
    progress.told.add("event-1")
    progress.on_event(_step(1))
    progress.on_event(_step(2))
    assert capsys.readouterr().err == "  step 2/200, loss 1.00\n"


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
