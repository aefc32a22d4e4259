"""langchain-tests' integration suite on a tuned model of the local server's.

What the server does not offer is switched off: it refuses it, and ignores nothing.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import pytest
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests

from langchain_chatexports import ChatFineTuner, LocalServer
from tests.unit_tests.builders.tiny_base import dialogues, tiny_tokenizer
from tests.unit_tests.builders.tuners import forget_clients

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from langchain_core.language_models import BaseChatModel

    from langchain_chatexports import FineTuningRun

pytestmark = [
    pytest.mark.training,
    # langchain-openai leaves its connections to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class TestTunedChatModel(ChatModelIntegrationTests):
    run: FineTuningRun
    base_model: str

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _tuned(
        cls, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[None]:
        data_dir = tmp_path_factory.mktemp("data")
        with LocalServer(tiny_base, data_dir=data_dir, threads=1) as server:
            tuner = ChatFineTuner(
                model=server.base_model,
                base_url=server.base_url,
                api_key=server.api_key,
                n_epochs=1,
                poll_interval=0.2,
                timeout=300,
            )
            cls.base_model = server.base_model
            cls.run = tuner.submit(dialogues()).wait()
            yield
        gc.collect()

    @pytest.fixture(autouse=True)
    def _clients_end_with_their_loop(self) -> Iterator[None]:
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
        """The model itself, as the run gives it."""
        asked: dict[str, Any] = {"temperature": 1, "seed": 7, "max_tokens": 20}
        # Random weights may end an answer before its first word.
        asked["logit_bias"] = {tiny_tokenizer().eos_token_id: -100}
        params = {**self.standard_chat_model_params, **asked}
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
