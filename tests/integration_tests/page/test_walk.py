"""The whole way as a person goes it, in two sizes, light and dark, with axe-core.

`PICTURES=1` writes the pictures of `docs/images` on the way.
"""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from langchain_chatexports.local_server import list_models
from langchain_chatexports.samples import write_messenger
from tests.integration_tests.page.conftest import Browser, Command, wait
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
    """A chat of 26 days, in which nothing repeats: a part of it is held out."""
    said = [" ".join(words) for words in product(*map(str.split, _WORDS))]
    random.Random(3).shuffle(said)
    chat = WhatsAppChat.android()
    for day in range(26):
        chat.now = datetime(2024, 1, 1, 9) + timedelta(days=day)  # noqa: DTZ001
        for at in range(16):
            name = "Ben Cole" if at % 2 else "Ann Lee"
            chat.says(name, said.pop())
    return chat.to_file(tmp_path / "WhatsApp Chat with Ann Lee.txt")


class _Walk:
    """A person, whose page is checked as it is at each stop."""

    def __init__(self, person: Browser) -> None:
        self.person = person
        self.findings: dict[str, list[str]] = {}

    def show(self, css: str) -> None:
        """Scroll to the first such element, for a picture."""
        script = "document.querySelector(arguments[0]).scrollIntoView()"
        self.person.driver.execute_script(script, css)

    def stop(self, state: str) -> None:
        for width, height in _VIEWS:
            for is_dark in (False, True):
                self.person.look_as(width, height, is_dark=is_dark)
                name = f"{state}-{width}-{'dark' if is_dark else 'light'}"
                self.person.assert_as_wide_as_its_window()
                if found := self.person.axe_findings():
                    self.findings[name] = found
                if name in _PICTURES:
                    self.person.picture(_PICTURES[name])
        self.person.look_as(*_VIEWS[0], is_dark=False)


@pytest.mark.release
@pytest.mark.training
def test_from_a_drop_to_a_forgotten_person(
    command: Command, browsers: Callable[..., Browser], chat: Path, tmp_path: Path
) -> None:
    person = browsers()
    walk = _Walk(person)
    person.open(command.link)
    person.see("No export at hand?")
    walk.stop("01-add")
    person.drop(write_messenger(tmp_path / "Hogwarts"), chat)
    person.see("416 of 416 messages kept")
    walk.show(".card")
    walk.stop("02-added")
    person.click("Remove from the list")
    wait(lambda: "Hogwarts" not in person.text)
    person.click("Next: choose whose voice to learn")
    person.choose("Whose voice", "Ben Cole, whose export it is")
    person.click("Only some of the chats, or without names")
    person.click("Next: make the examples")
    person.see("more held out")
    person.see("Next: train")
    walk.show("h2")
    walk.stop("03-choose")
    person.click("Next: train")
    person.see("Starting the local server")
    walk.stop("04-training-starts")
    person.see("Step ")
    walk.stop("05-training")
    person.see("Done · ")
    walk.stop("06-trained")
    person.click("Next: talk to it")
    _talk(walk)
    _guess(walk)
    _forget(walk)
    assert list_models(tmp_path / "data") == []
    assert chat.exists()
    person.collect()
    assert not person.errors
    assert not walk.findings


def _talk(walk: _Walk) -> None:
    person = walk.person
    person.write("Message", f"Hello{Keys.SHIFT}{Keys.ENTER}{Keys.NULL}are you there?")
    person.key(Keys.ENTER)
    wait(lambda: [b.text for b in person.all(".mine")] == ["Hello", "are you there?"])
    wait(lambda: person.all("button[aria-label^='Copy']"))
    walk.stop("07-talk")
    person.click("Edit")
    person.see("Later messages are removed")
    wait(lambda: person.tag_of_focus == "TEXTAREA")
    walk.stop("08-edit")
    person.key(Keys.END, " now", Keys.ENTER)
    person.see("are you there? now")
    wait(lambda: person.all("button[aria-label^='Copy']"))
    person.click("New talk")
    person.click("Earlier talks (1)")
    person.see("1 answer")
    walk.stop("09-earlier-talks")
    person.click("Continue")
    person.see("are you there? now")


def _guess(walk: _Walk) -> None:
    person = walk.person
    person.click("5. Guess")
    person.choose("How many pairs", "10: for fun")
    person.click("Play")
    # The model is of random weights: its answers can all be unfit. See test_guess.py.
    wait(lambda: "Pair 1 of" in person.text or "held out too little" in person.text)
    walk.stop("10-guess")
    while "Pair " in person.text and "A is real" in person.text:
        _guess_a(person)
    walk.stop("11-guessed")


def _guess_a(person: Browser) -> None:
    before = person.text
    person.click("A is real")
    wait(lambda: person.text != before)


def _forget(walk: _Walk) -> None:
    person = walk.person
    person.click("Manage")
    person.see("The voice of Ben Cole")
    walk.stop("12-manage")
    person.write("Name or number of the person", "ben cole")
    person.click("Forget")
    person.see("The model Ben Cole · it learned this voice")
    walk.stop("13-known-by")
    person.click("Delete these, too …")
    person.see("Not deleted: your exports")
    walk.stop("14-delete")
    person.click_in_dialog("Delete")
    person.see("Deleted: The model Ben Cole")
    walk.stop("15-forgotten")
