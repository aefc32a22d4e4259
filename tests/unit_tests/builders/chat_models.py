"""A chat model for tests that remembers what it was asked."""

from __future__ import annotations

from typing import Any

from langchain_core.language_models import FakeListChatModel


class Recorder(FakeListChatModel):
    """Answers from a list, and remembers what it was asked."""

    asked: list[Any]

    @property
    def texts(self) -> list[list[str]]:
        """The texts of the messages of each request."""
        return [[message.text for message in messages] for messages in self.asked]

    def _stream(self, messages: list[Any], *args: Any, **kwargs: Any) -> Any:
        self.asked.append(list(messages))
        yield from super()._stream(messages, *args, **kwargs)
