"""Stand-ins depend on the key and on what they stand for, alone."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports.redaction.pseudonyms import Pseudonyms
from langchain_chatexports.redaction.redactor import Redactor


def test_a_stand_in_is_the_same_in_another_process() -> None:
    code = (
        "from langchain_chatexports.redaction.pseudonyms import Pseudonyms;"
        "p = Pseudonyms('key');"
        "print(p.name('Ann'), p.placeholder('phone', '+1 555'), p.identifier('x'))"
    )
    output = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()
    ours = Pseudonyms("key")
    assert output == [
        ours.name("Ann"),
        ours.placeholder("phone", "+1 555"),
        ours.identifier("x"),
    ]


def test_another_key_gives_other_stand_ins() -> None:
    assert Pseudonyms("a").name("Ann") != Pseudonyms("b").name("Ann")
    assert Pseudonyms("a").identifier("x") != Pseudonyms("b").identifier("x")


def test_case_and_accents_make_no_difference_but_case_is_taken_over() -> None:
    stand_in = Pseudonyms("key").name
    assert stand_in("jose") == stand_in("José").lower()
    assert stand_in("JOSÉ") == stand_in("José").upper()
    assert stand_in("José").istitle()


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("phone", "+49 171 2345678", "0049-171/2345678"),
        ("card", "4111 1111 1111 1111", "4111111111111111"),
        ("account", "DE89 3704", "de893704"),
        ("email", "Ann@Example.org", "ann@example.org"),
        ("address", "12  Oak Street", "12 oak street"),
    ],
)
def test_two_spellings_of_one_thing_have_one_placeholder(
    kind: str, one: str, other: str
) -> None:
    ours = Pseudonyms("key")
    assert ours.placeholder(kind, one) == ours.placeholder(kind, other)


def test_two_passwords_that_differ_in_case_have_two_placeholders() -> None:
    ours = Pseudonyms("key")
    assert ours.placeholder("password", "a") != ours.placeholder("password", "A")


@given(st.text(min_size=1), st.text(min_size=1))
def test_any_text_has_a_stand_in(key: str, word: str) -> None:
    ours = Pseudonyms(key)
    assert ours.name(word).isalpha()
    assert ours.placeholder("name", word).isascii()


def test_ten_thousand_names_have_as_many_stand_ins() -> None:
    ours = Pseudonyms("key")
    assert len({ours.name(f"name{i}") for i in range(10_000)}) == 10_000


def test_an_umlaut_that_is_spelled_out_has_the_same_stand_in() -> None:
    redactor = Redactor("key", ["Jürgen Müller"])
    assert len({redactor.text(name) for name in ("Müller", "Mueller", "Muller")}) == 1


def test_a_name_without_its_apostrophe_has_the_same_stand_in() -> None:
    redactor = Redactor("key", ["Liam O'Brien"])
    assert redactor.text("OBrien") == redactor.text("Brien")
    assert redactor.name("Liam O'Brien").endswith(f"O'{redactor.text('Brien')}")
