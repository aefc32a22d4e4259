"""The command `chatexports`, as a person types it."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from langchain_chatexports import __version__
from langchain_chatexports.cli import _console as console
from langchain_chatexports.samples import write_imessage
from tests.unit_tests.cli.conftest import Command


def test_version_is_the_packages(chatexports: Command) -> None:
    for more in ((), ("models",)):
        assert chatexports("--version", *more).out.strip() == __version__


@pytest.mark.parametrize(
    "arguments",
    [
        ["prepare", "x", "-o", "y", "--size", "2", "--overlap", "2"],
        ["finetune", "x", "--model", "m"],
        ["chat", "--base-url", "http://127.0.0.1:1/v1"],
    ],
)
def test_options_that_do_not_fit_are_a_usage_error(
    chatexports: Command, tmp_path: Path, arguments: list[str]
) -> None:
    given: list[Any] = [*arguments]
    if given[1] == "x":
        given[1] = write_imessage(tmp_path / "chat.db")
        given += ["--ai", "Tortoise"]
    assert chatexports(*given).status == 2


@pytest.mark.parametrize(
    ("value", "said"),
    [("abc", "It must be a valid integer."), ("0", "It must be greater than")],
)
def test_a_number_that_is_none_is_said_without_a_librarys_words(
    chatexports: Command, value: str, said: str
) -> None:
    done = chatexports("finetune", "chat.db", "--limit", value)
    assert done.status == 2
    assert said in done.err
    assert "Input should be" not in done.err


def test_an_error_of_an_option_is_broken_between_words(
    chatexports: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=40, color_system=None)
    monkeypatch.setattr(console, "stderr_console", terminal)
    assert chatexports("search", "x", "--limit", "many").status == 2
    shown = screen.getvalue().splitlines()
    assert "It must be a valid integer." in " ".join(screen.getvalue().split())
    # A command stays whole, to be copied.
    assert max(len(line) for line in shown if "chatexports" not in line) <= 40


def test_without_arguments_there_is_help(chatexports: Command) -> None:
    done = chatexports()
    assert (done.status, "chatexports inspect PATH" in done.out) == (0, True)


def test_without_the_extra_the_command_says_which_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from langchain_chatexports import cli

    monkeypatch.setitem(sys.modules, "typer", None)
    monkeypatch.delitem(sys.modules, "langchain_chatexports.cli.app", raising=False)
    with pytest.raises(SystemExit, match=r"langchain-chatexports\[cli\]"):
        cli.main()


@pytest.mark.parametrize("command", ["inspect", "prepare", "finetune"])
def test_a_refusal_of_the_system_names_the_remedy(
    chatexports: Command, chats: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    real: Any = os.open

    def refuse(path: Any, *args: Any, **kwargs: Any) -> Any:
        if Path(path).name == "chat.db":
            raise PermissionError(1, "Operation not permitted", str(path))
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", refuse)
    arguments = ("--ai", "x", "-o", "o.jsonl") if command == "prepare" else ()
    done = chatexports(command, chats, *arguments)
    assert done.status == 1
    assert "Full Disk Access" in done.err
    assert "chat.db-wal" in done.err


def test_an_unknown_command_gets_the_one_that_is_meant(chatexports: Command) -> None:
    done = chatexports("preprae")
    assert (done.status, "'prepare'" in done.err) == (2, True)
