"""OpenAI's messages reduced to roles and text, as chat templates render them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

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
    """Its index in the chat, from 0."""


def to_template_messages(
    messages: Sequence[Mapping[str, Any]],
) -> list[TemplateMessage]:
    """Reduce OpenAI's messages to roles and text.

    `developer` counts as `system`, `weight` 0 as not learned, and a refusal as its
    text. Several system messages at the start become one.
    """
    reduced: list[TemplateMessage] = []
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
        if role == "system" and len(reduced) == 1 and reduced[0].role == "system":
            reduced[0] = reduced[0]._replace(text=f"{reduced[0].text}\n\n{text}")
        else:
            reduced.append(TemplateMessage(role, text, is_learned, index))
    return reduced


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
