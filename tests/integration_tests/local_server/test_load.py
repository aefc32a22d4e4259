"""All kinds of requests at once for some seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.server_load import Load

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.training
@pytest.mark.release
def test_chats_jobs_cancels_and_a_kill_at_once_lose_nothing(
    tiny_base: Path, tmp_path: Path
) -> None:
    load = Load(
        tiny_base,
        tmp_path / "data",
        seconds=10,
        chats=3,
        times_started=2,
        waiting_jobs=2,
    )
    load.run()
    assert not load.wrong
    assert load.counts["server killed"] == 1
    assert load.counts["jobs succeeded in the end"]
