"""Names that every provider accepts."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports._names import safe_name


@given(st.text())
def test_a_safe_name_is_accepted_everywhere_and_stays_as_it_is(name: str) -> None:
    mapped = safe_name(name)
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", mapped)
    assert safe_name(mapped) == mapped


@pytest.mark.parametrize(
    ("name", "expected"), [("Ann Lee", "Ann_Lee"), ("José", "Jose"), ("a-b_c", "a-b_c")]
)
def test_a_plain_name_stays_readable(name: str, expected: str) -> None:
    assert safe_name(name) == expected


def test_two_names_whose_letters_are_lost_stay_two() -> None:
    assert safe_name("李雷") != safe_name("韩梅")
