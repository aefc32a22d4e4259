"""Stand-ins only depend on the key and the original."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports.redaction.pseudonyms import Pseudonyms
from langchain_chatexports.redaction.redactor import Redactor


def test_stand_ins_are_the_same_in_another_process() -> None:
    code = (
        "from langchain_chatexports.redaction.pseudonyms import Pseudonyms;"
        "p = Pseudonyms('key');"
        "print(p.create_name('Ann'), p.create_placeholder('phone', '+1 555'),"
        "p.create_id('x'))"
    )
    output = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()
    p = Pseudonyms("key")
    assert output == [
        p.create_name("Ann"),
        p.create_placeholder("phone", "+1 555"),
        p.create_id("x"),
    ]


def test_stand_ins_depend_on_the_key() -> None:
    assert Pseudonyms("a").create_name("Ann") != Pseudonyms("b").create_name("Ann")
    assert Pseudonyms("a").create_id("x") != Pseudonyms("b").create_id("x")


def test_stand_ins_ignore_accents_and_keep_case() -> None:
    stand_in = Pseudonyms("key").create_name
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
def test_spellings_have_the_same_placeholder(kind: str, one: str, other: str) -> None:
    stand_ins = Pseudonyms("key")
    assert stand_ins.create_placeholder(kind, one) == stand_ins.create_placeholder(
        kind, other
    )


def test_password_placeholders_are_case_sensitive() -> None:
    stand_ins = Pseudonyms("key")
    assert stand_ins.create_placeholder(
        "password", "a"
    ) != stand_ins.create_placeholder("password", "A")


@given(st.text(min_size=1), st.text(min_size=1))
def test_any_text_has_a_stand_in(key: str, word: str) -> None:
    stand_ins = Pseudonyms(key)
    assert stand_ins.create_name(word).isalpha()
    assert stand_ins.create_placeholder("name", word).isascii()


def test_stand_ins_do_not_collide() -> None:
    stand_ins = Pseudonyms("key")
    assert len({stand_ins.create_name(f"name{i}") for i in range(10_000)}) == 10_000


def test_spelled_out_umlaut_has_the_same_stand_in() -> None:
    redactor = Redactor("key", ["Jürgen Müller"])
    assert (
        len({redactor.redact_text(name) for name in ("Müller", "Mueller", "Muller")})
        == 1
    )


def test_missing_apostrophe_has_the_same_stand_in() -> None:
    redactor = Redactor("key", ["Liam O'Brien"])
    assert redactor.redact_text("OBrien") == redactor.redact_text("Brien")
    assert redactor.redact_name("Liam O'Brien").endswith(
        f"O'{redactor.redact_text('Brien')}"
    )
