"""Calls, members who join or leave, games and unsent messages, by the JSON's fields.

What only a sentence shows ("You missed a call from …") is in `system_lines.py`. A new
field must also be in `_NOTABLE_KEYS` of `records.py`: other messages are not looked at.
"""

from __future__ import annotations

from typing import Any

__all__ = ["has_url", "kind_from_fields"]

_URL_SIGNS = ("http://", "https://", "www.")


def kind_from_fields(message: dict[str, Any], text: str) -> str | None:
    """Return the kind of a message that nobody typed, or `None` if somebody may have.

    Args:
        message: The message's JSON object.
        text: Its text, repaired.

    Returns:
        `unsent`, or a kind of `SystemLine`.
    """
    if message.get("is_unsent") or message.get("is_taken_down"):
        return "unsent"
    kind = message.get("type")
    if message.get("call_duration") is not None or kind == "Call":
        return "call"
    if message.get("users") is not None or kind in ("Subscribe", "Unsubscribe"):
        return "members"
    # A notice of an app or game; with a link it is what somebody shared.
    if kind == "Share" and not message.get("share") and text and not has_url(text):
        return "game"
    return None


def has_url(text: str) -> bool:
    """Return whether a text holds a link."""
    folded = text.casefold()
    return any(sign in folded for sign in _URL_SIGNS)
