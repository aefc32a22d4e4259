"""What is found of known private places; benchmarks/redaction.py prints the tables."""

from collections import Counter

import pytest

from benchmarks.hard_cases import hard_cases
from benchmarks.private_lines import PEOPLE, labeled_lines
from benchmarks.redaction import changed_harmless_lines, count_hard_cases, counts
from langchain_chatexports.redaction.redactor import Redactor

LINES = labeled_lines()
# Those that no rule can find, or none without finding what is harmless.
_MISSED = {
    "phone, Brazil": 1,
    "phone, Norway": 1,
    "name, other spelling": 1,
    "key of a service": 1,
    "handle in a link": 1,
    "email": 1,
    "code": 1,
    "password": 1,
}


@pytest.mark.parametrize("kind", sorted({case.kind for case in hard_cases()}))
def test_only_these_are_missed(kind: str) -> None:
    there, found = count_hard_cases()
    assert there[kind] - found[kind] == _MISSED.get(kind, 0)


def test_no_harmless_line_changes() -> None:
    assert changed_harmless_lines() == []


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
