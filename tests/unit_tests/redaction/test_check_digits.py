"""Check digits of cards and bank accounts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports.redaction.check_digits import has_luhn_digit, iban_length


@pytest.mark.parametrize("number", ["4111111111111111", "378282246310005"])
def test_test_numbers_of_card_firms_have_their_check_digit(number: str) -> None:
    assert has_luhn_digit(number)


@given(st.integers(0, 15), st.integers(1, 9))
def test_one_wrong_digit_is_noticed(place: int, more: int) -> None:
    number = list("4111111111111111")
    number[place] = str((int(number[place]) + more) % 10)
    assert not has_luhn_digit("".join(number))


def test_a_row_of_zeros_is_no_card() -> None:
    assert not has_luhn_digit("0" * 16)


@pytest.mark.parametrize(
    "iban",
    ["DE89370400440532013000", "GB29 NWBK 6016 1331 9268 19", "no93-8601-1117-947"],
)
def test_examples_of_the_registry_are_ibans(iban: str) -> None:
    assert iban_length(iban) == len(iban)
    assert iban_length(f"{iban} and more") == len(iban)


@pytest.mark.parametrize(
    "text",
    [
        "DE89370400440532013001",
        "XX89370400440532013000",
        "DE8937040044",
        "DE89 (37)",
        "DE893704004405320130007",
        "",
    ],
)
def test_what_is_no_iban_has_no_length(text: str) -> None:
    assert iban_length(text) is None
