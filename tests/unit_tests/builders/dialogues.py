"""Training examples, built from a few letters."""

from typing import Any

_ROLES = {"s": "system", "u": "user", "a": "assistant", "c": "assistant"}


def dialogue(turns: str) -> dict[str, Any]:
    """Build an example: s system, u user, a answer, c answer as context."""
    messages: list[dict[str, Any]] = []
    for index, turn in enumerate(turns):
        message: dict[str, Any] = {"role": _ROLES[turn], "content": f"{turn}{index}"}
        if turn == "c":
            message["weight"] = 0
        messages.append(message)
    return {"messages": messages}
