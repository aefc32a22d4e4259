"""Rows of every kind of file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from langchain_chatexports.datasets.formats.containers import RowFile, read_lines
from langchain_chatexports.exceptions import ExportFormatError

if TYPE_CHECKING:
    from pathlib import Path

LINES = [
    b'{"messages": []}\n',
    (
        '{"messages": [{"role": "user", "content": "a\\u0000b\\\\ \\n\u00e9", '
        '"name": null, "weight": 0}]}\n'
    ).encode(),
]


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_rows_are_counted_and_read_again(suffix: str, tmp_path: Path) -> None:
    pytest.importorskip("duckdb")
    folder = tmp_path / "it's [1] *" / "set"
    folder.mkdir(parents=True)
    with RowFile(folder / "rows", suffix) as rows:
        for line in LINES * 2:
            rows.write_line(line)

    assert rows.rows == 4
    again = read_lines(folder / "rows", suffix)
    assert list(again) == LINES * 2


def test_a_damaged_table_is_an_error_without_its_text(tmp_path: Path) -> None:
    pytest.importorskip("duckdb")
    (tmp_path / "rows.parquet").write_bytes(b"PAR1 secret PAR1")
    with pytest.raises(ExportFormatError, match="not a Parquet file") as raised:
        list(read_lines(tmp_path / "rows.parquet", ".parquet"))
    assert "secret" not in str(raised.value)
