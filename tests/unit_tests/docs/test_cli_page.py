"""The commands on the command-line page run and print the documented output."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from langchain_chatexports.cli.app import create_app
from tests.unit_tests.builders.pages import read_page


def read_commands() -> list[tuple[list[str], str | None]]:
    """Return the page's commands; the last of a block has the block's output."""
    commands: list[tuple[list[str], str | None]] = []
    for block in read_page("cli.md", kinds=("bash",)):
        commands += [(shlex.split(line), None) for line in block.code.splitlines()]
        commands[-1] = (commands[-1][0], block.output)
    return commands


def test_commands_print_the_documented_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    commands = read_commands()
    assert len(commands) >= 6
    for (program, *arguments), output in commands:
        if program == "python":
            subprocess.run([sys.executable, *arguments], check=True)  # noqa: S603 - ours
            continue
        assert program == "chatexports"
        with pytest.raises(SystemExit) as ended:
            get_command(create_app()).main(arguments, prog_name=program)
        printed = capsys.readouterr().out
        assert not ended.value.code, arguments
        if output is not None:
            assert output in printed
