"""Can you tell it apart? The game in two tabs.

The server answers with fixed texts, as no random model answers with HTML.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from langchain_chatexports.local_server import Workspace, job_labels
from langchain_chatexports.page.people import person_key
from tests.integration_tests.page.conftest import (
    Browser,
    Browsers,
    Command,
    opened,
    wait,
)
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


def _reply(browser: Browser, index: int) -> None:
    def click() -> bool:
        shown = [b for b in browser.all("button.guess") if b.is_displayed()]
        if shown:
            shown[index].click()
        return bool(shown)

    browser.wait_for_connection()
    wait(click)


def test_two_tabs_play_one_game_with_hostile_messages(
    shared: Command, browsers: Browsers
) -> None:
    one, other = browsers(), browsers(width=390, is_dark=True)
    one.open(shared.link)
    one.go(f"tell-apart/{person_key(_NAME)}")
    one.see("There are only 2 pairs in these chats.")
    one.click("Play 2 pairs")
    one.see("Pair 1 of 2")
    one.see(_MODEL)
    one.see("<script>alert(3)</script>")
    other.open(shared.next_link())
    other.go(f"tell-apart/{person_key(_NAME)}")
    one.assert_accessible()
    one.click("Stop the game")
    one.see("Stop this game? Your guesses will be lost.")
    wait(lambda: one.focused == "Cancel")
    one.key(Keys.ESCAPE)
    wait(lambda: not one.all("dialog"))
    other.see("Pair 1 of 2")
    _reply(other, 0)
    one.see("of 1 right")
    wait(lambda: other.focused == "Next")
    other.assert_accessible()
    other.key(Keys.ENTER)
    one.see("Pair 2 of 2")
    _reply(one, 1)
    one.click("Next")
    other.see("of 2: too few to say.")
    for browser in (one, other):
        browser.assert_accessible()
        browser.assert_no_html()
        browser.assert_no_errors()
