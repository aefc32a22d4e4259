"""Lines for group events: joins, renames, shared locations and others."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from langchain_chatexports.chat_loaders.imessage.rows import Details

__all__ = ["describe_event", "is_own_location"]

_MEMBERS, _RENAMED, _LOOK, _LOCATION = 1, 2, 3, 4
_ANY_CHANGE = "changed the conversation"
_WITHOUT_DETAILS = {
    2: "removed the name of the conversation",
    5: "kept an audio message",
    6: "started FaceTime or SharePlay",
}
# `group_action_type` of a change of looks; sources disagree on which background it is.
_LOOKS = {
    0: "left the conversation",
    1: "changed the group photo",
    2: "removed the group photo",
    3: "changed the background",
    4: "changed the background",
    6: "changed the background",
}


def is_own_location(details: Details) -> bool:
    """Return whether the owner shared a location; such rows may lack `is_from_me`."""
    return (
        details.item_type == _LOCATION
        and bool(details.other_handle)
        and details.share_direction == 0
    )


def describe_event(details: Details, other: str | None) -> str:
    """Describe an event as what its sender did.

    Args:
        details: The row.
        other: The name behind `other_handle`.

    Returns:
        One line in brackets.
    """
    return f"[{_sentence(details, other or 'somebody')}]"


def _sentence(details: Details, other: str) -> str:
    kind, action = details.item_type, details.group_action_type or 0
    if kind == _MEMBERS and action:
        return f"removed {other}"
    if kind == _MEMBERS:
        is_new_address = details.other_handle == details.handle_id
        return "changed their address" if is_new_address else f"added {other}"
    if kind == _RENAMED and details.group_title:
        return f"named the conversation “{details.group_title}”"
    if kind == _LOCATION:
        verb = "stopped" if details.share_status == 1 else "started"
        return f"{verb} sharing location"
    if kind == _LOOK:
        return _LOOKS.get(action, _ANY_CHANGE)
    return _WITHOUT_DETAILS.get(kind or 0, _ANY_CHANGE)
