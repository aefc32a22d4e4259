from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration_tests.tutorials.page import read_blocks

if TYPE_CHECKING:
    from typing import Any


SECTION = "Facebook Messenger"


@pytest.mark.training
def test_facebook_messenger_tutorial_ends_with_streamed_text(tutorial: Any) -> None:
    blocks = read_blocks(SECTION)

    outcomes = tutorial(SECTION)

    said = [block.output for block in blocks]
    shown = [outcome.shown for outcome in outcomes]
    assert len(shown) == len(blocks) == 21
    for index, expected in enumerate(said):
        if expected is not None:
            assert shown[index].strip() == expected.strip()
    values = {row.code.splitlines()[-1]: row.value for row in outcomes}
    assert values["len(chat_sessions)"] == 9
    assert values["len(training_examples)"] == 100
    hermione = values['chat_session["messages"][:3]']
    assert [(m["type"], m["sender"]) for m in hermione] == [
        ("human", "Harry Potter"),
        ("human", "Hermione Granger"),
        ("human", "Harry Potter"),
    ]
    first_session = values['alternating_sessions[0]["messages"][:3]']
    assert [(m["type"], m["sender"]) for m in first_session] == [
        ("ai", "Harry Potter"),
        ("human", "Ginny Weasley"),
        ("ai", "Harry Potter"),
    ]
    model_name, streamed = outcomes[-4].printed, outcomes[-1].printed
    assert model_name.startswith("ft:")
    assert streamed.strip()
