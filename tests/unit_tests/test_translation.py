"""Translations: complete catalogs of page and terminal, and the terminal's language."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from langchain_chatexports import _translation
from langchain_chatexports._translation import (
    _,
    activate,
    language_name,
    ngettext,
    number,
)
from scripts.update_catalogs import PACKAGE, SUMMARY_WORDS, TEMPLATES

_FIELD = re.compile(r"\{\w+\}")
_CATALOGS = PACKAGE / "cli" / "catalogs"


@pytest.fixture(autouse=True)
def _english_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_translation, "_active", _translation._ENGLISH)


@pytest.mark.parametrize("language", ["de", "es", "hi", "ko", "zh"])
@pytest.mark.parametrize("folder", TEMPLATES, ids=lambda folder: folder.parent.name)
def test_catalog_is_complete(folder: Path, language: str) -> None:
    with (folder / f"{language}.po").open("rb") as file:
        catalog = read_po(file, locale=language)
    template = TEMPLATES[folder]()
    assert {message.id for message in catalog} == {message.id for message in template}
    for message in catalog:
        if not message.id:
            continue
        assert not message.fuzzy
        english = [message.id] if isinstance(message.id, str) else message.id
        fields = [sorted(_FIELD.findall(form)) for form in english]
        translated = message.string
        forms = [translated] if isinstance(translated, str) else list(translated or ())
        assert len(forms) == (catalog.num_plurals if message.pluralizable else 1)
        for form in forms:
            assert form, message.id
            assert sorted(_FIELD.findall(form)) in fields


def test_ways_to_find_an_owner_are_translated() -> None:
    files = (PACKAGE / "chat_loaders").rglob("*.py")
    owner = re.compile(r'DetectedOwner\([^")]*"([^"{]+)"\)')
    ways = {way for file in files for way in owner.findall(file.read_text("utf-8"))}
    assert "the one name in every thread" in ways
    assert ways <= {*SUMMARY_WORDS}


@pytest.mark.parametrize(
    ("environment", "shown"),
    [
        ({}, "Nothing was sent."),
        ({"LANG": "de_DE.UTF-8"}, "Nichts wurde gesendet."),
        ({"LANG": "de"}, "Nichts wurde gesendet."),
        ({"LC_MESSAGES": "es_MX.UTF-8", "LANG": "de_DE"}, "No se envió nada."),
        ({"LC_ALL": "C.UTF-8", "LANG": "de_DE.UTF-8"}, "Nothing was sent."),
        ({"LC_ALL": "", "LANG": "de_CH@euro"}, "Nichts wurde gesendet."),
        ({"LANG": "POSIX"}, "Nothing was sent."),
        ({"LANG": "fr_FR.UTF-8"}, "Nothing was sent."),
        ({"LANG": "../page/catalogs/de"}, "Nothing was sent."),
    ],
)
def test_environment_chooses_the_language(
    environment: dict[str, str], shown: str
) -> None:
    activate(_CATALOGS, environment)
    assert _("Nothing was sent.") == shown


def test_values_are_formatted_for_the_language() -> None:
    english = ngettext("{count} message", "{count} messages", 12345)
    assert (english, number(2.5, 1), language_name("GERMAN")) == (
        *("12,345 messages", "2.5"),
        "German",
    )
    activate(_CATALOGS, {"LANG": "de_DE.UTF-8"})
    german = ngettext("{count} message", "{count} messages", 12345)
    assert (german, number(2.5, 1), language_name("GERMAN")) == (
        *("12.345 Nachrichten", "2,5"),
        "Deutsch",
    )


def test_english_needs_no_babel(monkeypatch: pytest.MonkeyPatch) -> None:
    program = (
        "import sys; from pathlib import Path;"
        "from langchain_chatexports._translation import _, activate;"
        f"activate(Path({str(_CATALOGS)!r}), {{'LANG': 'en_US.UTF-8'}});"
        "sys.exit('babel' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603 - ours
    monkeypatch.setitem(sys.modules, "babel", None)
    activate(_CATALOGS, {"LANG": "de_DE.UTF-8"})
    assert _("Nothing was sent.") == "Nothing was sent."


@pytest.mark.parametrize(
    ("language", "plural"), [("de", "1 Nachrichten"), ("es", "1 mensajes")]
)
def test_a_mean_of_one_has_no_plural(language: str, plural: str) -> None:
    activate(_CATALOGS, {"LANG": language})
    sentence = (
        "The median delay is {delay}, the mean answer {messages} messages long "
        "(answers: {count})."
    )
    assert plural not in _(sentence, delay="3 min", messages=1.0, count=4)
