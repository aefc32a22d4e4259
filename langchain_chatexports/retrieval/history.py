"""Conversations as the history of a graph or a chain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_chatexports._fast.messages import changed_copy
from langchain_chatexports.chat_loaders.documents import chat_facts, chat_lines

if TYPE_CHECKING:
    from langchain_core.chat_sessions import ChatSession
    from langchain_core.messages import BaseMessage

__all__ = ["messages_with_ids"]


def messages_with_ids(session: ChatSession) -> list[BaseMessage]:
    """Return the messages of a session, each with an id that the next export has too.

    LangGraph's `add_messages` gives a message without an id a new one each time, and so
    adds it again. Here a message that the export has no id for gets one made of its
    conversation, time, sender and text, which is the id that documents have.

    Call it before steps that merge messages: a merged message keeps the id of its first
    one, so that a run that has grown replaces itself.

    Args:
        session: The session.
    """
    lines = chat_lines(session, chat_facts(session))
    return [
        message if message.id else changed_copy(message, {"id": line.ids[0]})
        for message, line in zip(session.get("messages", ()), lines, strict=True)
    ]
