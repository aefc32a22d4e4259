"""langchain-community's conversion to OpenAI's message dicts, with the same results.

For training, `to_training_examples` is the better choice: it is lazy, counts, and
leaves out what providers refuse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from langchain_chatexports.steps.base import iter_sessions

if TYPE_CHECKING:
    from langchain_chatexports.steps.base import SessionSource

__all__ = ["convert_message_to_dict", "convert_messages_for_finetuning"]


def convert_messages_for_finetuning(
    sessions: SessionSource,
) -> list[list[dict[str, Any]]]:
    """Convert sessions to lists of message dicts, as langchain-community does.

    Args:
        sessions: A chat loader, a session, or an iterable of sessions.

    Returns:
        One list a session that has a message by the AI; the other sessions are left
        out.
    """
    return [
        [convert_message_to_dict(message) for message in session.get("messages", ())]
        for session in iter_sessions(sessions)
        if any(isinstance(m, AIMessage) for m in session.get("messages", ()))
    ]


def convert_message_to_dict(message: BaseMessage) -> dict[str, Any]:
    """Convert a message to OpenAI's dict, as langchain-community does.

    Args:
        message: The message.

    Returns:
        `role` and `content`, and what the message has of `name`, calls and context.

    Raises:
        TypeError: If OpenAI has no role for this kind of message.
    """
    converted: dict[str, Any] = {
        "role": _role(message),
        "content": message.content,
    }
    extra = message.additional_kwargs
    if isinstance(message, AIMessage):
        for key in ("function_call", "tool_calls", "context"):
            if key in extra:
                converted[key] = extra[key]
                # OpenAI wants null, not an empty string, beside a call.
                if converted["content"] == "":
                    converted["content"] = None
    elif isinstance(message, FunctionMessage):
        converted["name"] = message.name
    elif isinstance(message, ToolMessage):
        converted["tool_call_id"] = message.tool_call_id
    if "name" in extra:
        converted["name"] = extra["name"]
    return converted


def _role(message: BaseMessage) -> str:
    if isinstance(message, ChatMessage):
        return message.role
    for kind, role in (
        (HumanMessage, "user"),
        (AIMessage, "assistant"),
        (SystemMessage, "system"),
        (FunctionMessage, "function"),
        (ToolMessage, "tool"),
    ):
        if isinstance(message, kind):
            return role
    msg = f"OpenAI has no role for a {type(message).__name__}."
    raise TypeError(msg)
