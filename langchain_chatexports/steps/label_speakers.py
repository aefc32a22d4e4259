"""Label messages with their senders."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import AIMessage, BaseMessage, SystemMessage
from pydantic import field_validator

from langchain_chatexports._names import safe_name
from langchain_chatexports._terminal import one_line
from langchain_chatexports.steps.base import SessionTransform
from langchain_chatexports.steps.select_sessions import has_several_others

_FIELD = "{sender}"


class LabelSpeakers(SessionTransform):
    """Label each message of a group with its sender, except the AI's messages.

    Put it after `MapAIMessages`, so that the AI does not learn labels, and after
    `MergeChatRuns`, so that a run has one label.
    """

    where: Literal["text", "name"] = "text"
    """Whether to put the label before the text, or into the message's `name`, which is
    mapped to 1 to 64 of the characters a-z, A-Z, 0-9, `_` and `-`."""

    label: str = "{sender}: "
    """The label, with `{sender}` for the sender."""

    only_groups: bool = True
    """Do not change conversations of two people, even if they are groups."""

    @field_validator("label")
    @classmethod
    def _label_names_the_sender(cls, value: str) -> str:
        if _FIELD not in value:
            msg = f"label must contain {_FIELD}, or all speakers look alike."
            raise ValueError(msg)
        return value

    def transform_session(self, session: ChatSession) -> Iterable[ChatSession]:
        """Label the messages of one session."""
        if self.only_groups and not has_several_others(session):
            return (session,)
        messages = [self._labeled(message) for message in session.get("messages", ())]
        return ({**session, "messages": messages},)

    def _labeled(self, message: BaseMessage) -> BaseMessage:
        sender = message.additional_kwargs.get("sender")
        if not sender or isinstance(message, (AIMessage, SystemMessage)):
            return message
        if self.where == "name":
            return message.model_copy(update={"name": safe_name(str(sender))})
        # Unlike `format`, this keeps other braces.
        label = self.label.replace(_FIELD, one_line(str(sender)))
        content: Any = message.content
        if isinstance(content, str):
            return message.model_copy(update={"content": f"{label}{content}"})
        return message.model_copy(update={"content": [label, *content]})
