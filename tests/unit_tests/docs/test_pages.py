"""The code blocks of the documentation."""

import ast
import re
from pathlib import Path

import pytest

from tests.unit_tests.builders.pages import DOCS, read_page, run_page

PAGES = sorted(path.name for path in DOCS.glob("*.md"))
# What the marks of a block can be; another word is a block that nobody runs.
MARKS = {
    *("bash", "bash no-run", "bash train", "python", "python no-run", "python train"),
    *("python ray", "output", "text", "json", "yaml", "diff"),
}


# Other test modules run the other pages.
@pytest.mark.parametrize(
    "page",
    [
        "api/report.md",
        "discord.md",
        "evaluation.md",
        "examples.md",
        "facebook_messenger.md",
        "imessage.md",
        "index.md",
        "langchain.md",
        "personas.md",
        "privacy.md",
        "retrieval.md",
        "signal.md",
        "slack.md",
        "steps.md",
        "table.md",
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


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_python(page: str) -> None:
    for block in read_page(
        page, kinds=("python", "python train", "python ray", "python no-run")
    ):
        ast.parse(block.code)


def test_pictures_are_there_and_small() -> None:
    pictures = list((DOCS / "images").glob("*.webp"))
    assert pictures
    assert all(picture.stat().st_size < 150_000 for picture in pictures)
