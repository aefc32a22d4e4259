"""Every event of the format notes, in words."""

from __future__ import annotations

from typing import Any

import pytest

from langchain_chatexports.chat_loaders.imessage.events import (
    describe_event,
    is_own_location,
)
from langchain_chatexports.chat_loaders.imessage.rows import Details


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        (
            {"item_type": 1, "group_action_type": 0, "handle_id": 1, "other_handle": 2},
            "[added Hare]",
        ),
        (
            {"item_type": 1, "group_action_type": 0, "handle_id": 2, "other_handle": 2},
            "[changed their address]",
        ),
        ({"item_type": 1, "group_action_type": 1}, "[removed Hare]"),
        (
            {"item_type": 2, "group_title": "The race"},
            "[named the conversation “The race”]",
        ),
        ({"item_type": 2}, "[removed the name of the conversation]"),
        ({"item_type": 3, "group_action_type": 0}, "[left the conversation]"),
        ({"item_type": 3, "group_action_type": 1}, "[changed the group photo]"),
        ({"item_type": 3, "group_action_type": 2}, "[removed the group photo]"),
        ({"item_type": 3, "group_action_type": 3}, "[changed the background]"),
        ({"item_type": 3, "group_action_type": 4}, "[changed the background]"),
        ({"item_type": 3, "group_action_type": 6}, "[changed the background]"),
        ({"item_type": 3, "group_action_type": 99}, "[changed the conversation]"),
        ({"item_type": 4, "share_status": 0}, "[started sharing location]"),
        ({"item_type": 4, "share_status": 1}, "[stopped sharing location]"),
        ({"item_type": 5}, "[kept an audio message]"),
        ({"item_type": 6}, "[started FaceTime or SharePlay]"),
        ({"item_type": 99}, "[changed the conversation]"),
    ],
)
def test_event_is_one_line(columns: dict[str, Any], line: str) -> None:
    assert describe_event(Details(**columns), "Hare") == line


def test_somebody_without_a_handle_is_somebody() -> None:
    assert describe_event(Details(item_type=1, other_handle=9), None) == (
        "[added somebody]"
    )


@pytest.mark.parametrize(
    ("columns", "is_own"),
    [
        ({"item_type": 4, "other_handle": 1, "share_direction": 0}, True),
        ({"item_type": 4, "other_handle": 0, "share_direction": 0}, False),
        ({"item_type": 4, "other_handle": 1, "share_direction": 1}, False),
        ({"item_type": 4, "other_handle": 1}, False),
        ({"item_type": 1, "other_handle": 1, "share_direction": 0}, False),
    ],
)
def test_location_is_the_owners_if_it_goes_to_somebody(
    columns: dict[str, Any], is_own: bool
) -> None:
    assert is_own_location(Details(**columns)) is is_own
