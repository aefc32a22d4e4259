"""The code of the pages that no other test module runs."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit_tests.builders.pages import DOCS, read_page

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("page", ["index.md", "migration.md", "privacy.md"])
def test_blocks_print_what_the_page_says(
    page: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = read_page(page)
    assert blocks
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks:
        exec(compile(block.code, page, "exec"), names)  # noqa: S102 - our own page
        printed = capsys.readouterr().out
        if block.output is not None:
            assert printed == block.output


@pytest.mark.parametrize("page", sorted(path.name for path in DOCS.glob("*.md")))
def test_every_block_is_python(page: str) -> None:
    for block in read_page(
        page, kinds=("python", "python train", "python ray", "python no-run")
    ):
        ast.parse(block.code)
