"""From two samples to an answer by keyboard, and all screens in other languages."""

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
from langchain_chatexports.samples import write_imessage, write_messenger
from tests.integration_tests.page.conftest import Browser, Browsers, Command, wait
from tests.unit_tests.builders.english import english_words

_SCREENS = {
    "add": "Add exports",
    "choose": "Choose",
    "train": "Train",
    "talk": "Talk",
    "guess": "Guess",
    "settings": "Manage",
}
# Visible and announced texts, except for chats.
_READ_TEXTS = """
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


@pytest.fixture
def messenger_zip(tmp_path: Path) -> Path:
    folder = write_messenger(tmp_path / "hogwarts")
    return Path(shutil.make_archive(str(tmp_path / "facebook"), "zip", folder))


@pytest.mark.training
def test_samples_are_trained_by_keyboard_alone(
    command: Command, browsers: Browsers, messenger_zip: Path, tmp_path: Path
) -> None:
    browser = browsers()
    browser.open(command.link)
    browser.see("Add exports")
    browser.assert_accessible()
    # Files cannot be dropped by keyboard.
    browser.choose_files(messenger_zip)
    browser.see("Messenger export")
    browser.tab_to("Or the path")
    browser.key(str(write_imessage(tmp_path / "chat.db")), Keys.ENTER)
    browser.see("223 of 223 messages kept")
    browser.assert_accessible()
    browser.tab_to("Next: choose whose voice")
    browser.key(Keys.ENTER)
    _choose_voice_and_base(browser)
    browser.tab_to("Next: train")
    browser.key(Keys.SPACE)
    browser.see("Done · ")
    browser.assert_accessible()
    assert browser.all("svg.losses polyline")
    stored = Workspace(tmp_path / "data").snapshot()
    assert [model.person for model in stored.models] == ["Harry Potter"]
    assert [job.state for job in stored.jobs] == [State.SUCCEEDED]
    browser.tab_to("Next: talk to it")
    browser.key(Keys.ENTER)
    _talk(browser)
    command.kill_children()
    browser.tab_to("Again")
    browser.key(Keys.ENTER)
    wait(lambda: browser.all(".theirs") or "No answer." in browser.text)
    # Each tab has its own language.
    for width, language in ((1280, "de-DE"), (390, "hi-IN")):
        other = browsers(width=width, is_dark=width == 390, language=language)
        other.open(command.next_link())
        _check_screens(other, negotiate_language(language))
    _export_model(browser, tmp_path / "exported")
    browser.assert_no_errors()


def _check_screens(browser: Browser, language: Language) -> None:
    for path, title in _SCREENS.items():
        browser.go(path)
        browser.see(language.render(lazy_gettext(title)))
        browser.assert_accessible()
        assert browser.all("html")[0].get_attribute("lang") == language.tag
        texts = browser.driver.execute_script(_READ_TEXTS)
        assert not [text for text in texts if english_words(text)]


def _choose_voice_and_base(browser: Browser) -> None:
    browser.see("Whose voice")
    # The only known owner of the two exports.
    browser.see("Harry Potter (")
    browser.tab_to("Next: create examples")
    browser.key(Keys.ENTER)
    browser.see("What the model learns from")
    browser.assert_accessible()


def _talk(browser: Browser) -> None:
    wait(lambda: browser.all("textarea[aria-label='Message']:enabled"))
    can_send = "//button[normalize-space()='Send' and not(@disabled)]"
    assert not browser.driver.find_elements("xpath", can_send)
    browser.tab_to("Message")
    browser.key("Hello <b>there</b>")
    wait(lambda: browser.driver.find_elements("xpath", can_send))
    browser.key(Keys.ENTER)
    browser.see("Hello <b>there</b>")
    # The model has random weights: its answer can be empty.
    wait(lambda: browser.all(".theirs") or "No answer." in browser.text)
    browser.assert_accessible()


def _export_model(browser: Browser, folder: Path) -> None:
    browser.go("settings")
    browser.see("The voice of Harry Potter")
    browser.click("Export this model")
    field = browser.write("New folder", "")
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys(str(folder))
    browser.click("Write")
    browser.see("For Ollama: ollama create NAME -f")
    assert {path.name for path in folder.iterdir()} == {"Modelfile", "model.gguf"}
