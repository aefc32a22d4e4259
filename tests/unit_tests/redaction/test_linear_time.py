"""Redaction takes linear time, even for repetitive texts (issue 30)."""

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.hard_cases import HARMLESS, KNOWN, hard_cases
from benchmarks.private_lines import PEOPLE, labeled_lines
from langchain_chatexports.redaction.redactor import Redactor

LENGTH = 20_000
REDACTOR = Redactor("key", (*KNOWN, *PEOPLE))


# Lines with private data, and beginnings that patterns match only in part.
LINES = (
    *(case.text for case in hard_cases()),
    *(line.text for line in labeled_lines()),
    *HARMLESS.strip().splitlines(),
    *("A-", "Weg ", "-Weg ", "MARK ", "password for ", "?key", "&token", "/aa1"),
    "1 1-",
    *("https://:", "-----BEGIN A ", "eyJaaaaaaaa.", "SG.", "hf_", "calle de la A "),
    "#1",
)


@st.composite
def _texts(draw: st.DrawFn) -> str:
    def piece() -> str:
        line = draw(st.sampled_from(LINES))
        start = draw(st.integers(0, len(line) - 1))
        return line[start : start + draw(st.integers(1, 30))]

    unit = piece() + draw(st.booleans()) * piece()
    middle = (unit * (LENGTH // len(unit) + 1))[:LENGTH]
    return f"{draw(st.sampled_from(LINES))}{middle}{draw(st.sampled_from(LINES))}"


def _seconds(function: Any, text: str) -> float:
    begin = time.process_time()
    for _ in function(text):
        pass
    return time.process_time() - begin


@pytest.mark.benchmark
@given(_texts())
@settings(max_examples=30, deadline=None)
def test_long_texts_take_less_than_a_second(text: str) -> None:
    assert _seconds(REDACTOR.redact_text, text) < 1


@pytest.mark.benchmark
@pytest.mark.parametrize(
    "text",
    [
        *("Weg 1 " + "A-" * 10_000, "MARK " * 4_000, "A-" * 10_000 + "str 5"),
        *("1 " * 10_000, "Aa " * 7_000 + "1 street", "x@" * 10_000 + "1"),
        *("password " * 2_500 + "1", "calle de la " * 1_800 + "1"),
        "code " * 4_000 + "1",
        *("https://" + ":" * 20_000, "https://a.b/?" + "key" * 7_000, "4111" * 5_000),
        *("Ann\u0301\u0316" * 4_000, "Ann" + "\u0301" * 20_000, "田中" * 10_000),
    ],
    ids=lambda text: text[:9],
)
def test_slow_texts_take_less_than_a_second(text: str) -> None:
    assert _seconds(REDACTOR.redact_text, text) < 1


@pytest.mark.benchmark
def test_many_names_with_the_same_first_name_are_fast() -> None:
    names = [f"Anna {chr(97 + i % 26)}b{chr(97 + i // 26)}" for i in range(600)]
    redactor = Redactor("key", [*names, *(f"{name} II Senior" for name in names)])
    assert _seconds(redactor.redact_text, "Anna " * 4_000) < 1


@pytest.mark.benchmark
def test_long_session_ids_are_fast() -> None:
    assert _seconds(REDACTOR.redact_session_id, "#1" * 20_000 + "x") < 1
