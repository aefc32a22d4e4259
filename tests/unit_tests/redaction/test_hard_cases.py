"""The hard cases; benchmarks/redaction.py prints what is found of each class."""

from __future__ import annotations

import pytest

from benchmarks.redaction import changed_harmless_lines, count_hard_cases
from tests.unit_tests.builders.hard_cases import hard_cases

# Those that no rule can find, or none without finding what is harmless.
_MISSED = {
    "name, other spelling": 1,
    "key of a service": 1,
    "handle in a link": 1,
    "email": 1,
    "code": 1,
    "password": 1,
}


def test_there_are_more_than_two_hundred() -> None:
    assert len(hard_cases()) > 205


@pytest.mark.parametrize("kind", sorted({case.kind for case in hard_cases()}))
def test_only_these_are_missed(kind: str) -> None:
    there, found = count_hard_cases()
    assert there[kind] - found[kind] == _MISSED.get(kind, 0)


def test_no_harmless_line_changes() -> None:
    assert changed_harmless_lines() == []
