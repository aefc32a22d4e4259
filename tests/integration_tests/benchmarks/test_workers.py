"""Several processes write the examples of one; benchmarks/workers.py says how fast."""

from __future__ import annotations

import sys
from itertools import islice
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows does not say what a process took."
)


def test_the_table_has_a_row_for_each_number_of_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks import workers

    all_kinds = workers.exports
    monkeypatch.setattr(workers, "_CONVERSATIONS", 20)
    monkeypatch.setattr(workers, "exports", lambda *given: islice(all_kinds(*given), 1))
    options = ["--messages", "2000", "--rounds", "1"]
    monkeypatch.setattr(sys, "argv", ["workers", str(tmp_path), *options])
    workers.main()

    table = capsys.readouterr().out
    assert [table.count(f"| {number} |") for number in (1, 2)] == [1, 1]
