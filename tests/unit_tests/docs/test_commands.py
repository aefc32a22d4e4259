"""Commands in the README and the pages exist, with their options.

test_cli_page.py runs the fast ones, and the integration tests run the others.
"""

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit_tests.builders.pages import DOCS

ROOT = DOCS.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
BLOCK = re.compile(r"^```(?:bash|console).*\n((?:.*\n)*?)^```$", re.MULTILINE)
# Commands within sentences.
INLINE = re.compile(r"`((?:make|python|pip|chatexports) [^`]*)`")
SCRIPT = re.compile(r"python (?:-m ([\w.]+)|([\w/]+\.py))")
# Programs of other projects, which are not checked.
OTHERS = {
    ".venv/bin/pre-commit",
    "cd",
    "export",
    "git",
    "jupyter",
    "llama-server",
    "ollama",
    "pip",
}


def split_commands(page: Path) -> Iterator[list[str]]:
    """Split the commands in code blocks into words, without prompts and comments."""
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            while words:
                end = words.index("&&") if "&&" in words else len(words)
                yield words[:end]
                words = words[end + 1 :]


ALL_COMMANDS = [(page.name, words) for page in PAGES for words in split_commands(page)]


def arguments_of(program: str) -> list[tuple[str, list[str]]]:
    return [(page, words[1:]) for page, words in ALL_COMMANDS if words[0] == program]


def test_commands_use_known_programs() -> None:
    programs = {words[0] for _, words in ALL_COMMANDS}
    assert programs - OTHERS == {"chatexports", "make", "python"}


@pytest.mark.parametrize(("page", "arguments"), arguments_of("chatexports"))
def test_each_command_parses_with_its_options(page: str, arguments: list[str]) -> None:
    pytest.importorskip("typer", reason="the command line needs the extra `cli`")
    from typer.core import TyperGroup
    from typer.main import get_command

    from langchain_chatexports.cli.app import create_app

    name, *rest = arguments
    group = get_command(create_app())
    assert isinstance(group, TyperGroup)
    command = group.commands[name]
    with command.make_context(name, rest):
        assert page


def test_named_extras_exist() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = set(settings["project"]["optional-dependencies"])
    named = {
        extra for page in PAGES for extra in extras_in(page.read_text(encoding="utf-8"))
    }
    assert named
    assert named <= extras


def extras_in(text: str) -> set[str]:
    found = re.findall(r"langchain-chatexports\[([^\]]*)\]", text)
    return {extra for names in found for extra in names.split(",")}


def test_named_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^(\w+):", makefile, re.MULTILINE))
    inline = {
        found.split()[1]
        for page in PAGES
        for found in INLINE.findall(page.read_text(encoding="utf-8"))
        if found.startswith("make ")
    }
    blocks = {words[0] for _, words in arguments_of("make")}
    assert {"demo", "test"} <= inline | blocks <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_scripts_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for module, path in SCRIPT.findall(text):
        if module.split(".")[0] in {"benchmarks", "langchain_chatexports", "tests"}:
            file = ROOT / module.replace(".", "/")
            assert file.with_suffix(".py").exists() or file.is_dir(), module
        if path.startswith(("benchmarks", "scripts")):
            assert (ROOT / path).exists(), path
