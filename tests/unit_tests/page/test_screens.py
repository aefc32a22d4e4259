"""Texts and charts of the screens."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from langchain_chatexports.local_server.storage.jobs import LocalJob
from langchain_chatexports.page import train
from langchain_chatexports.page.choose import _label
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.page.train import average_points, mean_ends, polyline_points
from langchain_chatexports.workflows.bases import find_base


@pytest.mark.parametrize("size", [0, 10**9])
def test_base_label_has_time_and_download(size: int) -> None:
    label = _label(replace(find_base(), download_bytes=size), 600)
    assert " · trains in about 10 min · " in label
    assert ("huggingface.co" in label) == bool(size)


def test_curve_fills_the_square() -> None:
    points = [(1, 4.0), (2, 3.0), (4, 2.0)]
    assert polyline_points(points, 4, 2.0, 4.0) == "25.00,2.00 50.00,50.00 100.00,98.00"
    assert polyline_points([(1, 4.0)], 1, 4.0, 4.0) == "100.00,98.00"


def test_long_training_is_averaged() -> None:
    points = [(step, 3.0 + (-1) ** step) for step in range(1, 1001)]
    averaged = average_points(points)
    assert len(averaged) == 40
    assert averaged[-1][0] == 1000
    assert abs(averaged[-1][1] - 3) < 0.1
    assert average_points(points[:5]) == points[:5]


def _job(status: str, person: str | None, total: int | None) -> LocalJob:
    when = datetime(2026, 1, 1, tzinfo=UTC)
    return LocalJob("ftjob-1", status, "Tiny", when, 7, total, 0, person=person)


@pytest.mark.parametrize(
    ("jobs", "is_preparing", "status"),
    [
        ([], False, ""),
        ([], True, "Preparing to train."),
        ([_job("failed", "Hare", 72)], False, ""),
        (
            [_job("queued", "Tortoise", None), _job("running", "Hare", 72)],
            True,
            "Training for Hare is running: step 7 of 72.",
        ),
        ([_job("queued", None, None)], False, "Training for Tiny is running."),
    ],
)
def test_status_shows_the_oldest_unfinished_job(
    jobs: list[LocalJob],
    *,
    is_preparing: bool,
    status: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(PageSession, "jobs", lambda _: jobs)
    monkeypatch.setattr(PageSession, "is_preparing_training", is_preparing)
    with PageSession(None, tmp_path) as session:
        assert str(session.training_status or "") == status


def test_losses_are_means_of_first_and_last_fifth() -> None:
    losses = [4.0, 3.0, 3.5, 2.5, 2.0, 2.2, 1.9, 2.1, 1.0, 3.0]
    assert mean_ends(list(enumerate(losses, 1))) == (3.5, 2.0)
    assert mean_ends([(1, 4.0), (2, 3.0)]) == (4.0, 3.0)


def test_full_disk_is_shown_for_queued_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    event = "The disk with /data is full. Free some space, and the job continues"
    monkeypatch.setattr(train, "get_failure_message", lambda *_: event)
    session = cast("PageSession", SimpleNamespace(data_dir=None))
    job = _job("queued", "Hare", None)
    shown = train.state_text(session, job, [job])
    assert shown == "The disk is full. Free some space, and training will continue."
