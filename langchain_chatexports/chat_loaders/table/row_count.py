"""The number of rows of a table, without reading their columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_chatexports._regular_files import open_regular_file

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["count_rows"]

_BLOCK = 1 << 22
_PARQUET = b"PAR1"


def count_rows(path: Path) -> int:
    """Return the rows of a Parquet file, or the lines of another one."""
    with open_regular_file(path) as file:
        if file.read(len(_PARQUET)) == _PARQUET:
            from pyarrow.parquet import ParquetFile

            file.seek(0)
            with ParquetFile(file) as table:
                return int(table.metadata.num_rows)
        file.seek(0)
        return sum(block.count(b"\n") for block in iter(lambda: file.read(_BLOCK), b""))
