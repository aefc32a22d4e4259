"""Chat models for tests."""

from typing import Any

from langchain_core.language_models import FakeListChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk
from openai import APIError
from pydantic import Field


class Recorder(FakeListChatModel):
    """Replies with items of a list, and records the requests."""

    asked: list[Any]
    extra: list[Any] = Field(default_factory=list)
    """The extra body of each request."""

    @property
    def texts(self) -> list[list[str]]:
        """The texts of the messages of each request."""
        return [[message.text for message in messages] for messages in self.asked]

    def _stream(self, messages: list[Any], *args: Any, **kwargs: Any) -> Any:
        self.asked.append(list(messages))
        self.extra.append(kwargs.get("extra_body"))
        yield from super()._stream(messages, *args, **kwargs)


class ContextFull(GenericFakeChatModel):
    """Fails after the first piece of a reply, because the context is full."""

    def _stream(self, *_arguments: Any, **_options: Any) -> Any:
        yield ChatGenerationChunk(message=AIMessageChunk(content="Always"))
        msg = "The context is full."
        request: Any = None
        raise APIError(msg, request, body={"code": "context_length_exceeded"})
