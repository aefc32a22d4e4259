"""The blocks of docs/steps.md do what the page says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.unit_tests.builders.pages import read_page

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_blocks_print_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": __name__}
    blocks = read_page("steps.md")
    assert len(blocks) > 8
    for block in blocks:
        exec(compile(block.code, "docs/steps.md", "exec"), names)  # noqa: S102 - ours
        shown = capsys.readouterr().out
        assert shown == (block.output or ""), block.code
