"""The rules on the labeled lines; benchmarks/redaction.py prints the whole table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.redaction import counts
from langchain_chatexports.redaction.redactor import Redactor
from tests.unit_tests.builders.private_lines import PEOPLE, labeled_lines

if TYPE_CHECKING:
    from collections import Counter


LINES = labeled_lines()


@pytest.fixture(scope="module")
def counted() -> Counter[str]:
    return counts(LINES, Redactor("key", PEOPLE).spans)


def test_there_are_500_lines_of_four_languages() -> None:
    assert len(LINES) >= 500
    assert {line.language for line in LINES} == {"en", "de", "es", "fr"}


def test_nearly_every_finding_is_right(counted: Counter[str]) -> None:
    assert counted["right"] / counted["findings"] > 0.98


def test_most_of_what_is_private_is_found(counted: Counter[str]) -> None:
    assert counted["all found"] / counted["all there"] > 0.9


@pytest.mark.parametrize(
    "kind", ["account", "address", "card", "code", "email", "link"]
)
def test_what_has_a_form_is_found(counted: Counter[str], kind: str) -> None:
    assert counted[f"{kind} found"] / counted[f"{kind} there"] > 0.95


def test_names_of_the_export_are_found() -> None:
    known = {"Dorothy", "Malcolm", "Tess", "Petersen", "Torben", "Wiebke", "Ramiro"}
    known |= {"Jimena", "Elvira", "Lacroix", "Bastien", "Solène"}
    lines = [line for line in LINES if not any(word in line.text for word in known)]
    counted = counts(lines, Redactor("key", PEOPLE).spans)
    assert counted["name found"] / counted["name there"] > 0.97
