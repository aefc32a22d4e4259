"""One form for comparing, and the way back to the characters as they stand."""

import unicodedata
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.hard_cases import KNOWN
from langchain_chatexports.redaction.normalization import comparable, folded, words_of
from langchain_chatexports.redaction.redactor import Redactor

REDACTOR = Redactor("key", KNOWN)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("Jose\u0301", "Jos\u00e9"),
        ("\u1100\u1161\u11a8", "\uac01"),
        ("\uff21\uff4e\uff4e", "Ann"),
        ("A\u200bn\u00adn", "Ann"),
        ("\u0664\u0967\uff11", "411"),
        ("1\u00a02\u202f3", "1 2 3"),
        ("1\u20112", "1-2"),
        ("\uff76\uff9e", "\u30ac"),
        ("3\u00ba m\u00b2 \u2122 \u2026", "3\u00ba m\u00b2 \u2122 \u2026"),
    ],
)
def test_what_looks_alike_has_one_form(text: str, form: str) -> None:
    assert comparable(text).text == form


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *(("Stra\u00dfe", "STRASSE"), ("\u0130", "i"), ("\u03a3", "\u03c2")),
        *(("\u0141ukasz", "lukasz"), ("Y\u0131ld\u0131z", "yildiz")),
    ],
)
def test_case_and_accents_are_folded(one: str, other: str) -> None:
    assert folded(one) == folded(other)


@given(st.text())
def test_a_form_has_a_place_for_each_character(text: str) -> None:
    form = comparable(text)
    assert len(form.text) == len(form.starts) == len(form.ends)
    assert all(0 <= a < b <= len(text) for a, b in zip(*form[1:], strict=True))


@given(st.text(), st.sampled_from(["Jose\u0301", "\u1100\u1161\u11a8", "Zoe\u0308"]))
def test_all_outside_a_replacement_stays_byte_for_byte(text: str, name: str) -> None:
    text = f"{text} {name} {text}"
    spans = REDACTOR.spans(text)
    redacted, rest = REDACTOR.text(text), 0
    for before, after in zip(
        [0, *(s.end for s in spans)],
        [*(s.start for s in spans), len(text)],
        strict=True,
    ):
        rest = redacted.index(text[before:after], rest) + after - before


@pytest.mark.parametrize("name", [name for name in KNOWN if not name.isascii()])
@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_a_name_is_found_in_any_normal_form_of_name_and_text(
    name: str, form: Literal["NFC", "NFD", "NFKC", "NFKD"]
) -> None:
    redactor = Redactor("key", [unicodedata.normalize(form, name)])
    plain = redactor.text(f"\u2014 {unicodedata.normalize('NFC', name)} \u2014")
    assert plain == redactor.text(f"\u2014 {unicodedata.normalize('NFD', name)} \u2014")
    left = {word.word for word in words_of(name)} & {w.word for w in words_of(plain)}
    assert not left


def test_a_mark_behind_a_name_goes_with_it() -> None:
    assert REDACTOR.text("Ann\u0301!") == REDACTOR.text("Ann!")


def test_a_keycap_behind_a_name_goes_with_it() -> None:
    assert REDACTOR.text("Ann\u20e3!") == REDACTOR.text("Ann!")


def test_what_cannot_be_seen_beside_a_name_stays() -> None:
    assert REDACTOR.text("\u200bAnn\ufe0f!") == f"\u200b{REDACTOR.text('Ann')}\ufe0f!"
