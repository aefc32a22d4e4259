import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.hard_cases import KNOWN
from langchain_chatexports.redaction.normalization import find_words, fold, normalize
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
def test_texts_are_normalized(text: str, form: str) -> None:
    assert normalize(text).text == form


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *(("Stra\u00dfe", "STRASSE"), ("\u0130", "i"), ("\u03a3", "\u03c2")),
        *(("\u0141ukasz", "lukasz"), ("Y\u0131ld\u0131z", "yildiz")),
    ],
)
def test_fold_ignores_case_and_accents(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@given(st.text())
def test_each_normalized_character_has_a_position(text: str) -> None:
    form = normalize(text)
    assert len(form.text) == len(form.starts) == len(form.ends)
    assert all(0 <= a < b <= len(text) for a, b in zip(*form[1:], strict=True))


@given(st.text(), st.sampled_from(["Jose\u0301", "\u1100\u1161\u11a8", "Zoe\u0308"]))
def test_text_outside_replacements_is_unchanged(text: str, name: str) -> None:
    text = f"{text} {name} {text}"
    spans = REDACTOR.find_spans(text)
    redacted, rest = REDACTOR.redact_text(text), 0
    ends = [0, *(span.end for span in spans)]
    starts = [*(span.start for span in spans), len(text)]
    for end, start in zip(ends, starts, strict=True):
        rest = redacted.index(text[end:start], rest) + start - end


@pytest.mark.parametrize("name", [name for name in KNOWN if not name.isascii()])
@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_names_are_found_in_any_normal_form(name: str, form: Any) -> None:
    redactor = Redactor("key", [unicodedata.normalize(form, name)])
    plain = redactor.redact_text(f"\u2014 {unicodedata.normalize('NFC', name)} \u2014")
    assert plain == redactor.redact_text(
        f"\u2014 {unicodedata.normalize('NFD', name)} \u2014"
    )
    left = {word.text for word in find_words(name)} & {
        w.text for w in find_words(plain)
    }
    assert not left


@pytest.mark.parametrize("mark", ["\u0301", "\u20e3"], ids=["accent", "keycap"])
def test_mark_after_a_name_is_removed_with_it(mark: str) -> None:
    assert REDACTOR.redact_text(f"Ann{mark}!") == REDACTOR.redact_text("Ann!")


def test_invisible_characters_around_a_name_are_kept() -> None:
    assert (
        REDACTOR.redact_text("\u200bAnn\ufe0f!")
        == f"\u200b{REDACTOR.redact_text('Ann')}\ufe0f!"
    )
