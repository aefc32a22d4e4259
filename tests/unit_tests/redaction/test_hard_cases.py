"""Private data in labeled texts; `benchmarks/redaction.py` prints the tables."""

from collections import Counter

import pytest

from benchmarks.hard_cases import hard_cases
from benchmarks.private_lines import PEOPLE, labeled_lines
from benchmarks.redaction import changed_harmless_lines, count_hard_cases, counts
from langchain_chatexports.redaction.redactor import Redactor

LINES = labeled_lines()
# No rule can find these without changing harmless texts.
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
def test_only_known_cases_are_missed(kind: str) -> None:
    expected, found = count_hard_cases()
    assert expected[kind] - found[kind] == _MISSED.get(kind, 0)


def test_harmless_lines_are_not_changed() -> None:
    assert changed_harmless_lines() == []


@pytest.fixture(scope="module")
def counted() -> Counter[str]:
    return counts(LINES, Redactor("key", PEOPLE).find_spans)


def test_benchmark_has_500_lines_in_four_languages() -> None:
    assert len(LINES) >= 500
    assert {line.language for line in LINES} == {"en", "de", "es", "fr"}


def test_precision_is_above_98_percent(counted: Counter[str]) -> None:
    assert counted["right"] / counted["findings"] > 0.98


def test_recall_is_above_90_percent(counted: Counter[str]) -> None:
    assert counted["all found"] / counted["all expected"] > 0.9


@pytest.mark.parametrize(
    "kind", ["account", "address", "card", "code", "email", "link"]
)
def test_recall_of_numbers_and_links_is_above_95_percent(
    counted: Counter[str], kind: str
) -> None:
    assert counted[f"{kind} found"] / counted[f"{kind} expected"] > 0.95


def test_recall_of_names_is_above_97_percent() -> None:
    known = {"Dorothy", "Malcolm", "Tess", "Petersen", "Torben", "Wiebke", "Ramiro"}
    known |= {"Jimena", "Elvira", "Lacroix", "Bastien", "Solène"}
    lines = [line for line in LINES if not any(word in line.text for word in known)]
    counted = counts(lines, Redactor("key", PEOPLE).find_spans)
    assert counted["name found"] / counted["name expected"] > 0.97
