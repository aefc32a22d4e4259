from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration_tests.tutorials.page import read_blocks

if TYPE_CHECKING:
    from typing import Any


SECTION = "iMessage"


@pytest.mark.training
def test_imessage_tutorial_ends_with_streamed_text(tutorial: Any) -> None:
    blocks = read_blocks(SECTION)

    outcomes = tutorial(SECTION)

    said = [block.output for block in blocks]
    shown = [outcome.shown for outcome in outcomes]
    assert len(shown) == len(blocks) == 14
    for index, expected in enumerate(said):
        if expected is not None:
            assert shown[index].strip() == expected.strip()
    (first_messages,) = (row.value for row in outcomes if "[:3]" in row.code)
    assert [(m["type"], m["sender"], m["message_time"]) for m in first_messages] == [
        ("ai", "Tortoise", 1693182723),
        ("human", "Hare", 1693182753),
        ("ai", "Tortoise", 1693182783),
    ]
    assert [message["content"] for message in first_messages] == [
        "Slow and steady, that's my motto.",
        "Speed is key!",
        "A balanced approach is more reliable.",
    ]
    model_name, streamed = outcomes[-4].printed, outcomes[-1].printed
    assert model_name.startswith("ft:")
    assert streamed.strip()
