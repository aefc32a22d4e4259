"""Rows of every kind of file."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from langchain_chatexports.finetuning.writers.containers import RowFile, read_lines

if TYPE_CHECKING:
    from pathlib import Path

LINES = [b'{"messages":[]}\n', b'{"messages":[{"role":"user","content":"Hi"}]}\n']


@pytest.mark.parametrize("suffix", [".jsonl", ".json"])
def test_many_rows_are_rows_one_by_one(suffix: str, tmp_path: Path) -> None:
    with RowFile(tmp_path / "one", suffix) as one:
        for line in LINES * 2:
            one.write_line(line)
    with RowFile(tmp_path / "many", suffix) as many:
        for _ in range(2):
            many.write_lines(io.BytesIO(b"".join(LINES)), len(LINES))

    assert many.rows == one.rows == 4
    assert (tmp_path / "many").read_bytes() == (tmp_path / "one").read_bytes()
    assert len([*read_lines(tmp_path / "many", suffix)]) == 4
