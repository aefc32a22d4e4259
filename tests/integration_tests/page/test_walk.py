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
from langchain_chatexports.samples import write_messenger
from tests.integration_tests.page.conftest import Browser, Browsers, Command, wait
from tests.unit_tests.builders.whatsapp import WhatsAppChat

_VIEWS = [(1280, 800), (390, 844)]
_PICTURES = {
    "02-added-1280-light": "page-add",
    "03-choose-1280-light": "page-choose",
    "12-manage-390-dark": "page-manage",
}
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

    def show(self, css: str) -> None:
        """Scroll to the first matching element, for a picture."""
        script = "document.querySelector(arguments[0]).scrollIntoView()"
        self.browser.driver.execute_script(script, css)

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
    browser.see("Don't have an export yet?")
    walkthrough.check("01-add")
    browser.drop(write_messenger(tmp_path / "Hogwarts"), chat)
    browser.see("416 of 416 messages kept")
    walkthrough.show(".card")
    walkthrough.check("02-added")
    browser.click("Remove from the list")
    wait(lambda: "Hogwarts" not in browser.text)
    browser.click("Next: choose whose voice to learn")
    browser.choose("Whose voice", "Ben Cole, the export's owner")
    browser.click("Filter chats or replace names")
    browser.click("Next: create examples")
    browser.see("more held out")
    browser.see("Next: train")
    walkthrough.show("h2")
    walkthrough.check("03-choose")
    browser.click("Next: train")
    browser.see("The model reads the examples many times")
    walkthrough.check("04-training-starts")
    browser.see("Step ")
    walkthrough.check("05-training")
    browser.see("Done · ")
    walkthrough.check("06-trained")
    browser.click("Next: talk to it")
    _talk(walkthrough)
    _guess(walkthrough)
    _forget(walkthrough)
    assert Workspace(tmp_path / "data").models.list() == ()
    assert chat.exists()
    browser.assert_no_errors()
    assert not walkthrough.findings


def _talk(walkthrough: _Walkthrough) -> None:
    browser = walkthrough.browser
    browser.write("Message", f"Hello{Keys.SHIFT}{Keys.ENTER}{Keys.NULL}are you there?")
    browser.key(Keys.ENTER)
    wait(lambda: [b.text for b in browser.all(".mine")] == ["Hello", "are you there?"])
    wait(lambda: browser.all("button[aria-label^='Copy']"))
    walkthrough.check("07-talk")
    browser.click("Edit")
    browser.see("Later messages are removed")
    wait(lambda: browser.focused == "Message")
    walkthrough.check("08-edit")
    browser.key(Keys.END, " now", Keys.ENTER)
    browser.see("are you there? now")
    wait(lambda: browser.all("button[aria-label^='Copy']"))
    browser.click("New talk")
    browser.click("Earlier talks (1)")
    browser.see("1 answer")
    walkthrough.check("09-earlier-talks")
    browser.click("Continue")
    browser.see("are you there? now")


def _guess(walkthrough: _Walkthrough) -> None:
    browser = walkthrough.browser
    browser.go("guess")
    browser.choose("How many pairs", "10: just for fun")
    browser.click("Play")
    # The model has random weights: all answers can be unsuitable. See test_guess.py.
    wait(lambda: "Pair 1 of" in browser.text or "no suitable pair" in browser.text)
    walkthrough.check("10-guess")

    def guess() -> bool:
        for button in browser.all("button"):
            if button.text == "A is real":
                button.click()
        return "Your result" in browser.text or "no suitable pair" in browser.text

    wait(guess)
    walkthrough.check("11-guessed")


def _forget(walkthrough: _Walkthrough) -> None:
    browser = walkthrough.browser
    browser.go("settings")
    browser.see("The voice of Ben Cole")
    walkthrough.check("12-manage")
    browser.write("Name or phone number of the person", "ben cole")
    browser.click("Forget")
    browser.see("Model Ben Cole · it learned this voice")
    walkthrough.check("13-known-by")
    browser.click("Also delete these …")
    browser.see("Not deleted: your exports")
    walkthrough.check("14-delete")
    browser.click_in_dialog("Delete")
    browser.see("Deleted: Model Ben Cole")
    walkthrough.check("15-forgotten")
