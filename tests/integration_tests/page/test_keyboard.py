"""From two samples to a model by keyboard, and all screens in other languages."""

import shutil
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from langchain_chatexports.local_server import State, Workspace
from langchain_chatexports.page.languages import (
    Language,
    lazy_gettext,
    negotiate_language,
)
from langchain_chatexports.page.people import person_key
from langchain_chatexports.samples import write_imessage, write_messenger
from tests.integration_tests.page.conftest import Browser, Browsers, Command
from tests.unit_tests.builders.english import english_words

_SCREENS = {
    "add": "Add chats",
    "settings": "Settings",
    "search": "Search in your chats",
    f"teach/{person_key('Harry Potter')}": "Another model",
    f"tell-apart/{person_key('Harry Potter')}": "Can you tell it apart?",
}
# Visible and announced texts, except for chats.
_READ_TEXTS = """
    const read = [];
    for (const e of document.querySelectorAll('body *')) {
        if (e.closest('.bubble, .quote, .name, .notranslate, [lang=en]')) continue;
        if (e.closest('script, style')) continue;
        for (const name of ['aria-label', 'placeholder', 'title', 'alt'])
            if (e.getAttribute(name)) read.push(e.getAttribute(name));
        if (e.tagName === 'INPUT' && e.type !== 'radio') read.push(e.value);
        for (const n of e.childNodes) if (n.nodeType === 3) read.push(n.data);
    }
    return read.concat(document.title);
"""


@pytest.fixture
def messenger_zip(tmp_path: Path) -> Path:
    folder = write_messenger(tmp_path / "hogwarts")
    return Path(shutil.make_archive(str(tmp_path / "facebook"), "zip", folder))


@pytest.mark.training
def test_model_is_taught_by_keyboard_alone(
    command: Command, browsers: Browsers, messenger_zip: Path, tmp_path: Path
) -> None:
    browser = browsers()
    browser.open(command.link)
    browser.see("Add chats")
    browser.assert_accessible()
    # Files cannot be dropped by keyboard.
    browser.choose_files(messenger_zip)
    browser.see("663 messages")
    browser.tab_to("More")
    browser.key(Keys.ENTER)
    browser.tab_to("Where a file or folder is")
    browser.key(str(write_imessage(tmp_path / "chat.db")), Keys.ENTER)
    browser.see("223 messages")
    browser.assert_accessible()
    browser.go(f"teach/{person_key('Harry Potter')}")
    browser.see("It learns from")
    browser.tab_to("Teach it")
    browser.key(Keys.SPACE)
    browser.see("Harry Potter has learned")
    browser.assert_accessible()
    stored = Workspace(tmp_path / "data").snapshot()
    assert [model.person for model in stored.models] == ["Harry Potter"]
    assert [job.state for job in stored.jobs] == [State.SUCCEEDED]
    # Each tab has its own language.
    for width, language in ((1280, "de-DE"), (390, "hi-IN")):
        other = browsers(width=width, is_dark=width == 390, language=language)
        other.open(command.next_link())
        _check_screens(other, negotiate_language(language))
    browser.assert_no_errors()


def _check_screens(browser: Browser, language: Language) -> None:
    for path, title in _SCREENS.items():
        browser.go(path)
        browser.see(language.render(lazy_gettext(title)))
        browser.assert_accessible()
        assert browser.all("html")[0].get_attribute("lang") == language.tag
        texts = browser.driver.execute_script(_READ_TEXTS)
        # Paths have words of no language.
        assert not [text for text in texts if "/" not in text and english_words(text)]
