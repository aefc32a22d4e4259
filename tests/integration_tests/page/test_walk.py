"""A walkthrough of all screens, in two sizes, light and dark, checked with axe-core.

`PICTURES=1` saves the pictures of `docs/images`.
"""

import random
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from langchain_chatexports.local_server import Workspace
from langchain_chatexports.page.people import person_key
from langchain_chatexports.samples import write_messenger
from tests.integration_tests.page.conftest import Browser, Browsers, Command, wait
from tests.unit_tests.builders.whatsapp import WhatsAppChat

_VIEWS = [(1280, 800), (390, 844)]
_PICTURES = {
    "02-added-1280-light": "page-add",
    "03-teach-1280-light": "page-teach",
    "10-settings-390-dark": "page-settings",
}
_KEY = person_key("Ben Cole")
_WORDS = (
    "Bring Find Paint Sell Mend Wash Keep Send",
    "our your her his that this",
    "boat kettle ladder lamp piano rug tent violin",
    "today tomorrow tonight soon",
)


@pytest.fixture
def chat(tmp_path: Path) -> Path:
    """A chat of 26 days without repetitions, so that a part of it is held out."""
    texts = [" ".join(words) for words in product(*map(str.split, _WORDS))]
    random.Random(3).shuffle(texts)
    chat = WhatsAppChat.android()
    for day in range(26):
        chat.now = datetime(2024, 1, 1, 9) + timedelta(days=day)  # noqa: DTZ001
        for at in range(16):
            name = "Ben Cole" if at % 2 else "Ann Lee"
            chat.says(name, texts.pop())
    return chat.to_file(tmp_path / "WhatsApp Chat with Ann Lee.txt")


class _Walkthrough:
    """A browser whose page is checked in several states."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.findings: dict[str, list[str]] = {}

    def check(self, state: str) -> None:
        for width, height in _VIEWS:
            for is_dark in (False, True):
                self.browser.look_as(width, height, is_dark=is_dark)
                name = f"{state}-{width}-{'dark' if is_dark else 'light'}"
                self.browser.assert_fits_window()
                if found := self.browser.axe_findings():
                    self.findings[name] = found
                if name in _PICTURES:
                    self.browser.picture(_PICTURES[name])
        self.browser.look_as(*_VIEWS[0], is_dark=False)


@pytest.mark.release
@pytest.mark.training
def test_all_screens_are_accessible(
    command: Command, browsers: Browsers, chat: Path, tmp_path: Path
) -> None:
    browser = browsers()
    walkthrough = _Walkthrough(browser)
    browser.open(command.link)
    browser.see("Try it with sample chats")
    walkthrough.check("01-add")
    browser.drop(write_messenger(tmp_path / "Hogwarts"), chat)
    browser.see("416 messages")
    walkthrough.check("02-added")
    browser.go(f"teach/{_KEY}")
    browser.see("Teach it")
    browser.click("What it learns from")
    walkthrough.check("03-teach")
    browser.click("Another model")
    walkthrough.check("04-teach-open")
    browser.click("Teach it")
    browser.see("learning")
    walkthrough.check("05-learning")
    browser.see("Ben Cole has learned")
    walkthrough.check("06-learned")
    _play(walkthrough)
    _search(walkthrough)
    _forget(walkthrough)
    assert Workspace(tmp_path / "data").models.list() == ()
    assert chat.exists()
    browser.assert_no_errors()
    assert not walkthrough.findings


def _play(walkthrough: _Walkthrough) -> None:
    browser = walkthrough.browser
    browser.go(f"tell-apart/{_KEY}")
    browser.see("Which one?")
    walkthrough.check("07-play")
    play = wait(lambda: [b for b in browser.all("button") if "Play" in b.text])
    browser.click(play[0].text)
    # The model has random weights: all answers can be unsuitable. See test_tell_apart.
    wait(lambda: "Pair 1 of" in browser.text or "No two replies" in browser.text)
    walkthrough.check("08-pair")


def _search(walkthrough: _Walkthrough) -> None:
    browser = walkthrough.browser
    browser.go("search")
    browser.write("Words", f"kettle{Keys.ENTER}")
    browser.see("with “kettle”")
    walkthrough.check("09-search")


def _forget(walkthrough: _Walkthrough) -> None:
    browser = walkthrough.browser
    browser.go("settings")
    browser.see("writes like Ben Cole")
    walkthrough.check("10-settings")
    browser.write("Name or phone number", f"ben cole{Keys.ENTER}")
    browser.see("The model Ben Cole · it writes like this person")
    walkthrough.check("11-known-by")
    browser.click("Delete these, too …")
    browser.see("What stays: your chats")
    walkthrough.check("12-delete")
    browser.click_in_dialog("Delete")
    browser.see("Deleted.")
    walkthrough.check("13-forgotten")
