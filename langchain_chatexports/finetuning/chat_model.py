"""Create the chat model of a tuned model."""

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

from langchain_chatexports._tokens import tokens_by_bytes
from langchain_chatexports.datasets.estimate import example_tokens
from langchain_chatexports.finetuning.connection import Connection, http_clients


class TunedChatOpenAI(ChatOpenAI):
    """A `ChatOpenAI` that counts tokens with the tokenizer of its base.

    `ChatOpenAI` counts with tiktoken, which downloads an encoding that is not the
    model's. This class asks the model's server (`POST /tokenize`, as in the local
    server and vLLM); if there is no such route, tokens are estimated by bytes.
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
        """Return the ids of a text's tokens."""
        if self.custom_get_token_ids is not None:
            return self.custom_get_token_ids(text)
        found = self._tokenized(prompt=text)
        if found is None:
            msg = "The model's server has no route /tokenize. Use get_num_tokens."
            raise NotImplementedError(msg)
        return list(found["tokens"])

    def get_num_tokens(self, text: str) -> int:
        """Return the number of tokens in a text."""
        if self.custom_get_token_ids is not None:
            return len(self.custom_get_token_ids(text))
        found = self._tokenized(prompt=text)
        return tokens_by_bytes(text) if found is None else int(found["count"])

    def get_num_tokens_from_messages(
        self,
        messages: Sequence[BaseMessage],
        tools: Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> int:
        """Return the number of tokens in a chat, including the chat template.

        Tools are estimated, and so are chats that the server cannot render.
        """
        del kwargs  # Images are not downloaded.
        chat = convert_to_openai_messages(list(messages))
        listed = [convert_to_openai_tool(tool) for tool in tools or ()]
        of_tools = tokens_by_bytes(str(listed)) if listed else 0
        found = self._tokenized(messages=chat)
        if found is None:
            return example_tokens({"messages": chat}, tokens_by_bytes) + of_tools
        return int(found["count"]) + of_tools

    def _tokenized(self, **body: Any) -> dict[str, Any] | None:
        """Return the server's answer; `None` if it does not count tokens."""
        try:
            answer: Any = self.root_client.post(
                "/tokenize", body={"model": self.model_name, **body}, cast_to=object
            )
        except APIStatusError:
            return None
        return answer if isinstance(answer, dict) and "count" in answer else None


def chat_model(
    connection: Connection, name: str, base_model: str, **kwargs: Any
) -> ChatOpenAI:
    """Create a chat model for the same server, independent of the environment."""
    client = connection.client
    sync_client, async_client = http_clients()
    # langchain-openai accepts a proxy or HTTP clients, but not both.
    proxy = kwargs.pop("openai_proxy", None) or os.environ.get("OPENAI_PROXY") or None
    arguments: dict[str, Any] = {
        "model": name,
        "base_url": str(client.base_url).rstrip("/"),
        "api_key": client.api_key,
        "organization": client.organization,
        "default_headers": connection.headers or None,
        # `codex` in the suffix would switch to the Responses API.
        "use_responses_api": False,
        # tiktoken does not know the names of tuned models.
        "tiktoken_model_name": base_model,
        "stream_usage": True,
        "openai_proxy": None,
        "http_client": sync_client(proxy=proxy),
        "http_async_client": async_client(proxy=proxy),
    }
    kind: type[ChatOpenAI] = TunedChatOpenAI
    with suppress(KeyError):
        encoding_name_for_model(base_model)
        kind = ChatOpenAI
    return kind(**arguments | kwargs)


def model_profile(given: object, base_model: str) -> Any:
    """Return the server's profile of a model, or else langchain-openai's."""
    if isinstance(given, dict):
        known = {k: v for k, v in given.items() if k in ModelProfile.__annotations__}
        with suppress(ValidationError):
            if profile := TypeAdapter(ModelProfile).validate_python(known):
                return profile
    # Jobs name `gpt-4.1-mini-2025-04-14`, which langchain-openai calls `gpt-4.1-mini`.
    name = re.sub(r"-(\d{4}-\d{2}-\d{2}|\d{4})$", "", base_model)
    return ChatOpenAI(model=name, api_key=SecretStr("-"), openai_proxy=None).profile
