"""The page's languages: negotiation and localized values."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from babel import Locale

from langchain_chatexports.page import languages
from langchain_chatexports.page.languages import (
    CATALOGS,
    LanguageName,
    LazyMessage,
    format_duration,
    format_names,
    format_size,
    format_time,
    lazy_gettext,
    negotiate_language,
    time_left,
)


@pytest.mark.parametrize(
    ("header", "tag", "locale"),
    [
        ("", "en-US", "en"),
        ("de-AT,de;q=0.9,en;q=0.8", "de", "de_AT"),
        ("en-GB,en;q=0.9,de;q=0.8", "en-US", "en_GB"),
        ("fr-FR, fr;q=0.9, es;q=0.5, en;q=0.3", "es", "es"),
        ("zh-CN", "zh-CN", "zh_Hans_CN"),
        ("ko-KR", "ko-KR", "ko_KR"),
        ("de-XXXX;q=1", "de", "de"),
        ("../../de, *;q=x", "en-US", "en"),
    ],
)
def test_first_preferred_language_is_used(header: str, tag: str, locale: str) -> None:
    found = negotiate_language(header)
    assert (found.tag, str(found.locale)) == (tag, locale)


def test_untranslated_sentence_is_english() -> None:
    german = negotiate_language("de")
    assert german.render(lazy_gettext("New chat")) == "Neuer Chat"
    assert (
        german.render(lazy_gettext("Nobody knows {name}", name="A")) == "Nobody knows A"
    )


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
def test_counts_are_localized(language: str, count: int, shown: str) -> None:
    sentence = LazyMessage("{count} message", "{count} messages", {"count": count})
    assert negotiate_language(language).render(sentence) == shown


def test_right_to_left_name_is_isolated() -> None:
    sentence = lazy_gettext("Rename {name}", name="גל 7")
    assert negotiate_language("en").render(sentence) == "Rename \u2068גל 7\u2069"


def test_times_sizes_and_lists_are_localized(monkeypatch: pytest.MonkeyPatch) -> None:
    german = negotiate_language("de")
    monkeypatch.setattr(languages, "current_language", lambda: german)
    when = datetime(2026, 3, 1, 12, 30, tzinfo=UTC).astimezone()
    assert format_time(when.timestamp()) == f"01.03.26, {when:%H:%M}"
    assert (format_duration(20), format_duration(9000)) == ("20 Sek.", "2 Std.")
    assert time_left(30) == "noch etwa 30 Sek."
    sizes = [format_size(number).split() for number in (1_234_567, 2.6e9)]
    assert sizes == [["1,2", "MB"], ["2,6", "GB"]]
    assert format_names(["Anna", "Ben", "Cem"]) == "Anna, Ben und Cem"
    names = [str(LanguageName(name)) for name in ("Spanish", "CYRILLIC", "Klingonisch")]
    assert names == ["Spanisch", "Kyrillisch", "Klingonisch"]


def test_tags_are_known_to_quasar_and_nicegui() -> None:
    import nicegui

    packs = Path(nicegui.__file__).parent / "static" / "lang"
    tags = {file.stem for file in CATALOGS.glob("*.po")} | {"en"}
    for language in tags:
        tag = negotiate_language(language).tag
        assert (packs / f"{tag}.umd.prod.js").exists()
        assert Locale.parse(tag, sep="-").language == language


def test_empty_message_is_not_the_header_of_a_catalog() -> None:
    assert negotiate_language("de").render(lazy_gettext("")) == ""
