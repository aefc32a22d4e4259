"""Redaction takes linear time, even for repetitive texts (issue 30)."""

import time
from collections.abc import Callable

import pytest
from hypothesis import Phase, given, settings
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


def _seconds(function: Callable[[str], object], text: str) -> float:
    begin = time.process_time()
    function(text)
    return time.process_time() - begin


def _assert_linear(text: str, function: Callable[[str], object]) -> None:
    """Check that a text takes about twice as long as its half."""
    half = _seconds(function, text[: len(text) // 2])
    assert _seconds(function, text) < 3 * half + 0.5


@pytest.mark.benchmark
@given(_texts())
# Shrinking a long text takes half an hour.
@settings(max_examples=30, phases=[Phase.explicit, Phase.generate])
def test_long_texts_take_linear_time(text: str) -> None:
    _assert_linear(text, REDACTOR.redact_text)


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
def test_hard_texts_take_linear_time(text: str) -> None:
    _assert_linear(text, REDACTOR.redact_text)


@pytest.mark.benchmark
def test_many_names_with_the_same_first_name_are_fast() -> None:
    names = [f"Anna {chr(97 + i % 26)}b{chr(97 + i // 26)}" for i in range(600)]
    redactor = Redactor("key", [*names, *(f"{name} II Senior" for name in names)])
    _assert_linear("Anna " * 4_000, redactor.redact_text)


@pytest.mark.benchmark
def test_long_session_ids_are_fast() -> None:
    _assert_linear("#1" * 20_000 + "x", REDACTOR.redact_session_id)
