from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from pydantic import ValidationError

from langchain_chatexports.steps import MapAIMessages
from tests.unit_tests.builders.sessions import said, talk


def kinds(session: Any, **params: Any) -> list[str]:
    (output,) = MapAIMessages(**params).transform_session(session)
    return [message.type for message in output["messages"]]


CHAT = talk("Tortoise: Slow.", "Hare: Fast!", "Tortoise: Steady.", "Fox: Hm.")


def test_messages_of_the_sender_become_ai_messages() -> None:
    assert kinds(CHAT, sender="Hare") == ["human", "ai", "human", "human"]


@pytest.mark.parametrize(
    ("extra", "weight"),
    [
        ({}, None),
        ({"forwarded": True}, 0),
        ({"forwarded": True, "weight": 1}, 1),
        ({"forwarded": False}, None),
    ],
)
def test_forwarded_text_is_context(extra: dict[str, Any], weight: int | None) -> None:
    message = HumanMessage("theirs", additional_kwargs={"sender": "Hare", **extra})
    (output,) = MapAIMessages(sender="Hare").transform_session({"messages": [message]})
    (mapped,) = output["messages"]
    assert mapped.additional_kwargs.get("weight") == weight


def test_several_names_are_one_person() -> None:
    assert kinds(CHAT, sender=["Hare", "Fox"]) == ["human", "ai", "human", "ai"]


def test_without_a_sender_the_owner_is_the_ai() -> None:
    assert kinds(CHAT) == ["ai", "human", "ai", "human"]


@pytest.mark.parametrize("is_from_me", [False, None, "yes", 1])
def test_is_from_me_must_be_true(is_from_me: object) -> None:
    session = {"messages": [said("Hare", "Hi", is_from_me=is_from_me)]}
    assert kinds(session) == ["human"]


def test_names_are_compared_exactly() -> None:
    assert set(kinds(CHAT, sender="hare")) == {"human"}


def test_mapped_message_keeps_its_fields() -> None:
    message = HumanMessage(
        content=["a", "b"],
        additional_kwargs={"sender": "Hare", "message_time": 1},
        response_metadata={"k": "v"},
        id="m1",
        name="hare",
    )
    (output,) = MapAIMessages(sender="Hare").invoke({"messages": [message]})
    assert output["messages"] == [AIMessage(**message.model_dump(exclude={"type"}))]


@pytest.mark.parametrize("sender", ["", (), [], ("a", ""), 3, [3]], ids=repr)
def test_invalid_sender_is_refused(sender: Any) -> None:
    with pytest.raises(ValidationError, match="sender"):
        MapAIMessages(sender=sender)


ROWS = (("Ann", "agent", True), ("Bea", "customer", False), ("Cem", "agent", False))


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"role": "agent"}, ["ai", "human", "ai"]),
        ({"role": "agent", "sender": "Cem"}, ["human", "human", "ai"]),
        ({}, ["ai", "human", "human"]),
    ],
)
def test_role_selects_the_ai(params: dict[str, Any], expected: list[str]) -> None:
    messages = [
        said(name, "hi", role=role, is_from_me=mine) for name, role, mine in ROWS
    ]
    assert kinds({"messages": messages}, **params) == expected
