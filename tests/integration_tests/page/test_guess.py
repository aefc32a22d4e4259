"""Guess: the blind test as a game in two tabs.

The server answers with fixed texts, as no random model answers with HTML.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from langchain_chatexports.local_server import Workspace, job_labels
from tests.integration_tests.page.conftest import Browsers, Command, opened, wait
from tests.unit_tests.builders.openai_server import KEY, OpenAIServer
from tests.unit_tests.builders.workspaces import add_tuned_model

_NAME = "<img src=x onerror=alert(1)>"
_REAL = "<b onmouseover=alert(2)>{}</b> <script>alert(3)</script>"
_MODEL = "</div><iframe src=//evil.example></iframe>{{ alert(4) }}"
_TRAINING = [[(f"what of {n}?", _REAL.format(f"{n} is fine"))] for n in range(3)]
_HELD_OUT = [[(f"{_NAME} and {n}?", _REAL.format(f"{n} is here"))] for n in "xy"]


# The page's process, in which another server answers.
_COMMAND = """
import json, sys
from types import SimpleNamespace
from langchain_chatexports.cli import main
from langchain_chatexports.page import session

class Server(SimpleNamespace):
    is_running = True

    def start(self):
        return self

    def stop(self):
        pass

address = json.loads(sys.argv.pop(1))
session.LocalServer = lambda *_, **__: Server(**address)
main()
"""


@pytest.fixture(scope="module")
def running_page(
    tmp_path_factory: pytest.TempPathFactory, tiny_base: Path
) -> Iterator[Command]:
    folder = tmp_path_factory.mktemp("page")
    suffix, metadata = job_labels(_NAME, "imessage chat.db")
    add_tuned_model(
        Workspace(folder / "data"),
        _TRAINING,
        _HELD_OUT,
        base=str(tiny_base),
        suffix=suffix,
        metadata=metadata,
    )
    with OpenAIServer(words=(_MODEL,)).running() as server:
        address = {"base_url": server.base_url, "api_key": KEY, "base_model": "tiny"}
        start = ("-c", _COMMAND, json.dumps(address))
        with opened(folder, tiny_base, start=start) as command:
            yield command


def test_two_tabs_play_one_game_with_hostile_messages(
    shared: Command, browsers: Browsers
) -> None:
    one, other = browsers(), browsers(width=390, is_dark=True)
    one.open(shared.link)
    one.go("guess")
    one.see(_NAME)
    one.click("Play")
    one.see("Pair 1 of 2")
    one.see(_MODEL)
    one.see("<script>alert(3)</script>")
    other.open(shared.next_link())
    other.go("guess")
    one.assert_accessible()
    one.click("Stop the game")
    one.see("Stop this game? Your guesses will be lost.")
    one.click("Cancel")
    wait(lambda: not one.all(".dialog"))
    other.see("Pair 1 of 2")
    other.click("A is real")
    one.see("Pair 2 of 2")
    wait(lambda: one.focused == "Pair 2 of 2")
    other.click("B is real")
    one.see("Your result")
    one.see("of 2 correct (1 expected by chance): you could")
    one.click("See 2 pairs again")
    one.see("The model")
    for browser in (one, other):
        browser.assert_accessible()
        browser.assert_no_html()
        browser.assert_no_errors()


def test_answers_are_stacked_on_phone(shared: Command, browsers: Browsers) -> None:
    browser = browsers(width=390, is_dark=True)
    browser.open(shared.link)
    browser.go("talk")
    browser.write("Message", "Hello\n")
    wait(lambda: len(browser.all(".bubble.theirs")) == 1)
    browser.click("Also show the base model")
    browser.click("Again")
    wait(lambda: len(browser.all(".bubble.theirs")) == 2)
    # The bubbles are rebuilt when the answers end.
    wait(lambda: len({b.location["x"] for b in browser.all(".bubble.theirs")}) == 1)
    browser.click("Also show the base model")
    wait(lambda: len(browser.all(".bubble.theirs")) == 1)
    browser.click("Delete the talk")
    browser.see("Delete this talk?")
    browser.assert_accessible()
    browser.click_in_dialog("Delete the talk")
    wait(lambda: not browser.all(".bubble"))
    browser.assert_no_html()
    browser.assert_no_errors()
