"""The code of the pages that no other test module runs."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest
from langchain_core.chat_loaders import BaseChatLoader

import langchain_chatexports
from tests.unit_tests.builders.pages import DOCS, read_page, run_page

if TYPE_CHECKING:
    from pathlib import Path

LOADERS = ("IMessageChatLoader", "FolderFacebookMessengerChatLoader")
PAGES = sorted(path.name for path in DOCS.glob("*.md"))
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
    assert run_page(page, capsys)


@pytest.mark.parametrize("page", PAGES)
def test_marks_of_every_block_are_known(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    fences = re.findall(r"^ *```(.*)$", text, re.MULTILINE)
    assert {mark for mark in fences if mark} <= MARKS


OWN_EXPORTS = [("imessage.md", 4), ("facebook_messenger.md", 4)]
# What the pages' readers have at these places.
PLACES = (
    "Library/Messages/chat.db",
    "Documents/messages/chat.db",
    "Backup/00008030-001A2B3C4D5E6F70/Manifest.db",
    "chat.db",
    "contacts.vcf",
)


@pytest.mark.parametrize(("page", "count"), OWN_EXPORTS)
def test_loaders_of_ones_own_exports_are_made_as_the_page_says(
    page: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loader opens nothing before it loads, so empty files will do."""
    for name in PLACES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    (block,) = read_page(page, kinds=("python no-run",))
    calls = ast.parse(block.code).body
    assert len(calls) == count
    names = {name: getattr(langchain_chatexports, name) for name in LOADERS}
    for call in calls:
        assert isinstance(call, ast.Expr)
        made = eval(compile(ast.Expression(call.value), page, "eval"), names)  # noqa: S307 - our own page
        assert isinstance(made, BaseChatLoader)


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_python(page: str) -> None:
    for block in read_page(
        page, kinds=("python", "python train", "python ray", "python no-run")
    ):
        ast.parse(block.code)
