"""Messages made without their constructors are what the constructors make."""

import pickle
from typing import Any

import pytest
from langchain_core.load import dumps
from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, HumanMessage

from langchain_chatexports._fast import messages
from langchain_chatexports._fast.messages import (
    changed_copy,
    plain_ai_message,
    plain_human_message,
)

_KWARGS = {"sender": "Hare", "events": [{"message_time": "2023-08-28T00:32:03+00:00"}]}


def _kwargs() -> dict[str, Any]:
    return {**_KWARGS, "events": list(_KWARGS["events"])}


def _pairs() -> list[tuple[BaseMessage, BaseMessage]]:
    return [
        (
            plain_human_message("Speed is key!", _kwargs(), message_id),
            HumanMessage(
                content="Speed is key!", additional_kwargs=_kwargs(), id=message_id
            ),
        )
        for message_id in (None, "A-1")
    ] + [
        (
            plain_ai_message(
                "Speed is key!", _kwargs(), message_id=message_id, name=name
            ),
            AIMessage(
                content="Speed is key!",
                additional_kwargs=_kwargs(),
                response_metadata={},
                id=message_id,
                name=name,
            ),
        )
        for message_id, name in ((None, None), ("A-1", "Hare"))
    ]


@pytest.mark.parametrize(("plain", "built"), _pairs())
class TestPlainMessage:
    """A plain message beside one that its constructor built."""

    def test_is_equal(self, plain: BaseMessage, built: BaseMessage) -> None:
        assert plain == built
        assert type(plain) is type(built)

    def test_has_the_same_state(self, plain: BaseMessage, built: BaseMessage) -> None:
        assert list(vars(plain).items()) == list(vars(built).items())
        assert plain.model_extra == built.model_extra
        assert plain.model_fields_set == built.model_fields_set

    def test_dumps_alike(self, plain: BaseMessage, built: BaseMessage) -> None:
        assert dumps(plain) == dumps(built)
        assert plain.model_dump_json() == built.model_dump_json()

    def test_is_pickled_and_copied(
        self, plain: BaseMessage, built: BaseMessage
    ) -> None:
        pickled = pickle.dumps(plain)
        assert pickle.loads(pickled) == built  # noqa: S301 - our own
        assert plain.model_copy(deep=True) == built

    def test_shares_nothing_with_the_next(
        self, plain: BaseMessage, built: BaseMessage
    ) -> None:
        del built
        if isinstance(plain, AIMessage):
            other: BaseMessage = plain_ai_message("", {}, message_id=None, name=None)
        else:
            other = plain_human_message("", {}, None)
        for name, value in vars(plain).items():
            if isinstance(value, (dict, list, set)):
                assert value is not getattr(other, name), name
        assert plain.model_fields_set is not other.model_fields_set
        assert plain.model_extra is not other.model_extra


_CHANGES = {"content": "Steady wins.", "additional_kwargs": {"weight": 0}}


@pytest.mark.parametrize(
    "message",
    [
        HumanMessage("Speed is key!", additional_kwargs=_kwargs(), id="A-1"),
        AIMessage("Speed is key!", response_metadata={"model_name": "tortoise"}),
        ChatMessage(content="Speed is key!", role="user"),
        HumanMessage("Speed is key!", example=None),  # As langchain-community's.
    ],
)
class TestChangedCopy:
    """A changed copy beside the one that pydantic makes."""

    def test_is_what_pydantic_gives(self, message: BaseMessage) -> None:
        copy, expected = (
            changed_copy(message, _CHANGES),
            message.model_copy(update=_CHANGES),
        )
        assert copy == expected
        assert type(copy) is type(expected)
        assert list(vars(copy).items()) == list(vars(expected).items())
        assert copy.model_extra == expected.model_extra
        assert copy.model_fields_set == expected.model_fields_set

    def test_leaves_the_message_as_it_is(self, message: BaseMessage) -> None:
        before = pickle.dumps(message)
        copy = changed_copy(message, _CHANGES)
        copy.name = "Hare"
        assert pickle.dumps(message) == before
        assert copy.model_extra is not message.model_extra


_GIVEN: tuple[str, dict[str, Any], None] = ("Speed is key!", {}, None)


def test_the_fast_ways_are_in_use() -> None:
    assert plain_human_message is messages._human_message
    assert plain_ai_message is messages._ai_message
    assert changed_copy is messages._changed_copy


def test_where_pydantic_has_other_parts_the_constructor_builds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(messages, "_set_extra", None)
    chosen = messages._faster(
        messages._human_message, messages._human_by_constructor, *_GIVEN
    )
    assert chosen is messages._human_by_constructor


def test_where_the_constructor_sets_other_fields_it_builds() -> None:
    """As a langchain-core with one more field would."""

    def build(content: str, kwargs: dict[str, Any], _: str | None) -> HumanMessage:
        return HumanMessage(content=content, additional_kwargs=kwargs, name=None)

    assert messages._faster(messages._human_message, build, *_GIVEN) is build


def test_the_plain_ways_build_the_same() -> None:
    kwargs = _kwargs()
    assert messages._human_by_constructor("a", kwargs, "1") == (
        plain_human_message("a", kwargs, "1")
    )
    assert messages._ai_by_constructor("a", kwargs, message_id="1", name="b") == (
        plain_ai_message("a", kwargs, message_id="1", name="b")
    )
    message = plain_human_message("a", kwargs, "1")
    assert messages._copy_by_pydantic(message, _CHANGES) == (
        changed_copy(message, _CHANGES)
    )
