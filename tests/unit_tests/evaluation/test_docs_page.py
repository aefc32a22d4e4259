"""The page of the documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_chatexports.evaluation.measures import MEASURES
from tests.unit_tests.builders.pages import DOCS, read_page

if TYPE_CHECKING:
    import pytest


def test_blocks_print_what_the_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = read_page("evaluation.md")
    assert blocks
    for block in blocks:
        exec(compile(block.code, "evaluation.md", "exec"), {})  # noqa: S102 - our page
        assert capsys.readouterr().out == block.output


def test_every_measure_is_explained() -> None:
    text = (DOCS / "evaluation.md").read_text(encoding="utf-8")
    for measure in MEASURES:
        assert f"| {measure.name} |" in text
