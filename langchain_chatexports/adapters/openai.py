"""langchain-community's conversion to OpenAI's message dicts, with the same results.

For training, prefer `to_training_examples`: it is lazy, counts messages, and skips
those that providers refuse.
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
        A list for each session with a message by the AI; other sessions are skipped.
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
        `role` and `content`, and `name`, calls and context if the message has them.

    Raises:
        TypeError: If OpenAI has no role for this kind of message.
    """
    converted: dict[str, Any] = {
        "role": _role(message),
        "content": message.content,
    }
    extra = message.additional_kwargs
    if isinstance(message, AIMessage):
        for key in _EXTRA_KEYS:
            if key in extra:
                converted[key] = extra[key]
                # With a call, OpenAI expects null, not an empty string.
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


def _role(message: BaseMessage) -> str:
    if isinstance(message, ChatMessage):
        return message.role
    for kind, role in _ROLES.items():
        if isinstance(message, kind):
            return role
    msg = f"OpenAI has no role for a {type(message).__name__}."
    raise TypeError(msg)
