"""The blocks of docs/examples.md do what the page says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.unit_tests.builders.pages import read_page

if TYPE_CHECKING:
    from pathlib import Path


def test_blocks_print_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("datasets")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": __name__}
    blocks = read_page("examples.md")
    assert len(blocks) > 8
    for block in blocks:
        exec(compile(block.code, "docs/examples.md", "exec"), names)  # noqa: S102 - ours
        shown = capsys.readouterr().out
        assert shown == (block.output or ""), block.code
