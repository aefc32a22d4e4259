"""Create a chat model for a tuned model."""

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from langchain_core.language_models import ModelProfile
from langchain_core.messages import BaseMessage, convert_to_openai_messages
from langchain_core.utils.function_calling import convert_to_openai_tool
from langchain_openai import ChatOpenAI
from openai import APIStatusError
from pydantic import SecretStr, TypeAdapter, ValidationError
from tiktoken.model import encoding_name_for_model

from langchain_chatexports._tokens import estimate_tokens
from langchain_chatexports.datasets.estimate import example_tokens
from langchain_chatexports.exceptions import FineTuningError
from langchain_chatexports.finetuning.connection import (
    AsyncHttpClient,
    Connection,
    HttpClient,
)
from langchain_chatexports.finetuning.settings import FineTunerSettings


class TunedChatOpenAI(ChatOpenAI):
    """A `ChatOpenAI` that counts tokens with the tokenizer of its base.

    `ChatOpenAI` uses tiktoken, which would download the encoding of another model. This
    class calls `POST /tokenize`, which the local server and vLLM support. For other
    servers, it estimates tokens from bytes.
    """

    @classmethod
    def lc_id(cls) -> list[str]:
        """Serialize as `ChatOpenAI`."""
        return ChatOpenAI.lc_id()

    def get_name(self, suffix: str | None = None, *, name: str | None = None) -> str:
        """Return the name of its runs, `ChatOpenAI`."""
        name = name or self.name or ChatOpenAI.__name__
        return super().get_name(suffix, name=name)

    def get_token_ids(self, text: str) -> list[int]:
        """Return the token ids of the text."""
        if self.custom_get_token_ids is not None:
            return self.custom_get_token_ids(text)
        response = self._tokenize(prompt=text)
        if response is None:
            msg = "The server does not support /tokenize. Use get_num_tokens."
            raise NotImplementedError(msg)
        return list(response["tokens"])

    def get_num_tokens(self, text: str) -> int:
        """Return the number of tokens in the text."""
        if self.custom_get_token_ids is not None:
            return len(self.custom_get_token_ids(text))
        response = self._tokenize(prompt=text)
        return estimate_tokens(text) if response is None else int(response["count"])

    def get_num_tokens_from_messages(
        self,
        messages: Sequence[BaseMessage],
        tools: Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> int:
        """Return the number of tokens in a chat, including the chat template.

        Tools, and chats that the server cannot render, are estimated.
        """
        del kwargs  # Do not download images.
        chat = convert_to_openai_messages(list(messages))
        schemas = [convert_to_openai_tool(tool) for tool in tools or ()]
        tool_tokens = estimate_tokens(str(schemas)) if schemas else 0
        response = self._tokenize(messages=chat)
        if response is None:
            return example_tokens({"messages": chat}, estimate_tokens) + tool_tokens
        return int(response["count"]) + tool_tokens

    def _tokenize(self, **body: Any) -> dict[str, Any] | None:
        """Return the response of `/tokenize`; `None` if it is not supported."""
        try:
            response: Any = self.root_client.post(
                "/tokenize", body={"model": self.model_name, **body}, cast_to=object
            )
        except APIStatusError:
            return None
        return response if isinstance(response, dict) and "count" in response else None


def chat_model(
    connection: Connection, name: str, base_model: str, **kwargs: Any
) -> ChatOpenAI:
    """Create a chat model for the same server, ignoring environment variables."""
    client = connection.client
    # langchain-openai accepts either a proxy or HTTP clients.
    proxy = kwargs.pop("openai_proxy", None) or os.environ.get("OPENAI_PROXY") or None
    arguments: dict[str, Any] = {
        "model": name,
        "base_url": str(client.base_url).rstrip("/"),
        "api_key": client.api_key,
        "organization": client.organization,
        "default_headers": connection.headers or None,
        # With `codex` in the name, langchain-openai would use the Responses API.
        "use_responses_api": False,
        # tiktoken does not know the names of tuned models.
        "tiktoken_model_name": base_model,
        "stream_usage": True,
        "openai_proxy": None,
        "http_client": HttpClient(proxy=proxy),
        "http_async_client": AsyncHttpClient(proxy=proxy),
    }
    model_class: type[ChatOpenAI] = TunedChatOpenAI
    with suppress(KeyError):
        encoding_name_for_model(base_model)
        model_class = ChatOpenAI
    return model_class(**arguments | kwargs)


def check_arguments(connection: Connection, settings: FineTunerSettings) -> None:
    """Raise an error if the chat model would reject `chat_model_kwargs`."""
    name, arguments = settings.model, settings.chat_model_kwargs
    try:
        chat_model(connection, name, name, **arguments)
    except ValidationError as error:
        fields = {str(item["loc"][0]) for item in error.errors() if item["loc"]}
        names = ", ".join(sorted(fields))
        msg = f"The chat model rejects chat_model_kwargs ({names}). Nothing was sent."
        raise FineTuningError(msg) from None


def model_profile(profile: object, base_model: str) -> Any:
    """Return the server's profile of a model, falling back to langchain-openai's."""
    if isinstance(profile, dict):
        fields = ModelProfile.__annotations__.keys() & profile.keys()
        known_fields = {field: profile[field] for field in fields}
        with suppress(ValidationError):
            if validated := TypeAdapter(ModelProfile).validate_python(known_fields):
                return validated
    # langchain-openai knows `gpt-4.1-mini-2025-04-14` as `gpt-4.1-mini`.
    name = re.sub(r"-(\d{4}-\d{2}-\d{2}|\d{4})$", "", base_model)
    return ChatOpenAI(model=name, api_key=SecretStr("-"), openai_proxy=None).profile
