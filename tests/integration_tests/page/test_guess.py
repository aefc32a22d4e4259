"""Guess: the blind test as a game in two tabs, and the evaluation with its page.

The server answers with fixed texts, as no random model answers with HTML.
"""

from __future__ import annotations

import threading
from dataclasses import asdict
from typing import TYPE_CHECKING

import httpx
import pytest
from selenium.common.exceptions import NoAlertPresentException

from langchain_chatexports.local_server import list_models
from langchain_chatexports.local_server.storage.data_directory import (
    DataDirectory,
    RunningServer,
    write_json,
)
from langchain_chatexports.page.guess_state import evaluation_path
from tests.integration_tests.page.conftest import opened, wait
from tests.unit_tests.builders.kept_models import keep_tuned
from tests.unit_tests.builders.openai_server import KEY, OpenAIServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.integration_tests.page.conftest import Browser, Command

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


def test_an_evaluation_is_stopped_begun_again_and_shown_in_a_sandbox(
    shared: Command,
    server: OpenAIServer,
    browsers: Callable[..., Browser],
    folder: Path,
) -> None:
    (model,) = list_models(folder / "data")
    is_asked, may_answer = threading.Event(), threading.Event()

    def wait_with_answers(request: str) -> None:
        if "chat/completions" in request:
            is_asked.set()
            may_answer.wait(240)

    server.before_work = wait_with_answers
    person = browsers()
    person.open(shared.link)
    person.go("guess")
    person.click("Evaluate")
    assert is_asked.wait(240)
    person.click("Stop the evaluation")
    may_answer.set()
    wait(lambda: "Stop the evaluation" not in person.text)
    assert not evaluation_path(model).exists()
    person.click("Evaluate")
    # Closing the tab stops nothing.
    person.open("about:blank")
    wait(evaluation_path(model).exists)
    person.go("guess")
    frame = wait(lambda: person.all("iframe[sandbox='']"))[0]
    person.driver.switch_to.frame(frame)
    person.see("Does it sound like the person?")
    person.driver.switch_to.default_content()
    person.collect()
    assert not person.errors
    address = f"{person.address}evaluation/{model.path.name}"
    assert httpx.get(address).status_code == 403
    with httpx.Client() as client:
        client.get(shared.next_link())
        shown = client.get(address)
        assert "Does it sound like the person?" in shown.text
        assert "evil.example" not in shown.text
        policy = shown.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; ")
        assert policy.endswith("; sandbox")
        assert "script-src" not in policy
        assert client.get(f"{person.address}evaluation/none").text == ""


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
    person.assert_readable()
    person.click_in_dialog("Delete the talk")
    wait(lambda: not person.all(".bubble"))
    assert _shows_no_html(person)
    person.collect()
    assert not person.errors
