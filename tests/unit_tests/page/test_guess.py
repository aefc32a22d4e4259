"""Blind tests of the page, with a server that answers fixed texts."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from langchain_chatexports.local_server import list_models
from langchain_chatexports.local_server.storage.data_directory import DataDirectory
from langchain_chatexports.local_server.storage.models import TunedModel
from langchain_chatexports.page.guess_state import Guess
from tests.unit_tests.builders.kept_models import keep_tuned
from tests.unit_tests.builders.openai_server import BASE_MODEL, KEY, OpenAIServer

_SECONDS = 120
_TRAINING = [[(f"what of number {n}?", f"number {n} is fine")] for n in range(5)]
_HELD_OUT = [
    [(f"and where is the {thing}?", f"the {thing} is at home")]
    for thing in ("cat", "drum", "kettle", "ladder")
]


@pytest.fixture
def keep(tmp_path: Path) -> Callable[..., TunedModel]:
    def keep(held_out: Any = _HELD_OUT) -> TunedModel:
        data = DataDirectory(tmp_path / "kept")
        data.prepare()
        keep_tuned(data, _TRAINING, held_out)
        (model,) = list_models(data.root)
        return model

    return keep


@pytest.fixture
def guess(server: OpenAIServer) -> Guess:
    where: Any = SimpleNamespace(
        base_url=server.base_url, api_key=KEY, base_model=BASE_MODEL
    )
    return Guess(lambda _: where)


def _play(guess: Guess, model: TunedModel, pairs: int = 20) -> None:
    guess.play(model, pairs)
    guess.work.join(_SECONDS)


def _guess_all(guess: Guess) -> None:
    assert guess.test is not None
    while (pair := guess.test.pair) is not None:
        guess.choose(pair, pair.real)
        guess.choose(pair, pair.real)  # In another tab, or by a double click.


def test_one_of_the_answers_to_what_was_held_out_is_the_models(
    guess: Guess, keep: Callable[..., TunedModel], server: OpenAIServer
) -> None:
    model = keep()
    _play(guess, model)
    assert guess.work.error is None
    assert guess.test is not None
    pairs = guess.test.pairs
    assert {pair.answers[1 - pair.real] for pair in pairs} == {"Slow and steady"}
    assert {pair.answers[pair.real] for pair in pairs} == {
        answer for ((_, answer),) in _HELD_OUT
    }
    assert {chat["model"] for chat in server.chats} == {model.name}
    _guess_all(guess)
    assert guess.test.result is not None
    assert guess.test.result.right == 4
    guess.end()
    assert guess.test is None


def test_what_held_nothing_out_is_explained(
    guess: Guess, keep: Callable[..., TunedModel]
) -> None:
    _play(guess, keep(held_out=[]))
    assert guess.test is None
    assert "There is nothing to compare the model with" in str(guess.work.error)
    assert "train on more chats" in str(guess.work.error)


def test_pairs_that_are_not_fit_make_no_test(
    guess: Guess, keep: Callable[..., TunedModel], server: OpenAIServer
) -> None:
    server.words = ("see https://x.example",)
    _play(guess, keep())
    assert guess.test is None
    assert "no pair of answers is fit" in str(guess.work.error)


def test_it_is_stopped_between_two_answers(
    guess: Guess, keep: Callable[..., TunedModel], server: OpenAIServer
) -> None:
    model = keep()

    def stop(request: str) -> None:
        if request.endswith("/chat/completions"):
            guess.work.stop()

    server.before_work = stop
    _play(guess, model)
    assert not guess.work.is_running
    assert guess.work.error is None
    assert len(server.chats) == 1
    assert (guess.test, guess.is_asking) == (None, False)
