"""The whole way in the browser's language, with no English but names."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from langchain_chatexports.page.languages import Language, language_for, later
from langchain_chatexports.page.layout import SCREENS
from tests.integration_tests.page.conftest import wait
from tests.unit_tests.builders.english import english_words
from tests.unit_tests.builders.whatsapp import START, WhatsAppChat

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration_tests.page.conftest import Browser, Command

# What is read and said, the chats themselves left out.
_WORDS = """
    const read = [];
    for (const e of document.querySelectorAll('body *')) {
        if (e.closest('.bubble, .small, .notranslate, [lang=en]')) continue;
        if (e.closest('script, style')) continue;
        for (const name of ['aria-label', 'placeholder', 'title', 'alt'])
            if (e.getAttribute(name)) read.push(e.getAttribute(name));
        if (e.tagName === 'INPUT') read.push(e.value);
        for (const n of e.childNodes) if (n.nodeType === 3) read.push(n.data);
    }
    return read.concat(document.title);
"""


def _words(person: Browser) -> list[str]:
    return [str(text) for text in person.driver.execute_script(_WORDS)]


def _check(person: Browser) -> None:
    assert not [text for text in _words(person) if english_words(text)]
    person.assert_accessible()


def _check_all(person: Browser, language: Language) -> None:
    for path, title in SCREENS.items():
        person.go(path[1:])
        person.see(language.render(title))
        _check(person)


@pytest.mark.training
def test_the_whole_way_is_in_the_browsers_language(
    command: Command, browsers: Callable[..., Browser], tmp_path: Path
) -> None:
    language = language_for("de-DE")

    def said(sentence: str) -> str:
        return language.render(later(sentence))

    person = browsers(language="de-DE")
    person.open(command.link)
    person.see(said("Add exports"))
    assert person.all("html")[0].get_attribute("lang") == language.tag
    _check(person)
    person.write(said("Or the path of a file or folder"), "")
    (field,) = person.all("input[type=text]")
    chat = WhatsAppChat.ios()
    for day in range(15):
        chat.now = START + timedelta(days=day)
        chat.says("Jonas", f"Wie geht es dir heute, {day}?")
        chat.says("אמא", f"Mir geht es auch noch nicht gut, {day}.")
    field.send_keys(f"{chat.to_file(tmp_path / '_chat.txt')}\n")
    person.see("WhatsApp")
    person.click(said("Next: choose whose voice to learn"))
    person.choose(said("Whose voice"), "אמא")
    person.click(said("Next: make the examples"))
    person.see(said("Which base model it starts from"))
    wait(lambda: said("Next: train") in person.text)
    _check(person)
    person.click(said("Next: train"))
    person.see(said("Done"))
    _check(person)
    person.click(said("Next: talk to it"))
    message = f"textarea[aria-label='{said('Message')}']:enabled"
    wait(lambda: person.all(message))[0].send_keys("Hallo\n")
    wait(lambda: person.all(".theirs"))
    _check(person)
    _check_all(person, language)
    # All tabs show the same work, each in its language.
    other = browsers(width=390, language="hi-IN")
    other.open(command.next_link())
    other.see("WhatsApp")
    _check_all(other, language_for("hi-IN"))
