"""The chat model of a base that tiktoken does not know."""

from collections.abc import Sequence
from typing import Any

from langchain_core.messages import BaseMessage, convert_to_openai_messages
from langchain_core.utils.function_calling import convert_to_openai_tool
from langchain_openai import ChatOpenAI
from openai import APIStatusError
from tiktoken.model import encoding_name_for_model

from langchain_chatexports._tokens import tokens_by_bytes
from langchain_chatexports.datasets.estimate import example_tokens


class TunedChatOpenAI(ChatOpenAI):
    """A `ChatOpenAI` that counts tokens by its own base.

    `ChatOpenAI` counts with tiktoken, which downloads an encoding, and it is not that
    of the model. This one asks the model's server (`POST /tokenize`, which the local
    server and vLLM have); where it has no such route, tokens are estimated by bytes.
    """

    @classmethod
    def lc_id(cls) -> list[str]:
        """Serialize as `ChatOpenAI`."""
        return ChatOpenAI.lc_id()

    def get_name(self, suffix: str | None = None, *, name: str | None = None) -> str:
        """Return the name of its runs."""
        name = name or self.name or ChatOpenAI.__name__
        return super().get_name(suffix, name=name)

    def get_token_ids(self, text: str) -> list[int]:
        """Return the ids of a text's tokens.

        Raises:
            NotImplementedError: If the server has no route for it.
        """
        if self.custom_get_token_ids is not None:
            return self.custom_get_token_ids(text)
        found = self._tokenized(prompt=text)
        if found is None:
            msg = "The model's server has no route /tokenize. Use get_num_tokens."
            raise NotImplementedError(msg)
        return list(found["tokens"])

    def get_num_tokens(self, text: str) -> int:
        """Return how many tokens a text has."""
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
        """Return how many tokens a chat has, as the model reads it.

        Tools are estimated, and so is a chat that the server cannot render.
        """
        del kwargs  # Images are not fetched.
        chat = convert_to_openai_messages(list(messages))
        listed = [convert_to_openai_tool(tool) for tool in tools or ()]
        found = self._tokenized(messages=chat)
        if found is None:
            example = {"messages": chat, "tools": listed}
            return example_tokens(example, tokens_by_bytes)
        return int(found["count"]) + (tokens_by_bytes(str(listed)) if listed else 0)

    def _tokenized(self, **body: Any) -> dict[str, Any] | None:
        """Return the server's tokens, or `None` where it counts none."""
        try:
            answer: Any = self.root_client.post(
                "/tokenize", body={"model": self.model_name, **body}, cast_to=object
            )
        except APIStatusError:
            return None
        return answer if isinstance(answer, dict) and "count" in answer else None


def chat_model_class(base_model: str) -> type[ChatOpenAI]:
    """Return the class of a model that was tuned from a base."""
    try:
        encoding_name_for_model(base_model)
    except KeyError:
        return TunedChatOpenAI
    return ChatOpenAI
