"""From two samples to an answer, by keyboard; then all screens in other languages."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from langchain_chatexports.local_server import list_models
from langchain_chatexports.local_server.storage.jobs import list_jobs
from langchain_chatexports.page.languages import Language, language_for
from langchain_chatexports.page.layout import SCREENS
from langchain_chatexports.samples import write_imessage, write_messenger
from tests.integration_tests.page.conftest import Browser, Command, wait
from tests.unit_tests.builders.english import english_words

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


@pytest.fixture
def messenger_zip(tmp_path: Path) -> Path:
    folder = write_messenger(tmp_path / "hogwarts")
    return Path(shutil.make_archive(str(tmp_path / "facebook"), "zip", folder))


@pytest.mark.training
def test_the_samples_become_a_model_that_answers_by_keyboard_alone(
    command: Command,
    browsers: Callable[..., Browser],
    messenger_zip: Path,
    tmp_path: Path,
) -> None:
    person = browsers()
    person.open(command.link)
    person.see("Add exports")
    person.assert_accessible()
    # A keyboard cannot drop.
    person.choose_files(messenger_zip)
    person.see("Messenger export")
    person.tab_to("Or the path")
    person.key(str(write_imessage(tmp_path / "chat.db")), Keys.ENTER)
    person.see("223 of 223 messages kept")
    person.assert_accessible()
    person.tab_to("Next: choose whose voice")
    person.key(Keys.ENTER)
    _choose_voice_and_base(person)
    person.tab_to("Next: train")
    person.key(Keys.SPACE)
    person.see("Done · ")
    person.assert_accessible()
    assert person.all("svg.losses polyline")
    (model,) = list_models(tmp_path / "data")
    assert model.person == "Harry Potter"
    assert [job.status for job in list_jobs(tmp_path / "data")] == ["succeeded"]
    person.tab_to("Next: talk to it")
    person.key(Keys.ENTER)
    _talk(person)
    command.kill_servers()
    person.tab_to("Again")
    person.key(Keys.ENTER)
    wait(lambda: person.all(".theirs") or "No answer." in person.text)
    # All tabs show the same work, each in its language.
    for width, language in ((1280, "de-DE"), (390, "hi-IN")):
        other = browsers(width=width, is_dark=width == 390, language=language)
        other.open(command.next_link())
        _check_screens(other, language_for(language))
    _take_elsewhere(person, tmp_path / "elsewhere")
    person.collect()
    assert not person.errors


def _check_screens(person: Browser, language: Language) -> None:
    for path, title in SCREENS.items():
        person.go(path[1:])
        person.see(language.render(title))
        person.assert_accessible()
        assert person.all("html")[0].get_attribute("lang") == language.tag
        assert not [text for text in _words(person) if english_words(text)]


def _choose_voice_and_base(person: Browser) -> None:
    person.see("Whose voice")
    # The owner of the one export that says whose it is.
    person.see("Harry Potter (")
    person.tab_to("Next: make the examples")
    person.key(Keys.ENTER)
    person.see("What the model learns from")
    person.assert_accessible()


def _talk(person: Browser) -> None:
    wait(lambda: person.all("textarea[aria-label='Message']:enabled"))
    can_send = "//button[normalize-space()='Send' and not(@disabled)]"
    assert not person.driver.find_elements("xpath", can_send)
    person.tab_to("Message")
    person.key("Hello <b>there</b>")
    wait(lambda: person.driver.find_elements("xpath", can_send))
    person.key(Keys.ENTER)
    person.see("Hello <b>there</b>")
    # The model is of random weights: its answer can be empty.
    wait(lambda: person.all(".theirs") or "No answer." in person.text)
    person.assert_accessible()


def _take_elsewhere(person: Browser, folder: Path) -> None:
    person.go("manage")
    person.see("The voice of Harry Potter")
    person.click("Export this model")
    field = person.write("New folder", "")
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys(str(folder))
    person.click("Write")
    person.see("For Ollama: ollama create NAME -f")
    assert {path.name for path in folder.iterdir()} == {"Modelfile", "model.gguf"}
