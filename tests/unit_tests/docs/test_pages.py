"""The code of the pages that no other test module runs."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit_tests.builders.pages import DOCS, read_page

if TYPE_CHECKING:
    from collections.abc import Iterator

LOADERS = ("IMessageChatLoader", "FolderFacebookMessengerChatLoader")
PAGES = sorted(path.name for path in DOCS.glob("*.md"))
TESTS = Path(__file__).parents[2]
# What the marks of a block can be; another word is a block that nobody runs.
MARKS = {
    *("bash", "bash no-run", "bash train", "python", "python no-run", "python train"),
    *("python ray", "output", "text", "json", "yaml", "diff"),
}


@pytest.mark.parametrize(
    "page",
    [
        "discord.md",
        "index.md",
        "langchain.md",
        "personas.md",
        "retrieval.md",
        "signal.md",
        "slack.md",
        "telegram.md",
        "whatsapp.md",
    ],
)
def test_blocks_print_what_the_page_says(
    page: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = read_page(page)
    assert blocks
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks:
        exec(compile(block.code, page, "exec"), names)  # noqa: S102 - our own page
        printed = capsys.readouterr().out
        if block.output is not None:
            assert printed == block.output


@pytest.mark.parametrize("page", PAGES)
def test_marks_of_every_block_are_known(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    fences = re.findall(r"^ *```(.*)$", text, re.MULTILINE)
    assert {mark for mark in fences if mark} <= MARKS


def test_every_page_with_python_is_named_by_a_test_that_runs_it() -> None:
    with_python = {
        page
        for page in PAGES
        if read_page(page, kinds=("python", "python train", "python ray"))
    }
    named = {
        text
        for path in TESTS.rglob("*.py")
        for text in strings_of(path)
        if text.endswith(".md")
    }
    assert with_python
    assert not with_python - {text.rpartition("/")[2] for text in named}


def strings_of(path: Path) -> Iterator[str]:
    """Yield the literals of a module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_python(page: str) -> None:
    for block in read_page(
        page, kinds=("python", "python train", "python ray", "python no-run")
    ):
        ast.parse(block.code)
