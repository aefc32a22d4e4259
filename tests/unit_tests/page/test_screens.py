"""What the screens compute."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

import pytest

from langchain_chatexports.local_server.storage.jobs import KeptJob
from langchain_chatexports.page.choose import _label, masked
from langchain_chatexports.page.manage import source_in_words
from langchain_chatexports.page.session import training_text
from langchain_chatexports.page.train import (
    curve,
    mean_losses,
    smoothed,
)
from langchain_chatexports.workflows.bases import find_base


def test_a_masked_text_has_no_letter_of_it() -> None:
    assert masked("Hi, ¡🐢!\nありがと") == "••• •••\n••••"


@pytest.mark.parametrize("is_here", [True, False])
def test_a_base_is_chosen_by_its_time_and_whether_it_is_here(is_here: bool) -> None:
    base = replace(find_base(), download_bytes=0 if is_here else 10**9)
    label = _label(base, 600)
    assert " · trains in about 10 min · " in label
    assert ("huggingface.co" in label) is not is_here


def test_a_curve_falls_with_the_loss_and_ends_at_the_right() -> None:
    assert curve([(1, 4.0), (2, 3.0), (4, 2.0)], 4, 2.0, 4.0) == (
        "25.00,2.00 50.00,50.00 100.00,98.00 100.00,98.00"
    )
    assert curve([(1, 4.0)], 1, 4.0, 4.0) == "100.00,98.00 100.00,98.00"


def test_a_long_training_is_drawn_with_few_points() -> None:
    points = [(step, 1.0) for step in range(1, 100_001)]
    assert len(curve(points, 100_000, 1.0, 1.0).split()) <= 502


@pytest.mark.parametrize(
    ("losses", "ends"),
    [
        ([3.5], (3.5, 3.5)),
        ([4.0, 3.0], (4.0, 3.0)),
        ([4.0] * 10 + [1.0, 9.0] + [2.5] * 10, (4.0, 2.5)),
    ],
)
def test_losses_are_means_of_the_first_and_last_steps(
    losses: list[float], ends: tuple[float, float]
) -> None:
    assert mean_losses(list(enumerate(losses, 1))) == ends


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
    assert str(training_text(jobs, is_ordered=is_ordered) or "") == said


def test_platforms_have_the_names_that_people_know() -> None:
    assert (
        source_in_words("imessage chat.db, facebook_messenger my imessage a.zip")
        == "iMessage chat.db, Messenger my imessage a.zip"
    )
    chat = "WhatsApp Chat - Mum.zip"
    assert source_in_words(f"whatsapp {chat}") == chat
    assert source_in_words("examples.jsonl") == "examples.jsonl"
