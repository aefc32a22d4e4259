"""Rows of every kind of file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from langchain_chatexports.datasets.formats.containers import RowFile, read_lines

if TYPE_CHECKING:
    from pathlib import Path

LINES = [b'{"messages":[]}\n', b'{"messages":[{"role":"user","content":"Hi"}]}\n']


@pytest.mark.parametrize("suffix", [".jsonl", ".json"])
def test_rows_are_counted_and_read_again(suffix: str, tmp_path: Path) -> None:
    with RowFile(tmp_path / "rows", suffix) as rows:
        for line in LINES * 2:
            rows.write_line(line)

    assert rows.rows == 4
    again = read_lines(tmp_path / "rows", suffix)
    assert list(map(json.loads, again)) == list(map(json.loads, LINES * 2))
