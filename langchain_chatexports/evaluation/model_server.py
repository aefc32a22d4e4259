"""A client of a model server: replies and scores.

OpenAI's chat route returns likelihoods of generated tokens only, so given text is
scored with the local server's own route only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.finetuning.connection import public_url
from langchain_chatexports.finetuning.errors import is_too_long

if TYPE_CHECKING:
    from openai import OpenAI

Message = dict[str, str]

NO_SCORES = "this endpoint cannot score given text"
"""The reason for a missing loss on other servers."""

_NO_ROUTE = frozenset({404, 405, 501})


class CannotScoreError(Exception):
    """The server has no route that scores a given reply."""


class PromptTooLongError(Exception):
    """The messages do not fit into the model's context."""


@dataclass(frozen=True)
class Reply:
    """A model's reply."""

    text: str
    is_cut: bool
    """Whether the token limit ended it."""


@dataclass(frozen=True)
class ScoredReply:
    """The negative log-likelihood of a given reply, in nats."""

    index: int
    """The index of the message."""

    nll: float
    end_nll: float | None
    size_bytes: int
    tokens: int


class ModelServer:
    """A server with its OpenAI client."""

    def __init__(self, client: "OpenAI") -> None:
        self._client = client
        self._name = public_url(str(client.base_url))
        host = urlsplit(self._name).hostname or ""
        self.is_here = host in {"127.0.0.1", "::1", "localhost"}

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
            PromptTooLongError: If the messages do not fit.
            ChatExportError: If the server cannot be asked, or refuses.
        """
        body: dict[str, Any] = {
            "model": model,
            "messages": list(messages),
            "temperature": temperature,
            "top_p": 1.0,
            "max_completion_tokens": max_tokens,
            "seed": seed,
        }
        answer = self._post("/chat/completions", body)
        try:
            choice = answer["choices"][0]
            text = choice["message"]["content"] or ""
        except (KeyError, IndexError, TypeError):
            msg = f"{self._name} returned an answer without a message."
            raise ChatExportError(msg) from None
        return Reply(str(text), choice.get("finish_reason") == "length")

    def score(self, model: str, messages: Sequence[Message]) -> list[ScoredReply]:
        """Return the likelihoods of the assistant's messages in a chat.

        Raises:
            CannotScoreError: If the server cannot score. Only servers on this machine
                are asked, because the route is the local server's own.
            PromptTooLongError: If the messages do not fit.
            ChatExportError: If the server cannot be asked, or refuses.
        """
        if not self.is_here:
            raise CannotScoreError(NO_SCORES)
        answer = self._post("/score", {"model": model, "messages": list(messages)})
        names = ("index", "nll", "end_nll", "size_bytes", "tokens")
        return [
            ScoredReply(*(turn[name] for name in names)) for turn in answer["turns"]
        ]

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        import openai

        try:
            return self._client.post(path, body=body, cast_to=object)
        except openai.APIStatusError as error:
            if is_too_long(error):
                raise PromptTooLongError from error
            has_route = error.status_code not in _NO_ROUTE
            if path == "/score" and not has_route and error.code != "model_not_found":
                raise CannotScoreError(NO_SCORES) from error
            msg = self._status_message(error, str(body["model"]))
            raise ChatExportError(msg) from error
        except openai.APIConnectionError as error:
            msg = (
                f"{self._name} does not answer. "
                "Check the address, and that the server runs."
            )
            raise ChatExportError(msg) from error

    def _status_message(self, error: Any, model: str) -> str:
        import openai

        url = self._name
        refused = (openai.AuthenticationError, openai.PermissionDeniedError)
        if isinstance(error, refused):
            return f"{url} refuses the key. Check OPENAI_API_KEY."
        if isinstance(error, openai.NotFoundError):
            return f"{url} has no model {model}. Check the name."
        return (
            f"{url} could not answer (status {error.status_code}, "
            f"code {error.code}). Try again, or with fewer --turns."
        )
