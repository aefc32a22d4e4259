"""`--help`, at usual widths of terminals."""

import shlex
from collections.abc import Callable
from typing import Any

import pytest
from typer.main import get_command

from langchain_chatexports.cli._help import FIRST_STEPS
from langchain_chatexports.cli.app import create_app
from tests.unit_tests.cli.conftest import Run

COMMANDS: dict[str, Any] = dict(getattr(get_command(create_app()), "commands", {}))


@pytest.fixture
def get_help(run: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    def read(*arguments: str, width: int = 80, option: str = "--help") -> str:
        monkeypatch.setenv("COLUMNS", str(width))
        done = run(*arguments, option)
        assert done.status == 0
        return str(done.out)

    return read


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("width", [80, 200])
def test_help_fits_the_terminal(
    get_help: Callable[..., str], name: str, width: int
) -> None:
    text = get_help(name, width=width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_help(name: str) -> None:
    for parameter in COMMANDS[name].params:
        assert parameter.help, parameter.name


@pytest.mark.parametrize("name", COMMANDS)
def test_help_examples_are_valid(name: str) -> None:
    group = get_command(create_app())
    mark, title, *lines = COMMANDS[name].epilog.split("\n")
    assert (mark, title) == ("\b", "For example:")
    assert lines
    for line in map(str.strip, lines):
        assert len(line) < 78
        arguments = shlex.split(line.split("|")[-1])
        assert arguments[:2] == ["chatexports", name]
        with group.make_context("chatexports", arguments[1:]) as context:
            arguments = arguments[2:]
            COMMANDS[name].make_context(name, arguments, parent=context).close()


def test_main_help_has_first_steps_and_statuses(get_help: Callable[..., str]) -> None:
    text = get_help()
    assert "chatexports inspect PATH" in text
    for status in (0, 1, 2, 130, 141, 143):
        assert f"{status} " in FIRST_STEPS.split("Exit status:")[1]
