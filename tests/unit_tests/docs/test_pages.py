"""The code blocks of the documentation."""

import ast
import re
from pathlib import Path

import pytest

from tests.unit_tests.builders.pages import DOCS, read_page, run_page

PAGES = sorted(path.name for path in DOCS.glob("*.md"))
# No test runs a code block with another info string.
INFO_STRINGS = {
    *("bash", "bash no-run", "bash train", "python", "python no-run", "python train"),
    "python no-types",
    *("python ray", "output", "text", "json", "yaml", "diff"),
}


# Other test modules run the other pages.
@pytest.mark.parametrize(
    "page",
    [
        "api/report.md",
        "chatlab.md",
        "discord.md",
        "evaluation.md",
        "examples.md",
        "facebook_messenger.md",
        "imessage.md",
        "index.md",
        "kakaotalk.md",
        "langchain.md",
        "line.md",
        "mail.md",
        "personas.md",
        "privacy.md",
        "retrieval.md",
        "signal.md",
        "skype.md",
        "slack.md",
        "sms.md",
        "steps.md",
        "table.md",
        "telegram.md",
        "whatsapp.md",
    ],
)
def test_code_blocks_print_the_documented_output(
    page: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_page(page, capsys)


@pytest.mark.parametrize("page", PAGES)
def test_info_strings_are_known(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    fences = re.findall(r"^ *```(.*)$", text, re.MULTILINE)
    assert {info for info in fences if info} <= INFO_STRINGS


@pytest.mark.parametrize("page", PAGES)
def test_python_blocks_parse(page: str) -> None:
    for block in read_page(
        page,
        kinds=(
            "python",
            "python train",
            "python ray",
            "python no-run",
            "python no-types",
        ),
    ):
        ast.parse(block.code)


def test_images_are_small() -> None:
    images = list((DOCS / "images").glob("*.webp"))
    assert images
    assert all(image.stat().st_size < 150_000 for image in images)
