"""Client for the local server: replies and scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.finetuning.errors import is_context_length_error
from langchain_chatexports.finetuning.settings import public_url
from langchain_chatexports.personas.talk import error_message

if TYPE_CHECKING:
    from openai import OpenAI

Message = dict[str, str]


class PromptTooLongError(Exception):
    """The messages do not fit in the model's context."""


@dataclass(frozen=True)
class Reply:
    """A model's reply."""

    text: str
    is_cut: bool


@dataclass(frozen=True)
class ScoredReply:
    """The negative log-likelihood of a given reply, in nats."""

    index: int
    nll: float
    end_nll: float
    size_bytes: int
    tokens: int


class ModelClient:
    """Requests replies and scores from a server through its OpenAI client."""

    def __init__(self, client: "OpenAI") -> None:
        self._client = client

    def reply(
        self,
        model: str,
        messages: Sequence[Message],
        *,
        temperature: float,
        max_tokens: int,
        seed: int,
    ) -> Reply:
        """Return a model's next message.

        Raises:
            PromptTooLongError: If the messages do not fit in the context.
            ChatExportError: If the server cannot be reached, or rejects the request.
        """
        body: dict[str, Any] = {
            "model": model,
            "messages": list(messages),
            "temperature": temperature,
            "top_p": 1.0,
            "max_completion_tokens": max_tokens,
            "seed": seed,
        }
        choice = self._post("/chat/completions", body)["choices"][0]
        text = choice["message"]["content"] or ""
        return Reply(text, choice["finish_reason"] == "length")

    def score(self, model: str, messages: Sequence[Message]) -> list[ScoredReply]:
        """Score the assistant's messages in a chat.

        The route is an extension of the local server, since OpenAI's chat route only
        scores generated tokens.

        Raises:
            PromptTooLongError: If the messages do not fit in the context.
            ChatExportError: If the server cannot be reached, or rejects the request.
        """
        response = self._post("/score", {"model": model, "messages": list(messages)})
        names = ("index", "nll", "end_nll", "size_bytes", "tokens")
        return [
            ScoredReply(*(turn[name] for name in names)) for turn in response["turns"]
        ]

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        from openai import OpenAIError

        try:
            return self._client.post(path, body=body, cast_to=object)
        except OpenAIError as error:
            if is_context_length_error(error):
                raise PromptTooLongError from error
            server = public_url(str(self._client.base_url))
            msg = error_message(server, body["model"], error)
            raise ChatExportError(msg) from error
