"""Redaction takes time linear in the text, whatever the text repeats (issue 30)."""

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


# What patterns like: lines with private places, and beginnings that lead nowhere.
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
def test_no_text_of_twenty_thousand_characters_takes_a_second(text: str) -> None:
    assert _seconds(REDACTOR.text, text) < 1


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
def test_texts_that_took_long_take_no_second(text: str) -> None:
    assert _seconds(REDACTOR.text, text) < 1


@pytest.mark.benchmark
def test_thousands_with_one_first_name_cost_no_more_than_one() -> None:
    names = [f"Anna {chr(97 + i % 26)}b{chr(97 + i // 26)}" for i in range(600)]
    redactor = Redactor("key", [*names, *(f"{name} II Senior" for name in names)])
    assert _seconds(redactor.text, "Anna " * 4_000) < 1


@pytest.mark.benchmark
def test_ids_of_sessions_take_no_second() -> None:
    assert _seconds(REDACTOR.identifier, "#1" * 20_000 + "x") < 1
