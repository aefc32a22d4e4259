"""Label messages with their senders."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import AIMessage, BaseMessage, SystemMessage

from langchain_chatexports._terminal import one_line
from langchain_chatexports.steps.base import SessionTransform
from langchain_chatexports.steps.select_sessions import has_several_others


class LabelSpeakers(SessionTransform):
    """Prefix messages in groups with the sender, except the AI's messages.

    Use it after `MapAIMessages`, so that the AI does not learn labels, and after
    `MergeChatRuns`, so that each run has one label.
    """

    only_groups: bool = True
    """Skip conversations of two people, even if they are groups."""

    def transform_session(self, session: ChatSession) -> Iterable[ChatSession]:
        """Label the messages of one session."""
        if self.only_groups and not has_several_others(session):
            return (session,)
        messages = [_add_label(message) for message in session.get("messages", ())]
        return ({**session, "messages": messages},)


def _add_label(message: BaseMessage) -> BaseMessage:
    sender = message.additional_kwargs.get("sender")
    if not sender or isinstance(message, (AIMessage, SystemMessage)):
        return message
    label, content = f"{one_line(str(sender))}: ", message.content
    labeled: Any = (
        f"{label}{content}" if isinstance(content, str) else [label, *content]
    )
    return message.model_copy(update={"content": labeled})
