"""Blind tests and evaluations of the page, with a server that answers fixed texts."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from langchain_chatexports.local_server import list_models
from langchain_chatexports.local_server.storage.data_directory import DataDirectory
from langchain_chatexports.local_server.storage.jobs import JobStore, list_jobs
from langchain_chatexports.page.guess_state import (
    Guess,
    held_nothing_out,
)
from tests.unit_tests.builders.kept_models import keep_adapter, keep_model, keep_tuned
from tests.unit_tests.builders.openai_server import BASE_MODEL, KEY, OpenAIServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from langchain_chatexports.local_server.storage.models import TunedModel

_SECONDS = 120
_TRAINING = [[(f"what of number {n}?", f"number {n} is fine")] for n in range(5)]
_HELD_OUT = [
    [(f"and where is the {thing}?", f"the {thing} is at home")]
    for thing in ("cat", "drum", "kettle", "ladder")
]


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer().running() as server:
        yield server


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

    @contextmanager
    def hold_server(_base: str | None) -> Iterator[Any]:
        yield where

    return Guess(hold_server)


def _play(guess: Guess, model: TunedModel, pairs: int = 20) -> None:
    assert guess.play(model, pairs)
    guess.making.join(_SECONDS)


def _guess_all(guess: Guess) -> None:
    assert guess.test is not None
    while (pair := guess.test.pair) is not None:
        guess.choose(pair.real)
        guess.be_sure(3)


def test_one_of_the_answers_to_what_was_held_out_is_the_models(
    guess: Guess, keep: Callable[..., TunedModel], server: OpenAIServer
) -> None:
    model = keep()
    _play(guess, model)
    assert guess.making.error is None
    assert guess.test is not None
    pairs = guess.test.pairs
    assert {pair.answers[1 - pair.real] for pair in pairs} == {"Slow and steady"}
    assert {pair.answers[pair.real] for pair in pairs} == {
        answer for ((_, answer),) in _HELD_OUT
    }
    assert {chat["model"] for chat in server.chats} == {model.name}
    guess.be_sure(3)
    assert guess.test.guesses == []
    _guess_all(guess)
    assert guess.test.result is not None
    assert guess.test.result.right == 4
    guess.end()
    assert guess.test is None


def test_a_model_whose_training_held_nothing_out_is_known_before_the_game(
    tmp_path: Path,
) -> None:
    with_nothing = keep_model(tmp_path, "1" * 12)
    data = DataDirectory(tmp_path)
    order = {"training_file": "file-1", "validation_file": "file-2"}
    job = JobStore(data).create(order, private={}, events=[])
    keep_adapter(data, "2" * 12, job_id=job["id"])
    keep_adapter(data, "3" * 12, job_id="ftjob-unknown")
    models = list_models(tmp_path)
    assert len(models) == 3
    assert held_nothing_out(models, list_jobs(tmp_path)) == {with_nothing}


def test_what_held_nothing_out_is_explained(
    guess: Guess, keep: Callable[..., TunedModel]
) -> None:
    _play(guess, keep(held_out=[]))
    assert guess.test is None
    assert "There is nothing to compare the model with" in str(guess.making.error)
    assert "train on more chats" in str(guess.making.error)


def test_pairs_that_are_not_fit_make_no_test(
    guess: Guess, keep: Callable[..., TunedModel], server: OpenAIServer
) -> None:
    server.words = ("see https://x.example",)
    _play(guess, keep())
    assert guess.test is None
    assert "no pair of answers is fit" in str(guess.making.error)
