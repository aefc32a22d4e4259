"""The text of a message in OpenAI's shape, and which messages are prompts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PROMPT_ROLES = frozenset({"system", "developer"})
"""The roles of messages that nobody said in the chat."""


def message_text(message: Mapping[str, Any]) -> str:
    """Return the text of a message, whose content may be a list of parts."""
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content)
    return content or ""
