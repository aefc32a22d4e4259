"""The protocol of engines, and the errors that they raise."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Protocol

from langchain_chatexports.local_server.errors import RequestError
from langchain_chatexports.local_server.workspace import Model


class Engine(Protocol):
    """Answers requests in OpenAI's shape with the models of one base.

    It belongs to the event loop of its first request.
    """

    description: str
    """Its name, and why it was chosen."""

    profile: dict[str, Any]
    """LangChain's profile of the models: their limits and features."""

    def complete(
        self, model: Model, body: Mapping[str, Any]
    ) -> AsyncGenerator[bytes, None]:
        """Yield the response to a chat request.

        This is JSON in one piece, or server-sent events if `body` asks for a stream.
        Closing the iterator ends the answer.

        Raises:
            RequestError: If there is no response, or it ends early.
        """

    async def score(
        self, model: Model, messages: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        """Return the score of each assistant message.

        `index` is the message's position, `nll` and `end_nll` the negative
        log-likelihoods of its text and of the token that ends it, in nats, and `tokens`
        and `size_bytes` the size of the text.
        """

    async def tokenize(
        self, text: str | None, messages: Sequence[Mapping[str, Any]]
    ) -> list[int]:
        """Return the tokens of a text, or of a chat's prompt if there is none."""

    async def aclose(self) -> None:
        """End all answers and the child processes."""


def closed_error() -> RequestError:
    """Return the error of a request while its server stops."""
    return RequestError("The server is stopping.", status=503, code="server_error")


def deleted_error() -> RequestError:
    """Return the error of a request for a model that has been deleted."""
    msg = "The model was deleted."
    return RequestError(msg, status=404, code="model_not_found", param="model")


def context_error(context: int) -> RequestError:
    """Return the error of a request whose messages are too long."""
    msg = (
        f"This model accepts at most {context} tokens, but the messages have more. "
        "Send fewer or shorter messages."
    )
    return RequestError(msg, code="context_length_exceeded", param="messages")


def messages_error(error: Exception) -> RequestError:
    """Return the error of a request with a message that is not text."""
    msg = f"The messages are not supported: {error}."
    return RequestError(msg, code="invalid_value", param="messages")


def create_profile(
    context: int, *, has_tools: bool = False, has_schemas: bool = False
) -> dict[str, Any]:
    """Return LangChain's profile of an engine's models."""
    return {
        "max_input_tokens": context,
        "max_output_tokens": context,
        "text_inputs": True,
        "text_outputs": True,
        "image_inputs": False,
        "audio_inputs": False,
        "reasoning_output": False,
        "tool_calling": has_tools,
        "tool_choice": has_tools,
        "structured_output": has_schemas,
    }
