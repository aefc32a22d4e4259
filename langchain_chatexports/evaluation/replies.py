"""Ask a server that speaks OpenAI's protocol for replies, and the local one for prices.

OpenAI's chat route gives likelihoods of generated tokens only. No trick makes it price
a reply that is given, so elsewhere than at the local server there is no loss.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from langchain_chatexports.evaluation.jobs import JobFacts, job_facts
from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.finetuning.clients import public_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from openai import OpenAI

__all__ = [
    "CannotScoreError",
    "Message",
    "ModelServer",
    "Price",
    "Reply",
    "TooLongError",
]

Message = dict[str, str]

_TOO_LONG = "context_length_exceeded"
_ENDED = frozenset({"succeeded", "failed", "cancelled"})
_NO_ROUTE = frozenset({404, 405, 501})
NO_SCORES = "this endpoint cannot score given text"


class CannotScoreError(Exception):
    """The server has no route that prices a given reply."""


class TooLongError(Exception):
    """The messages do not fit into the model's memory."""


@dataclass(frozen=True)
class Reply:
    """What a model wrote."""

    text: str
    is_cut: bool
    """Whether it was stopped by the limit."""


@dataclass(frozen=True)
class Price:
    """What a model makes of a given reply, in nats."""

    line: int
    """Which of the messages it is."""

    nll: float
    end_nll: float | None
    size_bytes: int
    tokens: int


class ModelServer:
    """A server, asked with one client."""

    def __init__(self, client: OpenAI) -> None:
        """Take a client whose address and key are set."""
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
        """Ask a model for its next message; the same seed gives the same where it can.

        Raises:
            TooLongError: If the messages do not fit.
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
            msg = f"{self._name} gave an answer without a message."
            raise ChatExportError(msg) from None
        return Reply(str(text), choice.get("finish_reason") == "length")

    def prices(self, model: str, messages: Sequence[Message]) -> list[Price]:
        """Price the assistant's messages of a chat.

        Raises:
            CannotScoreError: If the server cannot; no other than one on this machine
                is asked, because the route is the local server's own.
            TooLongError: If the messages do not fit.
            ChatExportError: If the server cannot be asked, or refuses.
        """
        if not self.is_here:
            raise CannotScoreError(NO_SCORES)
        answer = self._post("/score", {"model": model, "messages": list(messages)})
        return [
            Price(
                turn["index"],
                turn["nll"],
                turn["end_nll"],
                turn["size_bytes"],
                turn["tokens"],
            )
            for turn in answer["turns"]
        ]

    def job_facts(self, model: str) -> JobFacts:
        """Look up what a tuned model was trained on; no message is sent for it."""
        return job_facts(self._client, model)

    def discard_jobs(self, suffix: str) -> None:
        """Cancel unfinished jobs with a suffix, and delete what they would learn."""
        import openai

        with suppress(openai.OpenAIError):
            for job in self._client.fine_tuning.jobs.list():
                is_of_it = getattr(job, "user_provided_suffix", None) == suffix
                if is_of_it and job.status not in _ENDED:
                    self._client.fine_tuning.jobs.cancel(job.id)
                    self._client.files.delete(job.training_file)

    def delete_model(self, model: str) -> None:
        """Delete a tuned model."""
        self._client.models.delete(model)

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        import openai

        try:
            return self._client.post(path, body=body, cast_to=object)
        except openai.APIStatusError as error:
            if error.code == _TOO_LONG:
                raise TooLongError from error
            if path == "/score" and self._has_no_route(error):
                raise CannotScoreError(NO_SCORES) from error
            raise self._explained(error, str(body["model"])) from error
        except openai.APIConnectionError as error:
            msg = (
                f"{self._name} does not answer. "
                "Check the address, and that the server runs."
            )
            raise ChatExportError(msg) from error

    def _has_no_route(self, error: Any) -> bool:
        return error.status_code in _NO_ROUTE and error.code != "model_not_found"

    def _explained(self, error: Any, model: str) -> ChatExportError:
        import openai

        url = self._name
        if isinstance(
            error, (openai.AuthenticationError, openai.PermissionDeniedError)
        ):
            msg = f"{url} refuses the key. Check OPENAI_API_KEY."
        elif isinstance(error, openai.NotFoundError):
            msg = f"{url} has no model {model}. Check the name."
        else:
            msg = (
                f"{url} could not answer (status {error.status_code}, "
                f"code {error.code}). Try again, or with fewer --turns."
            )
        return ChatExportError(msg)
