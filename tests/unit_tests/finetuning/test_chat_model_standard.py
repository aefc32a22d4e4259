"""langchain-tests' unit suite for the chat model of a tuner."""

from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI
from langchain_tests.unit_tests import ChatModelUnitTests
from syrupy.assertion import SnapshotAssertion
from syrupy.matchers import path_type

from langchain_chatexports import FineTuningRun
from tests.unit_tests.builders.openai_server import KEY, OpenAIServer
from tests.unit_tests.builders.tuners import make_examples, make_tuner


class TestTunedChatModel(ChatModelUnitTests):
    run: FineTuningRun

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _tuned(cls) -> Iterator[None]:
        with OpenAIServer().running() as server:
            cls.run = (
                make_tuner(server, poll_interval=0.01).submit(make_examples()).wait()
            )
            yield

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, Any]:
        tuned = self.run.chat_model()
        names = tuned.model_fields_set - set(self.standard_chat_model_params)
        fields = {name: getattr(tuned, name) for name in names}
        return {**fields, "api_key": KEY}

    @property
    def init_from_env_params(
        self,
    ) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        return {"OPENAI_API_KEY": KEY}, {"model": "ft:x"}, {"openai_api_key": KEY}

    @pytest.fixture
    def model(self, request: pytest.FixtureRequest) -> BaseChatModel:
        """The chat model of the run."""
        params = {**self.standard_chat_model_params, "api_key": KEY}
        return self.run.chat_model(**params, **(getattr(request, "param", None) or {}))

    @pytest.fixture
    def snapshot(self, snapshot: SnapshotAssertion) -> SnapshotAssertion:
        """Ignore the server's port."""
        return snapshot.with_defaults(
            matcher=path_type({"kwargs.openai_api_base": (str,)}, regex=False)
        )
