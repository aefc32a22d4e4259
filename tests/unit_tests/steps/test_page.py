"""The blocks of docs/steps.md do what the page says."""

from __future__ import annotations

from typing import Any

from tests.unit_tests.builders.pages import read_page


def test_blocks_print_what_the_page_says(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": __name__}
    blocks = read_page("steps.md")
    assert len(blocks) > 8
    for block in blocks:
        exec(compile(block.code, "docs/steps.md", "exec"), names)  # noqa: S102 - ours
        shown = capsys.readouterr().out
        assert shown == (block.output or ""), block.code
