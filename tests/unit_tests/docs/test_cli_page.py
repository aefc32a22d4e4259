"""The command line's page: its commands run, and its options are all there are.

The list of options is made here. After a change:
`python -m tests.unit_tests.docs.test_cli_page`.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from typer.core import TyperArgument, TyperGroup, TyperOption
from typer.main import get_command

from langchain_chatexports.cli.app import app
from tests.unit_tests.builders.pages import DOCS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


PAGE = DOCS / "cli.md"
FENCE = re.compile(r"^```(.*)\n((?:.*\n)*?)^```$", re.MULTILINE)
OPTIONS = re.compile(r"(<!-- options: .*? -->\n\n)(?s:.*)")
CHOSEN_BY_TYPER = {"--install-completion", "--show-completion", "--help"}


def read_commands() -> list[tuple[list[str], str | None]]:
    """Return the page's commands, and what it says that the last of a block prints."""
    fences = FENCE.findall(PAGE.read_text(encoding="utf-8"))
    commands: list[tuple[list[str], str | None]] = []
    for (info, code), (after, output) in zip(
        fences, [*fences[1:], ("", "")], strict=True
    ):
        if info == "bash":
            lines = [(shlex.split(line), None) for line in code.splitlines()]
            commands += lines
            if after == "output":
                commands[-1] = (commands[-1][0], output)
    return commands


def test_commands_run_and_print_what_the_page_says(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
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
            get_command(app).main(arguments, prog_name=program)
        printed = capsys.readouterr().out
        assert not ended.value.code, arguments
        if output is not None:
            assert output in printed


def options() -> str:
    """List commands and options as the program knows them."""
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    return "\n".join(
        part for name in group.commands for part in _options_of(name, group)
    )


def _options_of(name: str, group: TyperGroup) -> Iterator[str]:
    command = group.commands[name]
    yield f"### `chatexports {name}`\n"
    yield f"{(command.help or '').splitlines()[0]}\n"
    yield "| Option | |"
    yield "|---|---|"
    for parameter in command.params:
        assert isinstance(parameter, (TyperArgument, TyperOption))
        if parameter.hidden:
            continue
        if parameter.param_type_name == "argument":
            shown = (parameter.metavar or parameter.name).strip("{}")
        elif CHOSEN_BY_TYPER & set(parameter.opts):
            continue
        else:
            opts = [*parameter.opts, *parameter.secondary_opts]
            shown = ", ".join(sorted(opts, key=len))
        if parameter.metavar and parameter.param_type_name == "option":
            shown += f" {parameter.metavar}"
        default = parameter.default
        said = f" Default: {default}." if _is_worth_saying(default) else ""
        yield f"| `{_in_a_line(shown)}` | {_in_a_line(parameter.help)}{said} |"
    yield ""


def _is_worth_saying(default: object) -> bool:
    return isinstance(default, (str, int, float)) and not isinstance(default, bool)


def _in_a_line(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


def test_page_lists_the_options_that_there_are() -> None:
    assert PAGE.read_text(encoding="utf-8").endswith(f"-->\n\n{options()}"), (
        "run: python -m tests.unit_tests.docs.test_cli_page"
    )


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(
        OPTIONS.sub(lambda found: found[1] + options(), text), encoding="utf-8"
    )
