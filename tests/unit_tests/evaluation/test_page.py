"""The page of an evaluation, and its table."""

import os
import re
from html import unescape
from pathlib import Path
from typing import cast

import pytest

from langchain_chatexports.evaluation import (
    Evaluation,
    EvaluationSettings,
    HeldOutData,
    ModelServer,
    WrongPerson,
    evaluate,
    write_evaluation_page,
)
from langchain_chatexports.evaluation.blind_test import BlindGuess, blind_result
from langchain_chatexports.evaluation.page import evaluation_page, headline, table
from tests.unit_tests.builders.voice_server import Voices, talks
from tests.unit_tests.builders.voices import DISTINCT

DATA = HeldOutData(talks(40, 1), talks(24, 2))


def evaluated(conversations: int = 24) -> Evaluation:
    server = Voices({"base": DISTINCT[1], "tuned": DISTINCT[0], "ben": DISTINCT[2]})
    guesses = [BlindGuess(n < 23, n) for n in range(40)]
    return evaluate(
        HeldOutData(DATA.training, DATA.held_out[:conversations]),
        cast("ModelServer", server),
        tuned="tuned",
        base="base",
        wrong_person=WrongPerson("ben"),
        settings=EvaluationSettings(60, 24, rounds=20),
        blind=lambda _: blind_result(guesses),
    )


@pytest.fixture(scope="module")
def found() -> Evaluation:
    return evaluated()


@pytest.fixture(scope="module")
def page(found: Evaluation) -> str:
    return evaluation_page(found)


def test_every_figure_stands_in_the_one_table(found: Evaluation, page: str) -> None:
    rows = table(found, with_intervals=True)
    assert rows[0] == (
        "",
        "the person",
        "tuned model",
        "base with examples",
        "base model",
        "another's model",
    )
    for row in rows:
        for cell in row:
            assert cell in unescape(page)


def test_the_table_of_the_terminal_is_narrow(found: Evaluation) -> None:
    widths = [max(map(len, column)) for column in zip(*table(found), strict=True)]
    assert sum(widths) + 2 * len(widths) <= 80


def test_the_result_begins_with_sentences_and_its_figures_are_folded(
    found: Evaluation, page: str
) -> None:
    said = headline(found)
    assert said.startswith("23 of 40 right, guessing gives 20: you could not tell the")
    assert re.search(r"own in \d+, guessing gives 50: it could", said)
    assert "more like the person than the base model with examples to imitate" in said
    assert "more like the person than another person's model" in said
    assert not re.search(r"bits|loss|interval|\bp\b", said)
    before = page.partition("<details>")[0].partition("<main>")[2]
    assert "23 of 40 right" in before
    assert not re.search(r"bits|loss|interval|<svg|<table", before)


def test_both_pictures_and_the_blind_test_are_on_the_page(page: str) -> None:
    assert page.count("<svg") == 2
    assert "23 of 40 right, guessing gives 20" in page
    assert "Shortest third" in page


def test_what_was_not_measured_says_why() -> None:
    result = evaluated(conversations=5)
    assert "The detector was not" in headline(result)
    assert evaluation_page(result).count("<svg") == 1


def test_it_loads_nothing_and_runs_nothing(page: str) -> None:
    assert "default-src 'none'" in page
    assert not re.search(r"<script|<link|https?://|@import|url\(", page)


def test_no_message_is_on_it(page: str) -> None:
    for dialogue in (*DATA.held_out, *DATA.training):
        for line in dialogue.lines:
            assert len(line.text) < 12 or line.text not in page


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX's")
def test_only_its_owner_can_read_it(found: Evaluation, tmp_path: Path) -> None:
    path = tmp_path / "evaluation.html"
    write_evaluation_page(found, path)
    assert path.stat().st_mode & 0o777 == 0o600
