"""The page's languages: each sentence is in each catalog, and is put into words."""

import re
from datetime import datetime, timezone
from pathlib import Path

import pytest
from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from langchain_chatexports.page import languages
from langchain_chatexports.page.languages import (
    CATALOGS,
    LanguageName,
    Size,
    TimeLeft,
    duration,
    language_for,
    later,
    listed,
    moment,
    nlater,
)
from scripts.update_catalogs import sentences

_FIELD = re.compile(r"\{\w+\}")


@pytest.fixture(scope="module")
def template() -> Catalog:
    return sentences()


@pytest.mark.parametrize("language", ["de", "es", "hi", "ko", "zh"])
def test_a_catalog_has_every_sentence_with_its_fields(
    language: str, template: Catalog
) -> None:
    with (CATALOGS / f"{language}.po").open("rb") as file:
        catalog = read_po(file, locale=language)
    assert {message.id for message in catalog} == {message.id for message in template}
    for message in catalog:
        if not message.id:
            continue
        assert not message.fuzzy
        asked = [message.id] if isinstance(message.id, str) else list(message.id)
        found = message.string
        forms = [found] if isinstance(found, str) else list(found or ())
        assert len(forms) == (catalog.num_plurals if message.pluralizable else 1)
        for form in forms:
            assert form
            assert sorted(_FIELD.findall(form)) == sorted(_FIELD.findall(asked[-1]))


@pytest.mark.parametrize(
    ("header", "tag", "locale"),
    [
        ("", "en-US", "en"),
        ("de-AT,de;q=0.9,en;q=0.8", "de", "de_AT"),
        ("en-GB,en;q=0.9,de;q=0.8", "en-US", "en_GB"),
        ("fr-FR, fr;q=0.9, es;q=0.5, en;q=0.3", "es", "es"),
        ("en;q=0.2, hi;q=0.7", "hi", "hi"),
        ("zh-CN", "zh-CN", "zh_Hans_CN"),
        ("ko-KR", "ko-KR", "ko_KR"),
        ("de-XXXX;q=1", "de", "de"),
        ("../../de, *;q=x", "en-US", "en"),
    ],
)
def test_the_language_is_the_first_that_the_browser_wants_and_there_is(
    header: str, tag: str, locale: str
) -> None:
    found = language_for(header)
    assert (found.tag, str(found.locale)) == (tag, locale)


def test_a_sentence_without_a_translation_is_english() -> None:
    german = language_for("de")
    assert german.render(later("Train it")) == "Trainieren"
    assert german.render(later("Nobody knows {name}", name="A")) == "Nobody knows A"


@pytest.mark.parametrize(
    ("language", "count", "shown"),
    [
        ("en", 1, "1 message"),
        ("en", 12345, "12,345 messages"),
        ("de", 12345, "12.345 Nachrichten"),
        ("ko", 1, "메시지 1개"),
        ("hi", 123456, "1,23,456 संदेश"),
    ],
)
def test_counts_have_their_form_and_their_signs(
    language: str, count: int, shown: str
) -> None:
    sentence = nlater("{count} message", "{count} messages", count)
    assert language_for(language).render(sentence) == shown


def test_a_name_from_right_to_left_stays_whole() -> None:
    shown = language_for("en").render(
        later("{name} is in the list already.", name="גל 7")
    )
    assert shown == "\u2068גל 7\u2069 is in the list already."


def test_times_sizes_and_lists_are_written_as_in_the_language(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    german = language_for("de")
    monkeypatch.setattr(languages, "current", lambda: german)
    when = datetime(2026, 3, 1, 12, 30, tzinfo=timezone.utc).astimezone()
    assert moment(when) == f"01.03.26, {when:%H:%M}"
    assert (duration(20), duration(9000)) == ("1 Min.", "2,5 Std.")
    assert str(TimeLeft(30)) == "noch etwa 30 Sek."
    sizes = [str(Size(number)).split() for number in (1_234_567, 2.6e9)]
    assert sizes == [["1,2", "MB"], ["2,6", "GB"]]
    assert listed(["Anna", "Ben", "Cem"]) == "Anna, Ben und Cem"
    names = [str(LanguageName(name)) for name in ("Spanish", "CYRILLIC", "Klingonisch")]
    assert names == ["Spanisch", "Kyrillisch", "Klingonisch"]


def test_the_languages_have_what_quasar_and_nicegui_call_them() -> None:
    import nicegui

    packs = Path(nicegui.__file__).parent / "static" / "lang"
    tags = {file.stem for file in CATALOGS.glob("*.po")} | {"en"}
    for language in tags:
        tag = language_for(language).tag
        assert (packs / f"{tag}.umd.prod.js").exists()
        assert Locale.parse(tag, sep="-").language == language
