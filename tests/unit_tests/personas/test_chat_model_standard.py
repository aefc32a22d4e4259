"""The suites of langchain-tests on a persona."""

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests
from pydantic import SecretStr

from langchain_chatexports.datasets.replies import EarlierReply, ReplyIndex
from langchain_chatexports.personas import PersonaChatModel, VoicePrompt
from tests.unit_tests.builders.openai_server import BASE_MODEL, KEY, OpenAIServer
from tests.unit_tests.builders.tuners import forget_clients

pytestmark = [
    # langchain-openai leaves closing connections to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

VOICE = VoicePrompt(
    persona="You are Ann.", replies=ReplyIndex([EarlierReply("more tea?", "always")])
)


class _Persona:
    base_url = "http://127.0.0.1:9/v1"

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return PersonaChatModel

    @property
    def chat_model_params(self) -> dict[str, Any]:
        model = ChatOpenAI(
            model=BASE_MODEL,
            base_url=self.base_url,
            api_key=SecretStr(KEY),
            use_responses_api=False,
            stream_usage=True,
        )
        return {"model": model, "voice": VOICE}

    @property
    def has_tool_calling(self) -> bool:
        """The test server only answers with text; see `test_chat_model`."""
        return False

    @property
    def has_structured_output(self) -> bool:
        return False


class TestUnit(_Persona, ChatModelUnitTests):
    pass


class TestIntegration(_Persona, ChatModelIntegrationTests):
    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _served(cls) -> Iterator[None]:
        with OpenAIServer().running() as server:
            cls.base_url = server.base_url
            yield
        gc.collect()

    @pytest.fixture(autouse=True)
    def _forget_clients(self) -> Iterator[None]:
        yield
        forget_clients()

    @property
    def supports_json_mode(self) -> bool:
        return False

    @property
    def supports_model_override(self) -> bool:
        return True

    @property
    def model_override_value(self) -> str:
        return "gpt-4.1-nano"
