"""The tuner and the local server: a real training behind the real protocol."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from langchain_chatexports import ChatFineTuner, LocalServer
from langchain_chatexports.exceptions import (
    FineTuningCancelledError,
    FineTuningUnavailableError,
)
from tests.unit_tests.builders.tiny_base import dialogues, write_tiny_base
from tests.unit_tests.builders.tuners import achat, chat

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.training


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    base = write_tiny_base(tmp_path_factory.mktemp("bases") / "tiny")
    data_dir = tmp_path_factory.mktemp("data")
    with LocalServer(base, data_dir=data_dir, threads=1) as running:
        yield running


def tuner_for(server: LocalServer, **settings: object) -> ChatFineTuner:
    return ChatFineTuner(
        **{
            "model": server.base_model,
            "base_url": server.base_url,
            "api_key": server.api_key,
            "n_epochs": 1,
            "poll_interval": 0.2,
            "timeout": 300,
            **settings,
        }
    )


def test_a_model_is_trained_and_answers(server: LocalServer) -> None:
    steps: list[int] = []

    def on_event(event: object) -> None:
        data = getattr(event, "data", None)
        if isinstance(data, dict) and "step" in data:
            steps.append(data["step"])

    tuner = tuner_for(server, suffix="codex-me", on_event=on_event)
    model = tuner.invoke(dialogues())
    assert model.model_name.startswith("ft:tiny:")
    assert steps
    assert steps == sorted(set(steps))
    assert isinstance(chat(model), str)


def test_the_same_order_finds_its_job_and_its_model(server: LocalServer) -> None:
    tuner = tuner_for(server, suffix="again")
    first = tuner.submit(dialogues()).wait()
    again = asyncio.run(_order_and_ask(tuner))
    assert again == first.id


async def _order_and_ask(tuner: ChatFineTuner) -> str:
    run = await (await tuner.asubmit(dialogues())).await_()
    assert isinstance(await achat(run.chat_model()), str)
    return run.id


def test_bad_examples_of_the_tutorials_kind_are_taken(server: LocalServer) -> None:
    """They end with the user, which OpenAI refuses."""
    examples = dialogues(mark="trailing")
    for example in examples:
        example["messages"].append({"role": "user", "content": "Again!"})
    tuner = tuner_for(server, allow_trailing=True)
    assert tuner.submit(examples).wait().status == "succeeded"


def test_a_running_job_can_be_cancelled(server: LocalServer) -> None:
    run = tuner_for(server, n_epochs=25).submit(dialogues(40, mark="cancel"))
    assert run.cancel() == "cancelled"
    with pytest.raises(FineTuningCancelledError):
        run.wait()


def test_file_and_model_can_be_deleted(server: LocalServer) -> None:
    tuner = tuner_for(server, delete_training_file=True)
    run = tuner.submit(dialogues(mark="delete")).wait()
    run.delete_training_file()
    run.delete_model()
    again = tuner.submit(dialogues(mark="delete"))
    assert again.id != run.id
    assert again.wait().status == "succeeded"


def test_a_wrong_key_is_told(server: LocalServer) -> None:
    with pytest.raises(FineTuningUnavailableError, match="refused the API key"):
        tuner_for(server, api_key="wrong").submit(dialogues())


def test_a_model_that_the_server_does_not_have_is_told(server: LocalServer) -> None:
    with pytest.raises(FineTuningUnavailableError, match="model"):
        tuner_for(server, model="gpt-4o-mini").submit(dialogues())
