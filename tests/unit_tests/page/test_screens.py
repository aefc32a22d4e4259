"""What the screens compute."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

import pytest

from langchain_chatexports.local_server.storage.jobs import KeptJob
from langchain_chatexports.page.choose import _label, masked
from langchain_chatexports.page.session import training_in_words
from langchain_chatexports.page.train import (
    curve,
    losses_in_words,
    smoothed,
)
from langchain_chatexports.workflows.bases import find_base
from langchain_chatexports.workflows.train import job_in_words


def test_a_masked_text_has_no_letter_of_it() -> None:
    assert masked("Hi, ¡🐢!\nありがと") == "••• •••\n••••"


@pytest.mark.parametrize("is_here", [True, False])
def test_a_base_is_chosen_by_its_time_and_whether_it_is_here(is_here: bool) -> None:
    base = replace(find_base(), download_bytes=0 if is_here else 10**9)
    label = _label(base, 600)
    assert ", trains in about 10 min, " in label
    assert ("downloads" in label) is not is_here


def test_a_curve_falls_with_the_loss_and_ends_at_the_right() -> None:
    assert curve([(1, 4.0), (2, 3.0), (4, 2.0)], 4, 2.0, 4.0) == (
        "25.00,2.00 50.00,50.00 100.00,98.00 100.00,98.00"
    )
    assert curve([(1, 4.0)], 1, 4.0, 4.0) == "100.00,98.00 100.00,98.00"


def test_a_long_training_is_drawn_with_few_points() -> None:
    points = [(step, 1.0) for step in range(1, 100_001)]
    assert len(curve(points, 100_000, 1.0, 1.0).split()) <= 502


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        ([3.78], "3.8 so far"),
        ([4.0, 3.0], "4.0 at first and 3.0 last"),
        ([4.2] * 10 + [1.0, 9.0] + [2.7] * 10, "4.2 at first and 2.7 last on average"),
        ([3.8, *[4.2] * 30, *[2.7] * 30, 4.0], "4.2 at first and 2.8 last on average"),
    ],
)
def test_losses_are_said_as_means_of_the_first_and_last_steps(
    losses: list[float], said: str
) -> None:
    assert losses_in_words(list(enumerate(losses, 1))) == said


def test_a_smoothed_curve_has_every_step_and_no_jumps() -> None:
    points = [(step, 3.0 + (-1) ** step) for step in range(1, 61)]
    found = smoothed(points)
    assert [step for step, _ in found] == [step for step, _ in points]
    assert max(loss for _, loss in found) < 3.3
    assert smoothed(points[:5]) == points[:5]


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
    jobs: list[KeptJob], *, is_ordered: bool, said: str
) -> None:
    assert training_in_words(jobs, is_ordered=is_ordered) == said


@pytest.mark.parametrize(
    ("job", "said"),
    [
        (_job("running", None, None), "Trains, at step 7"),
        (_job("stopped", None, 72), "Stopped at step 7 of 72"),
        (replace(_job("running", None, None), step=0), "Begins"),
        (_job("succeeded", None, 72), "Done; its model was deleted"),
    ],
)
def test_a_trainings_state_is_said_in_words(job: KeptJob, said: str) -> None:
    assert job_in_words(job) == said
