"""LangChain's two tutorials run as documented, including the streamed answer.

They train the tiny base, and the default one only before a release, because it takes
minutes. `local_server/test_real_model.py` trains the default one for a few steps.
"""

from collections.abc import Callable

import pytest

from tests.integration_tests.tutorials.page import Outcome

pytestmark = [
    pytest.mark.training,
    pytest.mark.parametrize(
        "server",
        ["tiny", pytest.param("default", marks=pytest.mark.release)],
        indirect=True,
    ),
]


def test_facebook_messenger_tutorial_runs(
    tutorial: Callable[[str], list[Outcome]],
) -> None:
    outcomes = tutorial("Facebook Messenger")

    assert len(outcomes) == 21
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


def test_imessage_tutorial_runs(tutorial: Callable[[str], list[Outcome]]) -> None:
    outcomes = tutorial("iMessage")

    assert len(outcomes) == 14
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
