"""langchain-community's conversion to OpenAI's message dicts and back.

The results are the same. langchain-core's `convert_to_messages` differs: it sets
`name`, and refuses roles that OpenAI does not have.

For training, prefer `to_training_examples`: it is lazy, counts messages, and skips
those that providers refuse.
"""

from collections.abc import Iterable, Mapping
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

__all__ = [
    "convert_dict_to_message",
    "convert_message_to_dict",
    "convert_messages_for_finetuning",
    "convert_openai_messages",
]

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


def convert_openai_messages(messages: Iterable[Mapping[str, Any]]) -> list[BaseMessage]:
    """Convert OpenAI's message dicts to messages, as langchain-community does.

    Args:
        messages: The dicts.

    Returns:
        A message for each dict.
    """
    return [convert_dict_to_message(message) for message in messages]


def convert_dict_to_message(_dict: Mapping[str, Any]) -> BaseMessage:
    """Convert OpenAI's message dict to a message, as langchain-community does.

    Args:
        _dict: The dict.

    Returns:
        The message; a `ChatMessage` for a role that OpenAI does not have.

    Raises:
        ValueError: If the dict has no role.
    """
    role, content = _dict.get("role"), _dict.get("content", "")
    if not isinstance(role, str):
        msg = "A message dict has no role: {'role': 'user', 'content': ...}."
        raise ValueError(msg)  # noqa: TRY004 - as langchain-community's is
    match role:
        case "user":
            return HumanMessage(content)
        case "assistant":
            extra = {key: _dict[key] for key in _EXTRA_KEYS if _dict.get(key)}
            # OpenAI sets null with a call.
            return AIMessage(content or "", additional_kwargs=extra)
        case "system":
            return SystemMessage(content)
        case "function":
            name: Any = _dict.get("name")
            return FunctionMessage(content=content, name=name)
        case "tool":
            return ToolMessage(
                content,
                tool_call_id=_dict.get("tool_call_id"),
                additional_kwargs={"name": _dict["name"]} if "name" in _dict else {},
            )
    return ChatMessage(content=content, role=role)


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
