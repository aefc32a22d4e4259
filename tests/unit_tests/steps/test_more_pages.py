"""The blocks of the pages on splitting, redaction and tables do what these say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.unit_tests.builders.pages import read_page

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("page", "at_least"), [("splitting.md", 7), ("redaction.md", 4), ("table.md", 4)]
)
def test_blocks_print_what_the_page_says(
    page: str,
    at_least: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": __name__}
    blocks = read_page(page)
    assert len(blocks) >= at_least
    for block in blocks:
        exec(compile(block.code, f"docs/{page}", "exec"), names)  # noqa: S102 - ours
        shown = capsys.readouterr().out
        assert shown == (block.output or ""), block.code
