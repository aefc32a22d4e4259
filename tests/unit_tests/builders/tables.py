"""Tables of support conversations, as JSON Lines, CSV and Parquet."""

import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

START = 1_700_000_000


def conversation_rows(name: str, length: int = 4) -> list[dict[str, Any]]:
    """Return rows of a customer and an agent, one minute apart."""
    return [
        {
            "conversation_id": name,
            "sender": ("Cleo", "Agent 7")[number % 2],
            "role": ("customer", "agent")[number % 2],
            "time": START + 60 * number,
            "text": f"Sentence {number} of the case {name}.",
            "message_id": f"{name}-{number}",
        }
        for number in range(length)
    ]


def interleaved(*conversations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return all rows sorted by time, as in a log."""
    return sorted(
        (row for rows in conversations for row in rows), key=lambda r: r["time"]
    )


def write_lines(path: Path, rows: Iterable[dict[str, Any] | str]) -> Path:
    """Write JSON Lines; strings are written unchanged."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)
        for row in rows
    ]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def write_csv(
    path: Path,
    rows: list[dict[str, Any]],
    *,
    delimiter: str = ",",
    encoding: str = "utf-8",
) -> Path:
    """Write CSV, with the keys of the first row as the header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    path.write_bytes(text.getvalue().encode(encoding))
    return path


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write Parquet in small row groups; without the extra, skip the test."""
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")

    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.Table.from_pylist(rows), path, row_group_size=50)
    return path
