"""Messages made without their constructors are what the constructors make."""

import pickle
from typing import Any

import pytest
from langchain_core.load import dumps
from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, HumanMessage

from langchain_chatexports._fast.messages import (
    changed_copy,
    plain_ai_message,
    plain_human_message,
)

TEXT = "Speed is key!"


def kwargs() -> dict[str, Any]:
    return {"sender": "Hare", "events": [{"message_time": "2023-08-28T00:32:03+00:00"}]}


def built(kind: type[Any], **fields: Any) -> Any:
    return kind(content=TEXT, additional_kwargs=kwargs(), **fields)


def plain_ai(message_id: str | None, name: str | None) -> AIMessage:
    return plain_ai_message(TEXT, kwargs(), message_id=message_id, name=name)


def check_equal(one: BaseMessage, other: BaseMessage) -> None:
    assert one == other
    assert type(one) is type(other)
    assert list(vars(one).items()) == list(vars(other).items())
    assert one.model_extra == other.model_extra
    assert one.model_fields_set == other.model_fields_set


@pytest.mark.parametrize(
    ("plain", "expected"),
    [
        (plain_human_message(TEXT, kwargs(), None), built(HumanMessage, id=None)),
        (plain_human_message(TEXT, kwargs(), "A-1"), built(HumanMessage, id="A-1")),
        (
            plain_ai(None, None),
            built(AIMessage, response_metadata={}, id=None, name=None),
        ),
        (
            plain_ai("A-1", "Hare"),
            built(AIMessage, response_metadata={}, id="A-1", name="Hare"),
        ),
    ],
)
def test_a_plain_message_is_what_its_constructor_builds(
    plain: BaseMessage, expected: BaseMessage
) -> None:
    check_equal(plain, expected)
    assert dumps(plain) == dumps(expected)
    assert plain.model_dump_json() == expected.model_dump_json()
    assert pickle.loads(pickle.dumps(plain)) == expected  # noqa: S301 - our own
    assert plain.model_copy(deep=True) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (plain_human_message("", {}, None), plain_human_message("", {}, None)),
        (plain_ai(None, None), plain_ai(None, None)),
    ],
)
def test_two_messages_share_nothing(one: BaseMessage, other: BaseMessage) -> None:
    for name, value in vars(one).items():
        if isinstance(value, (dict, list, set)):
            assert value is not getattr(other, name), name
    assert one.model_fields_set is not other.model_fields_set
    assert one.model_extra is not other.model_extra


CHANGES = {"content": "Steady wins.", "additional_kwargs": {"weight": 0}}


@pytest.mark.parametrize(
    "message",
    [
        built(HumanMessage, id="A-1"),
        AIMessage(TEXT, response_metadata={"model_name": "tortoise"}),
        ChatMessage(content=TEXT, role="user"),
        HumanMessage(TEXT, example=None),  # As langchain-community's.
    ],
)
def test_a_changed_copy_is_what_pydantic_gives(message: BaseMessage) -> None:
    before = pickle.dumps(message)
    copy = changed_copy(message, CHANGES)
    check_equal(copy, message.model_copy(update=CHANGES))
    copy.name = "Hare"
    assert pickle.dumps(message) == before
    assert copy.model_extra is not message.model_extra
