"""The page of an evaluation, and its table."""

import os
import re
from html import unescape
from pathlib import Path

import pytest

from langchain_chatexports.evaluation import (
    Evaluation,
    EvaluationSettings,
    HeldOutData,
    write_evaluation_page,
)
from langchain_chatexports.evaluation.blind_test import BlindGuess, blind_result
from langchain_chatexports.evaluation.page import (
    build_table,
    render_evaluation_page,
    summarize_evaluation,
)
from tests.unit_tests.builders.voice_server import Voices, evaluate_voices, talks
from tests.unit_tests.builders.voices import DISTINCT

DATA = HeldOutData(talks(40, 1), talks(24, 2))


def run(conversations: int = 24) -> Evaluation:
    guesses = [BlindGuess(n < 23, n) for n in range(40)]
    return evaluate_voices(
        Voices(base=DISTINCT[1], tuned=DISTINCT[0]),
        HeldOutData(DATA.training, DATA.held_out[:conversations]),
        settings=EvaluationSettings(60, 24, rounds=20),
        blind=lambda _: blind_result(guesses),
    )


@pytest.fixture(scope="module")
def found() -> Evaluation:
    return run()


@pytest.fixture(scope="module")
def page(found: Evaluation) -> str:
    return render_evaluation_page(found)


def test_page_has_the_whole_table(found: Evaluation, page: str) -> None:
    rows = build_table(found, with_intervals=True)
    models = ("tuned model", "base with examples", "base model")
    assert rows[0] == ("", "the person", *models)
    for row in rows:
        for cell in row:
            assert cell in unescape(page)


def test_terminal_table_fits_80_columns(found: Evaluation) -> None:
    widths = [max(map(len, column)) for column in zip(*build_table(found), strict=True)]
    assert sum(widths) + 2 * len(widths) <= 80


def test_page_begins_with_headline(found: Evaluation, page: str) -> None:
    text = " ".join(summarize_evaluation(found))
    assert text.startswith(
        "23 of 40 correct (20 expected by chance): you could not tell"
    )
    assert re.search(
        r"reply in \d+ of 100 pairs \(50 would be chance\): it could", text
    )
    assert "more like the person than the base model with examples to imitate" in text
    assert not re.search(r"bits|loss|interval|\bp\b", text)
    visible = page.partition("<details>")[0].partition("<main>")[2]
    assert "23 of 40 correct" in visible
    assert not re.search(r"bits|loss|interval|<svg|<table", visible)


def test_page_has_charts_and_blind_test(page: str) -> None:
    assert page.count("<svg") == 2
    assert "Shortest third" in page


def test_missing_measure_is_explained() -> None:
    result = run(conversations=5)
    assert "The detector was not" in " ".join(summarize_evaluation(result))
    assert render_evaluation_page(result).count("<svg") == 1


def test_page_loads_nothing(page: str) -> None:
    assert "default-src 'none'" in page
    assert not re.search(r"<script|<link|https?://|@import|url\(", page)


def test_page_has_no_message(page: str) -> None:
    for dialogue in (*DATA.held_out, *DATA.training):
        for line in dialogue.lines:
            assert len(line.text) < 12 or line.text not in page


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX's")
def test_page_is_readable_by_owner_only(found: Evaluation, tmp_path: Path) -> None:
    path = tmp_path / "evaluation.html"
    write_evaluation_page(found, path)
    assert path.stat().st_mode & 0o777 == 0o600
