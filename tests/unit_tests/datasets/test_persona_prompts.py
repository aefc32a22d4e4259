"""The default system prompt: who the AI is, and whom it chats with."""

from typing import Any, cast

import pytest
from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import AIMessage, HumanMessage

from langchain_chatexports.datasets.examples import to_training_examples
from langchain_chatexports.datasets.persona_prompts import persona_prompt


def _session(
    own: str, *others: str, is_from_me: bool = False, **metadata: Any
) -> ChatSession:
    extra = {"sender": own, "is_from_me": is_from_me}
    messages = [
        *(HumanMessage("?", additional_kwargs={"sender": name}) for name in others),
        AIMessage("!", additional_kwargs=extra),
    ]
    return cast("ChatSession", {"messages": messages, "metadata": metadata})


@pytest.mark.parametrize(
    ("session", "prompt"),
    [
        (_session("Ann", "Ben"), "You are Ann. You are chatting with Ben."),
        (
            _session("Ann", "Ben", "Cleo", "Dan", is_group=True),
            "You are Ann. You are chatting with Ben, Cleo and Dan.",
        ),
        # In a group those who wrote; the list can be long.
        (
            _session("Ann", "Ben", participants=["Ann", "Ben", "Eve"], is_group=True),
            "You are Ann. You are chatting with Ben.",
        ),
        # A participant who wrote nothing, in a conversation of two.
        (
            _session("Ann", participants=["Ann", "Ben"], is_group=False),
            "You are Ann. You are chatting with Ben.",
        ),
        # The owner under two names.
        (
            _session(
                "Me", "Ben", is_from_me=True, owner="Ann", participants=["Ann", "Ben"]
            ),
            "You are chatting with Ben.",
        ),
        (_session("Ann", "+1 555 010 1234"), "You are Ann."),
        (_session("Ann", "ben@example.org"), "You are Ann."),
        (_session("unknown", "me"), None),
    ],
)
def test_a_prompt_names_who_has_a_name(
    session: ChatSession, prompt: str | None
) -> None:
    assert persona_prompt(session) == prompt


def test_a_crowd_is_cut_short() -> None:
    crowd = [f"Friend {letter}" for letter in "ABCDEFGHIJ"]
    prompt = str(persona_prompt(_session("Ann", *crowd, is_group=True)))
    assert prompt.endswith("Friend G, Friend H and others.")


def test_only_what_is_in_the_example_counts() -> None:
    group = _session("Ann", "Ben", is_group=True)
    late = HumanMessage("?", additional_kwargs={"sender": "Late"})
    session = cast("ChatSession", {**group, "messages": [*group["messages"], late]})
    (example,) = to_training_examples([session], system=persona_prompt)
    assert example["messages"][0] == {
        "role": "system",
        "content": "You are Ann. You are chatting with Ben.",
    }


def test_where_nobody_has_a_name_there_is_no_prompt() -> None:
    (example,) = to_training_examples([_session("Me", "You")], system=persona_prompt)
    assert [message["role"] for message in example["messages"]] == ["user", "assistant"]
