"""The local server under attack: keys, hosts, paths, ids and bodies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fuzz.runner import fuzz

if TYPE_CHECKING:
    from pathlib import Path


def test_server_withstands_three_hundred_requests(tmp_path: Path) -> None:
    result = fuzz("server", seed=10, folder=tmp_path, seconds=300, cases=10, limit=60)
    assert (result.cases, result.finds) == (10, {})
