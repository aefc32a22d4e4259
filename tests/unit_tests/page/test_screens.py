"""Texts and charts of the screens."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from langchain_chatexports.local_server import (
    Base,
    Job,
    QueueState,
    Snapshot,
    State,
    Workspace,
    find_base,
)
from langchain_chatexports.page.choose import _label
from langchain_chatexports.page.errors import translate_job_error
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.page.train import (
    average_points,
    mean_ends,
    polyline_points,
    state_text,
)
from tests.unit_tests.builders.workspaces import add_job


@pytest.mark.parametrize("is_missing", [False, True])
def test_base_label_has_time_and_download(
    monkeypatch: pytest.MonkeyPatch, *, is_missing: bool
) -> None:
    monkeypatch.setattr(Base, "needs_download", lambda _: is_missing)
    label = _label(find_base(None), 600)
    assert " · trains in about 10 min · " in label
    assert ("huggingface.co" in label) == is_missing


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


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return add_job(Workspace(tmp_path / "jobs"))


def _change(job: Job, state: State, person: str | None, steps: int | None) -> Job:
    metadata = {} if person is None else {"langchain_chatexports_person": person}
    return replace(job, state=state, metadata=metadata, step=7, steps=steps)


def _snapshot(jobs: Sequence[Job], queue: QueueState = QueueState.RUNNING) -> Snapshot:
    return Snapshot(tuple(jobs), (), (), queue)


@pytest.mark.parametrize(
    ("jobs", "is_preparing", "status"),
    [
        ([], False, ""),
        ([], True, "Preparing to train."),
        ([(State.FAILED, "Hare", 72)], False, ""),
        (
            [(State.QUEUED, "Tortoise", None), (State.RUNNING, "Hare", 72)],
            True,
            "Training for Hare is running: step 7 of 72.",
        ),
        ([(State.QUEUED, None, None)], False, "Training for tiny is running."),
    ],
)
def test_status_shows_the_oldest_unfinished_job(
    jobs: list[tuple[State, str | None, int | None]],
    *,
    is_preparing: bool,
    status: str,
    job: Job,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    snapshot = _snapshot([_change(job, *change) for change in jobs])
    monkeypatch.setattr(PageSession, "snapshot", snapshot)
    monkeypatch.setattr(PageSession, "is_preparing_training", is_preparing)
    with PageSession(None, tmp_path / "data") as session:
        assert str(session.training_status or "") == status


def test_losses_are_means_of_first_and_last_fifth() -> None:
    losses = [4.0, 3.0, 3.5, 2.5, 2.0, 2.2, 1.9, 2.1, 1.0, 3.0]
    assert mean_ends(list(enumerate(losses, 1))) == (3.5, 2.0)
    assert mean_ends([(1, 4.0), (2, 3.0)]) == (4.0, 3.0)


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("disk_full", "The disk is full or almost full."),
        ("out_of_memory", "possibly because memory ran out"),
        ("trainer_ended", "possibly because memory ran out"),
        ("invalid_training_file", "Training failed."),
    ],
)
def test_failure_is_recognized_by_its_code(code: str, sentence: str) -> None:
    failure = translate_job_error({"code": code, "message": "the reason"})
    assert sentence in str(failure.message)
    assert failure.details == "the reason"


def test_job_waits_for_suspended_program(job: Job) -> None:
    snapshot = _snapshot([job], QueueState.SUSPENDED)
    session = cast("PageSession", SimpleNamespace(snapshot=snapshot))
    assert "another program that trains is suspended" in state_text(session, job)
