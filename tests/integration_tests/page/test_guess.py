"""Guess: the blind test as a game in two tabs.

The server answers with fixed texts, as no random model answers with HTML.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from selenium.common.exceptions import NoAlertPresentException

from langchain_chatexports.local_server.storage.data_directory import (
    DataDirectory,
    RunningServer,
    write_json,
)
from tests.integration_tests.page.conftest import Browser, Command, opened, wait
from tests.unit_tests.builders.kept_models import keep_tuned
from tests.unit_tests.builders.openai_server import KEY, OpenAIServer

_NAME = "<img src=x onerror=alert(1)>"
_REAL = "<b onmouseover=alert(2)>{}</b> <script>alert(3)</script>"
_MODEL = "</div><iframe src=//evil.example></iframe>{{ alert(4) }}"
_TRAINING = [[(f"what of {n}?", _REAL.format(f"{n} is fine"))] for n in range(3)]
_HELD_OUT = [[(f"{_NAME} and {n}?", _REAL.format(f"{n} is here"))] for n in "xy"]


def _shows_no_html(person: Browser) -> bool:
    try:
        person.driver.switch_to.alert.dismiss()
    except NoAlertPresentException:
        return not person.all("main img, iframe[src*=evil], b[onmouseover]")
    return False


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def server(folder: Path, tiny_base: Path) -> Iterator[OpenAIServer]:
    """The server that runs on the data directory, with a tuned model."""
    data = DataDirectory(folder / "data")
    data.prepare()
    with OpenAIServer(words=(_MODEL,)).running() as server, data.locked():
        base = {"base": str(tiny_base), "base_model": "tiny", "person": _NAME}
        keep_tuned(data, _TRAINING, _HELD_OUT, **base)
        write_json(data.running, asdict(RunningServer(server.base_url, "tiny", KEY)))
        yield server


@pytest.fixture(scope="module")
def running_page(
    folder: Path, tiny_base: Path, server: OpenAIServer
) -> Iterator[Command]:
    del server  # It has to run before.
    with opened(folder, tiny_base) as command:
        yield command


def test_two_tabs_play_one_game_with_hostile_messages(
    shared: Command, browsers: Callable[..., Browser]
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
    assert one.axe_findings() == []
    one.click("Stop the game")
    one.see("Stop this game? Its guesses are lost.")
    one.click("Cancel")
    wait(lambda: not one.all(".asked"))
    other.see("Pair 1 of 2")
    other.click("A is real")
    one.see("Pair 2 of 2")
    wait(lambda: one.focused == "Pair 2 of 2")
    other.click("B is real")
    one.see("Your result")
    one.see("of 2 right, guessing gives 1: you could")
    one.click("See 2 pairs again")
    one.see("The model")
    for person in (one, other):
        assert person.axe_findings() == []
    width = "return document.documentElement.scrollWidth <= innerWidth"
    assert other.driver.execute_script(width)
    for person in (one, other):
        assert _shows_no_html(person)
        person.collect()
        assert not person.errors


def test_two_voices_answer_below_each_other_on_a_phone(
    shared: Command, browsers: Callable[..., Browser]
) -> None:
    person = browsers(width=390, is_dark=True)
    person.open(shared.link)
    person.go("talk")
    person.write("Message", "Hello\n")
    wait(lambda: len(person.all(".bubble.theirs")) == 1)
    person.click("Show the base model, too")
    person.click("Again")
    wait(lambda: len(person.all(".bubble.theirs")) == 2)
    # Bubbles are drawn anew when the answers end.
    wait(lambda: len({b.location["x"] for b in person.all(".bubble.theirs")}) == 1)
    person.click("Show the base model, too")
    wait(lambda: len(person.all(".bubble.theirs")) == 1)
    person.click("Delete the talk")
    person.see("Delete this talk?")
    person.assert_accessible()
    person.click_in_dialog("Delete the talk")
    wait(lambda: not person.all(".bubble"))
    assert _shows_no_html(person)
    person.collect()
    assert not person.errors
