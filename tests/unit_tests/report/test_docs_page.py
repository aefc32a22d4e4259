"""The report's page in the documentation prints what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.unit_tests.builders.pages import DOCS, read_page

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_its_blocks_print_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (block,) = read_page("report.md")
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(block.code, "report.md", "exec"), names)  # noqa: S102 - our own page
    assert capsys.readouterr().out == block.output
    assert (tmp_path / "report.html").exists()


def test_its_pictures_are_there_and_small() -> None:
    pictures = list((DOCS / "images").glob("*.webp"))
    assert pictures
    assert all(picture.stat().st_size < 150_000 for picture in pictures)
