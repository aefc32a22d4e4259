"""Blind tests on the page, with a server that answers fixed texts."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from langchain_chatexports.local_server import Model, Workspace
from langchain_chatexports.page.guess_state import Guess
from tests.unit_tests.builders.openai_server import BASE_MODEL, KEY, OpenAIServer
from tests.unit_tests.builders.workspaces import add_tuned_model

_SECONDS = 120
_TRAINING = [[(f"what of number {n}?", f"number {n} is fine")] for n in range(5)]
_HELD_OUT = [
    [(f"and where is the {thing}?", f"the {thing} is at home")]
    for thing in ("cat", "drum", "kettle", "ladder")
]


@pytest.fixture
def guess(server: OpenAIServer, tmp_path: Path) -> Guess:
    local: Any = SimpleNamespace(
        base_url=server.base_url, api_key=KEY, base_model=BASE_MODEL
    )
    return Guess(Workspace(tmp_path), lambda _: local)


def _play(guess: Guess, folder: Path, held_out: Any = _HELD_OUT) -> Model:
    model = add_tuned_model(Workspace(folder), _TRAINING, held_out)
    guess.play(model, 20)
    guess.work.join(_SECONDS)
    return model


def test_each_pair_has_one_answer_of_the_model(
    guess: Guess, server: OpenAIServer, tmp_path: Path
) -> None:
    model = _play(guess, tmp_path)
    assert guess.work.error is None
    assert guess.test is not None
    pairs = guess.test.pairs
    assert {pair.answers[1 - pair.real] for pair in pairs} == {"Slow and steady"}
    assert {pair.answers[pair.real] for pair in pairs} == {
        answer for ((_, answer),) in _HELD_OUT
    }
    assert {chat["model"] for chat in server.chats} == {model.name}
    for pair in pairs:
        guess.choose(pair, pair.real)
        guess.choose(pair, pair.real)  # In another tab, or by a double click.
    assert guess.test.result is not None
    assert guess.test.result.right == 4
    guess.end()
    assert guess.test is None


def test_missing_held_out_data_is_explained(guess: Guess, tmp_path: Path) -> None:
    _play(guess, tmp_path, held_out=[])
    assert guess.test is None
    assert "Nothing to evaluate" in str(guess.work.error)
    assert "at least 50 distinct examples" in str(guess.work.error)


def test_unsuitable_pairs_are_explained(
    guess: Guess, server: OpenAIServer, tmp_path: Path
) -> None:
    server.words = ("see https://x.example",)
    _play(guess, tmp_path)
    assert guess.test is None
    assert "No suitable pairs" in str(guess.work.error)


def test_game_stops_between_answers(
    guess: Guess, server: OpenAIServer, tmp_path: Path
) -> None:
    def stop(request: str) -> None:
        if request.endswith("/chat/completions"):
            guess.work.stop()

    server.before_work = stop
    _play(guess, tmp_path)
    assert not guess.work.is_running
    assert guess.work.error is None
    assert len(server.chats) == 1
    assert (guess.test, guess.is_using_server) == (None, False)
