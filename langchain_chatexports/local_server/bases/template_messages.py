"""OpenAI's messages reduced to roles and text, as chat templates render them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

__all__ = [
    "MessageError",
    "TemplateMessage",
    "fold_system_messages",
    "merge_repeated_roles",
    "to_template_messages",
]

_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}


class MessageError(ValueError):
    """A message that a text model cannot read; the error contains no message text."""


class TemplateMessage(NamedTuple):
    """The role and text of a message, and whether it is learned."""

    role: str
    text: str
    is_learned: bool
    number: int = 0
    """Its index in the chat, from 0; the first one where several were merged."""


def to_template_messages(
    messages: Sequence[Mapping[str, Any]],
) -> list[TemplateMessage]:
    """Reduce OpenAI's messages to roles and text.

    Args:
        messages: Messages with `role` and `content`, a string or a list of text parts.

    Returns:
        The messages; `developer` counts as `system`, `weight` 0 as not learned, and a
        refusal as its text.

    Raises:
        MessageError: If a message has a tool call, an image or no text.
    """
    reduced = []
    for index, message in enumerate(messages):
        role = _ROLES.get(str(message.get("role")))
        if role is None or message.get("tool_calls") or message.get("function_call"):
            msg = f"message {index}: the local server reads text only, no tool calls"
            raise MessageError(msg)
        content = message.get("content")
        if not content and message.get("refusal"):
            content = message["refusal"]
        text = _text_of(content, index)
        is_learned = role == "assistant" and message.get("weight", 1) != 0
        reduced.append(TemplateMessage(role, text, is_learned, index))
    return reduced


def fold_system_messages(messages: list[TemplateMessage]) -> list[TemplateMessage]:
    """Prepend the text of system messages to the next user message."""
    folded: list[TemplateMessage] = []
    waiting: list[str] = []
    for message in messages:
        if message.role == "system":
            waiting.append(message.text)
        elif message.role == "user" and waiting:
            folded.append(message._replace(text="\n\n".join([*waiting, message.text])))
            waiting = []
        else:
            folded.append(message)
    return folded


def merge_repeated_roles(messages: list[TemplateMessage]) -> list[TemplateMessage]:
    """Merge consecutive messages of the same role."""
    merged: list[TemplateMessage] = []
    for message in messages:
        if merged and merged[-1].role == message.role:
            last = merged[-1]
            merged[-1] = last._replace(
                text=f"{last.text}\n\n{message.text}",
                # If one of them must not be learned, the merged one is not.
                is_learned=last.is_learned and message.is_learned,
            )
        else:
            merged.append(message)
    return merged


def _text_of(content: Any, index: int) -> str:
    if isinstance(content, str):
        # Tokenizers refuse a lone surrogate.
        return content.encode("utf-8", "replace").decode("utf-8")
    if isinstance(content, list) and content:
        parts = [
            part.get("text", part.get("refusal"))
            for part in content
            if isinstance(part, Mapping)
        ]
        texts = [text for text in parts if isinstance(text, str)]
        if len(texts) == len(content):
            return "".join(_text_of(text, index) for text in texts)
    msg = f"message {index}: the content is not text"
    raise MessageError(msg)
