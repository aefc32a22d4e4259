"""What the screens compute."""

from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from langchain_chatexports.local_server.storage.jobs import KeptJob
from langchain_chatexports.page import train
from langchain_chatexports.page.choose import _label
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.page.train import averaged, curve, mean_ends
from langchain_chatexports.workflows.bases import find_base


@pytest.mark.parametrize("is_here", [True, False])
def test_a_base_is_chosen_by_its_time_and_whether_it_is_here(is_here: bool) -> None:
    base = replace(find_base(), download_bytes=0 if is_here else 10**9)
    label = _label(base, 600)
    assert " · trains in about 10 min · " in label
    assert ("huggingface.co" in label) is not is_here


def test_a_curve_falls_with_the_loss_and_ends_at_the_right() -> None:
    points = [(1, 4.0), (2, 3.0), (4, 2.0)]
    assert curve(points, 4, 2.0, 4.0) == "25.00,2.00 50.00,50.00 100.00,98.00"
    assert curve([(1, 4.0)], 1, 4.0, 4.0) == "100.00,98.00"


def test_a_long_training_is_drawn_with_few_points_and_no_jumps() -> None:
    points = [(step, 3.0 + (-1) ** step) for step in range(1, 1001)]
    found = averaged(points)
    assert len(found) == 40
    assert found[-1][0] == 1000
    assert abs(found[-1][1] - 3) < 0.1
    assert averaged(points[:5]) == points[:5]


def _job(status: str, person: str | None, total: int | None) -> KeptJob:
    when = datetime(2026, 1, 1, tzinfo=timezone.utc)
    return KeptJob("ftjob-1", status, "Tiny", when, 7, total, 0, person=person)


@pytest.mark.parametrize(
    ("jobs", "is_ordered", "said"),
    [
        ([], False, ""),
        ([], True, "The training is being prepared."),
        ([_job("failed", "Hare", 72)], False, ""),
        (
            [_job("queued", "Tortoise", None), _job("running", "Hare", 72)],
            True,
            "Hare is still being trained: step 7 of 72.",
        ),
        ([_job("queued", None, None)], False, "Tiny is still being trained."),
    ],
)
def test_who_has_no_model_yet_reads_how_far_the_training_is(
    jobs: list[KeptJob],
    *,
    is_ordered: bool,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(PageSession, "jobs", lambda _: jobs)
    monkeypatch.setattr(PageSession, "is_preparing_training", is_ordered)
    with PageSession(None, tmp_path) as session:
        assert str(session.training or "") == said


def test_losses_are_means_of_the_first_and_last_steps() -> None:
    losses = [4.0, 3.0, 3.5, 2.5, 2.0, 2.2, 1.9, 2.1, 1.0, 3.0]
    assert mean_ends(list(enumerate(losses, 1))) == (3.5, 2.0)
    assert mean_ends([(1, 4.0), (2, 3.0)]) == (4.0, 3.0)


def test_a_training_that_waits_for_the_disk_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    event = "The disk with /data is full. Free some space, and the job continues"
    monkeypatch.setattr(train, "failure_of", lambda *_: event)
    session = cast("PageSession", SimpleNamespace(data_dir=None))
    job = _job("queued", "Hare", None)
    said = train.state_text(session, job, [job])
    assert said == "The disk is full: free some space, and the training continues."
