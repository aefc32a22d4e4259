from typing import Any, cast

import pytest
from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import AIMessage, HumanMessage

from langchain_chatexports.datasets.examples import to_training_examples
from langchain_chatexports.datasets.system_prompts import persona_prompt


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
        # In a group, only the people who wrote.
        (
            _session("Ann", "Ben", participants=["Ann", "Ben", "Eve"], is_group=True),
            "You are Ann. You are chatting with Ben.",
        ),
        # In a conversation of two, also a participant who did not write.
        (
            _session("Ann", participants=["Ann", "Ben"], is_group=False),
            "You are Ann. You are chatting with Ben.",
        ),
        # An owner with two names.
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
def test_prompt_names_people(session: ChatSession, prompt: str | None) -> None:
    assert persona_prompt(session) == prompt


def test_long_list_of_names_is_shortened() -> None:
    crowd = [f"Friend {letter}" for letter in "ABCDEFGHIJ"]
    prompt = str(persona_prompt(_session("Ann", *crowd, is_group=True)))
    assert prompt.endswith("Friend G, Friend H and others.")


def test_prompt_only_names_people_in_the_example() -> None:
    group = _session("Ann", "Ben", is_group=True)
    late = HumanMessage("?", additional_kwargs={"sender": "Late"})
    session = cast("ChatSession", {**group, "messages": [*group["messages"], late]})
    (example,) = to_training_examples([session], system=persona_prompt)
    assert example["messages"][0] == {
        "role": "system",
        "content": "You are Ann. You are chatting with Ben.",
    }


def test_no_prompt_without_names() -> None:
    (example,) = to_training_examples([_session("Me", "You")], system=persona_prompt)
    assert [message["role"] for message in example["messages"]] == ["user", "assistant"]
