"""The blocks of the pages on splitting, redaction and tables do what these say."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit_tests.builders.pages import read_page


@pytest.mark.parametrize(
    ("page", "at_least"), [("splitting.md", 7), ("redaction.md", 4), ("table.md", 4)]
)
def test_blocks_print_what_the_page_says(
    page, at_least, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": __name__}
    blocks = read_page(page)
    assert len(blocks) >= at_least
    for block in blocks:
        exec(compile(block.code, f"docs/{page}", "exec"), names)  # noqa: S102 - ours
        shown = capsys.readouterr().out
        assert shown == (block.output or ""), block.code
