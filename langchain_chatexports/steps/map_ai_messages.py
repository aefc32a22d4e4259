"""Map the messages from one person or role to AI messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from langchain_core.messages import BaseMessage
from pydantic import Field, field_validator

from langchain_chatexports.chat_loaders.utils import as_ai_message
from langchain_chatexports.steps.base import MessageTransform, Names


class MapAIMessages(MessageTransform):
    """Convert the messages from one person or role to AI messages.

    Forwarded messages (`additional_kwargs["forwarded"]`) get weight 0, so they are
    context and not trained on.

    An unknown sender is not an error, since a step processes one session at a time;
    `to_training_examples` raises the error at the end of the export.
    """

    sender: str | Names | None = None
    """The sender's name, or a collection of one person's names. By default, without
    `role`, the export's owner (messages with `is_from_me`)."""

    role: str | None = Field(default=None, min_length=1)
    """The sender's role (`additional_kwargs["role"]`), such as `agent` in a table
    of support conversations. With `sender`, both must match."""

    @field_validator("sender")
    @classmethod
    def _reject_empty_names(cls, sender: str | Names | None) -> str | Names | None:
        if sender is not None and (not sender or "" in (sender, *sender)):
            msg = "sender is empty. Pass a name, or None for the export's owner."
            raise ValueError(msg)
        return sender

    def transform_messages(
        self, messages: Iterable[BaseMessage]
    ) -> Iterator[BaseMessage]:
        """Map the messages of one session."""
        for message in messages:
            is_ai = self._is_ai(message.additional_kwargs)
            yield as_ai_message(message) if is_ai else message

    def _is_ai(self, extra: Mapping[str, Any]) -> bool:
        if self.role is not None and extra.get("role") != self.role:
            return False
        if self.sender is None:
            return self.role is not None or extra.get("is_from_me") is True
        names = (self.sender,) if isinstance(self.sender, str) else self.sender
        return extra.get("sender") in names
