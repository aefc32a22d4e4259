"""Convert messages to OpenAI's format, with the same results as langchain-community.

For training, prefer `to_training_examples`: it is lazy, counts messages, and skips
messages that providers reject.
"""

from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from langchain_chatexports.chat_loaders.session_source import (
    SessionSource,
    iter_sessions,
)

__all__ = ["convert_message_to_dict", "convert_messages_for_finetuning"]

_EXTRA_KEYS = ("function_call", "tool_calls", "context")


def convert_messages_for_finetuning(
    sessions: SessionSource,
) -> list[list[dict[str, Any]]]:
    """Convert sessions to lists of message dicts, as langchain-community does.

    Args:
        sessions: A chat loader, a session, or an iterable of sessions.

    Returns:
        One list per session that contains an AI message.
    """
    return [
        [convert_message_to_dict(message) for message in session.get("messages", ())]
        for session in iter_sessions(sessions)
        if any(isinstance(m, AIMessage) for m in session.get("messages", ()))
    ]


def convert_message_to_dict(message: BaseMessage) -> dict[str, Any]:
    """Convert a message to OpenAI's format, as langchain-community does.

    Args:
        message: The message.

    Returns:
        A dict with `role`, `content` and, if present, `name`, calls and context.

    Raises:
        TypeError: If this type of message has no role in OpenAI's API.
    """
    converted: dict[str, Any] = {
        "role": _get_role(message),
        "content": message.content,
    }
    extra = message.additional_kwargs
    if isinstance(message, AIMessage):
        for key in _EXTRA_KEYS:
            if key in extra:
                converted[key] = extra[key]
                # OpenAI expects null instead of an empty string next to a call.
                if converted["content"] == "":
                    converted["content"] = None
    elif isinstance(message, FunctionMessage):
        converted["name"] = message.name
    elif isinstance(message, ToolMessage):
        converted["tool_call_id"] = message.tool_call_id
    if "name" in extra:
        converted["name"] = extra["name"]
    return converted


_ROLES: dict[type[BaseMessage], str] = {
    HumanMessage: "user",
    AIMessage: "assistant",
    SystemMessage: "system",
    FunctionMessage: "function",
    ToolMessage: "tool",
}


def _get_role(message: BaseMessage) -> str:
    if isinstance(message, ChatMessage):
        return message.role
    for kind, role in _ROLES.items():
        if isinstance(message, kind):
            return role
    msg = f"A {type(message).__name__} has no role in OpenAI's API."
    raise TypeError(msg)
