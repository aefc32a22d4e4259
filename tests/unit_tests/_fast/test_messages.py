"""Messages created without validation equal those of the constructors."""

import pickle
from typing import Any

import pytest
from langchain_core.load import dumps
from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, HumanMessage

from langchain_chatexports._fast.messages import (
    copy_with_changes,
    create_ai_message,
    create_human_message,
)

TEXT = "Speed is key!"


def kwargs() -> dict[str, Any]:
    return {"sender": "Hare", "events": [{"message_time": "2023-08-28T00:32:03+00:00"}]}


def construct(kind: type[Any], **fields: Any) -> Any:
    return kind(content=TEXT, additional_kwargs=kwargs(), **fields)


def construct_ai(**fields: Any) -> Any:
    return construct(AIMessage, response_metadata={}, **fields)


def plain_ai(message_id: str | None, name: str | None) -> AIMessage:
    return create_ai_message(TEXT, kwargs(), message_id=message_id, name=name)


def check_equal(one: BaseMessage, other: BaseMessage) -> None:
    assert one == other
    assert type(one) is type(other)
    assert list(vars(one).items()) == list(vars(other).items())
    assert one.model_extra == other.model_extra


@pytest.mark.parametrize(
    ("plain", "expected"),
    [
        (create_human_message(TEXT, kwargs(), None), construct(HumanMessage, id=None)),
        (
            create_human_message(TEXT, kwargs(), "A-1"),
            construct(HumanMessage, id="A-1"),
        ),
        (plain_ai(None, None), construct_ai(id=None, name=None)),
        (plain_ai("A-1", "Hare"), construct_ai(id="A-1", name="Hare")),
    ],
)
def test_plain_message_is_equal(plain: BaseMessage, expected: BaseMessage) -> None:
    check_equal(plain, expected)
    assert dumps(plain) == dumps(expected)
    assert plain.model_dump_json() == expected.model_dump_json()
    assert pickle.loads(pickle.dumps(plain)) == expected  # noqa: S301 - our own
    assert plain.model_copy(deep=True) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (create_human_message("", {}, None), create_human_message("", {}, None)),
        (plain_ai(None, None), plain_ai(None, None)),
    ],
)
def test_plain_messages_share_no_objects(one: BaseMessage, other: BaseMessage) -> None:
    for name, value in vars(one).items():
        if isinstance(value, (dict, list, set)):
            assert value is not getattr(other, name), name
    assert one.model_extra is not other.model_extra


@pytest.mark.parametrize(
    "message", [create_human_message(TEXT, kwargs(), None), plain_ai(None, None)]
)
def test_all_fields_count_as_set(message: BaseMessage) -> None:
    """Messages share the set, so assigning a field must not change it."""
    assert message.model_fields_set == set(type(message).model_fields)
    assert message.model_dump(exclude_unset=True) == message.model_dump()


CHANGES = {"content": "Steady wins.", "additional_kwargs": {"weight": 0}}


@pytest.mark.parametrize(
    "message",
    [
        construct(HumanMessage, id="A-1"),
        create_human_message(TEXT, kwargs(), "A-1"),
        AIMessage(TEXT, response_metadata={"model_name": "tortoise"}),
        ChatMessage(content=TEXT, role="user"),
        HumanMessage(TEXT, example=None),  # Like langchain-community's.
    ],
)
def test_changed_copy_equals_model_copy(message: BaseMessage) -> None:
    before = pickle.dumps(message)
    copy = copy_with_changes(message, CHANGES)
    check_equal(copy, message.model_copy(update=CHANGES))
    assert copy.model_fields_set >= message.model_fields_set | set(CHANGES)
    copy.name = "Hare"
    assert pickle.dumps(message) == before
    assert copy.model_extra is not message.model_extra
