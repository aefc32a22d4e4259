"""The tuner and the local server: a real training over the real API."""

import asyncio
import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests

from langchain_chatexports import ChatFineTuner, FineTuningRun, LocalServer
from tests.unit_tests.builders.tiny_base import dialogues, tiny_tokenizer
from tests.unit_tests.builders.tuners import achat, chat, forget_clients

pytestmark = pytest.mark.training


@pytest.fixture(scope="module")
def server(
    tiny_base: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalServer]:
    data_dir = tmp_path_factory.mktemp("data")
    with LocalServer(tiny_base, data_dir=data_dir, threads=1) as running:
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


@pytest.fixture(scope="module")
def steps() -> list[int]:
    """The steps that `on_event` has received."""
    return []


@pytest.fixture(scope="module")
def tuner(server: LocalServer, steps: list[int]) -> ChatFineTuner:
    def on_event(event: object) -> None:
        data = getattr(event, "data", None)
        if isinstance(data, dict) and "step" in data:
            steps.append(data["step"])

    return tuner_for(
        server,
        suffix="codex-me",
        on_event=on_event,
        allow_trailing=True,
        delete_training_file=True,
    )


def trailing_examples() -> list[dict[str, Any]]:
    """Return examples that end with the user, as in bad tutorials."""
    examples = dialogues(mark="trailing")
    for example in examples:
        example["messages"].append({"role": "user", "content": "Again!"})
    return examples


@pytest.fixture(scope="module")
def run(tuner: ChatFineTuner) -> FineTuningRun:
    """A finished run, shared by most tests, because it takes ten seconds."""
    return tuner.submit(trailing_examples()).wait()


def test_trained_model_answers(run: FineTuningRun, steps: list[int]) -> None:
    model = run.chat_model()
    assert model.model_name.startswith("ft:tiny:")
    assert steps
    assert steps == sorted(set(steps))
    assert isinstance(chat(model), str)


def test_same_call_finds_the_job(tuner: ChatFineTuner, run: FineTuningRun) -> None:
    assert tuner.invoke(trailing_examples()).model_name == run.chat_model().model_name
    assert asyncio.run(_submit_and_ask(tuner)) == run.id


async def _submit_and_ask(tuner: ChatFineTuner) -> str:
    run = await (await tuner.asubmit(trailing_examples())).await_()
    assert isinstance(await achat(run.chat_model()), str)
    return run.id


# langchain-openai leaves its connections to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
class TestTunedChatModel(ChatModelIntegrationTests):
    """langchain-tests' suite, without the features that the server rejects."""

    run: FineTuningRun
    base_model: str

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _tuned(cls, server: LocalServer, run: FineTuningRun) -> Iterator[None]:
        cls.base_model = server.base_model
        cls.run = run
        yield
        gc.collect()

    @pytest.fixture(autouse=True)
    def _forget_clients(self) -> Iterator[None]:
        yield
        forget_clients()

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, Any]:
        tuned = self.run.chat_model()
        names = tuned.model_fields_set - set(self.standard_chat_model_params)
        return {name: getattr(tuned, name) for name in names}

    @pytest.fixture
    def model(self, request: pytest.FixtureRequest) -> BaseChatModel:
        """The chat model of the run."""
        settings: dict[str, Any] = {"temperature": 1, "seed": 7, "max_tokens": 20}
        # Random weights may end an answer before its first word.
        settings["logit_bias"] = {tiny_tokenizer().eos_token_id: -100}
        params = {**self.standard_chat_model_params, **settings}
        return self.run.chat_model(**params, **(getattr(request, "param", None) or {}))

    @property
    def model_override_value(self) -> str:
        return self.base_model

    @property
    def has_tool_calling(self) -> bool:
        return False

    @property
    def has_structured_output(self) -> bool:
        return False

    @property
    def supports_json_mode(self) -> bool:
        return False
