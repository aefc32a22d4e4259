"""What the events of a job say about its duration."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from langchain_chatexports.local_server.storage.data_directory import DataDirectory
from langchain_chatexports.local_server.storage.jobs import JobStore

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1, "1 second"),
        (29, "29 seconds"),
        (40, "1 minute"),
        (90, "2 minutes"),
        (3600, "1 hour"),
        (3660, "1 hour 1 minute"),
        (7500, "2 hours 5 minutes"),
    ],
)
def test_a_duration_has_singular_and_plural(seconds: float, text: str) -> None:
    from langchain_chatexports.local_server.training.progress import _duration

    assert _duration(seconds) == text


@pytest.mark.parametrize("has_validation", [False, True])
def test_the_end_of_an_epoch_is_saved_unless_a_validation_follows(
    tmp_path: Path, has_validation: bool
) -> None:
    """Otherwise a training with one step an epoch would have no save at all."""
    from langchain_chatexports.local_server.training import progress

    data = DataDirectory(tmp_path)
    data.prepare()
    jobs = JobStore(data)
    job_id = jobs.create({}, private={}, events=[])["id"]
    writer = progress.ProgressWriter(jobs, job_id, has_validation=has_validation)
    writer.is_stopping = True
    state: Any = SimpleNamespace(global_step=2, max_steps=5, epoch=2.0)
    control: Any = SimpleNamespace(should_save=False)
    writer.on_step_end(None, state, control)
    assert control.should_save is not has_validation
