"""The page of an evaluation."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

import pytest

from langchain_chatexports.evaluation import (
    Evaluation,
    EvaluationSettings,
    HeldOutData,
    blind_result,
    evaluate,
    evaluation_page,
    write_evaluation_page,
)
from langchain_chatexports.evaluation.page import headline
from langchain_chatexports.evaluation.results import Secrets
from tests.unit_tests.builders.voice_server import Voices, talks
from tests.unit_tests.builders.voices import DISTINCT

if TYPE_CHECKING:
    from pathlib import Path

    from langchain_chatexports.evaluation.asking import ModelServer

SECRETS = Secrets(
    repeats=4,
    canaries=2,
    samples=40,
    sampled_hits=9,
    partial_hits=9,
    greedy_hits=2,
    hit_upper_bound=1.0,
    exposure_bits=[8.0, 7.0],
    exposure_max=8.0,
    z=[-5.5, -5.0],
    base_exposure_bits=[1.0, 2.0],
)


@pytest.fixture(scope="module")
def data() -> HeldOutData:
    names = frozenset({"mia", "oskar", "rita", "yun"})
    return HeldOutData(talks(60, 1), talks(30, 2), names=names, person="mia")


@pytest.fixture(scope="module")
def found(data: HeldOutData) -> Evaluation:
    server = Voices({"base": DISTINCT[1], "tuned": DISTINCT[0]})
    return evaluate(
        data,
        cast("ModelServer", server),
        tuned="tuned",
        base="base",
        settings=EvaluationSettings(turns=90, rounds=30, loss_rounds=30),
        secrets=[SECRETS],
        blind=lambda _: blind_result(23, 40),
    )


@pytest.fixture(scope="module")
def page(found: Evaluation) -> str:
    return evaluation_page(found)


def test_the_page_loads_nothing(page: str) -> None:
    assert page.startswith("<!doctype html>")
    assert "<script" not in page
    assert not re.search(r"(src|href)=\"(?!#)", page)
    assert "<svg" in page


def test_no_text_of_a_message_and_no_name_is_on_it(
    page: str, data: HeldOutData
) -> None:
    for name in data.names or ():
        assert not re.search(rf"\b{name}\b", page.lower())
    for conversation in (*data.training, *data.held_out):
        for line in conversation.lines:
            assert len(line.text) < 12 or line.text not in page


def test_its_figures_are_the_findings(page: str, found: Evaluation) -> None:
    for each in found.summary or ():
        if each.median_score is not None and each.interval is not None:
            low, high = each.interval
            assert f"{each.median_score:.2f} [{low:.2f}, {high:.2f}]" in page
    for loss in found.loss:
        assert f"{loss.bits_per_byte:.2f} [" in page
    assert "23 of 40" in page
    assert "9 of 40" in page


def test_every_measure_is_named_and_explained(page: str, found: Evaluation) -> None:
    for measure in found.measures or ():
        assert measure.meaning in page


def test_the_same_findings_give_the_same_page(page: str, found: Evaluation) -> None:
    assert evaluation_page(found) == page


def test_what_was_not_measured_is_said_with_its_reason(data: HeldOutData) -> None:
    few = HeldOutData(data.training, data.held_out[:5])
    server = Voices({"tuned": DISTINCT[0]})
    server.scores = False
    found = evaluate(
        few,
        cast("ModelServer", server),
        tuned="tuned",
        settings=EvaluationSettings(rounds=9, loss_rounds=9),
    )
    page = evaluation_page(found)
    assert "20 held-out conversations" in page
    assert "this endpoint cannot score given text" in page
    assert "the examples do not say who takes part" in page
    assert "no test run was asked for" in page


def test_names_of_models_are_escaped(found: Evaluation) -> None:
    odd = [each.model_copy(update={"model": "<b>&evil"}) for each in found.contestants]
    page = evaluation_page(found.model_copy(update={"contestants": odd}))
    assert "<b>&evil" not in page
    assert "&lt;b&gt;&amp;evil" in page


def test_the_headline_says_both_primary_results(found: Evaluation) -> None:
    text = headline(found)
    assert "style scores" in text
    assert "bits per byte" in text


def test_the_file_is_written_whole(found: Evaluation, tmp_path: Path) -> None:
    write_evaluation_page(found, tmp_path / "evaluation.html")
    written = (tmp_path / "evaluation.html").read_text(encoding="utf-8")
    assert written == evaluation_page(found)
