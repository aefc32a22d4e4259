"""Create messages without pydantic's validation.

Most of the time spent on loading an export goes into creating messages, and most of
that into validating values of known types. These functions set the four attributes of a
pydantic model directly, as pydantic's own `__copy__` does. The tests compare the
results with those of the constructors.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from pydantic import BaseModel

_Message = TypeVar("_Message", bound=BaseMessage)

_new = object.__new__
# Bypass `__setattr__`, which validates.
_set_state, _set_fields_set, _set_extra, _set_private = (
    vars(BaseModel)[name].__set__
    for name in (
        "__dict__",
        "__pydantic_fields_set__",
        "__pydantic_extra__",
        "__pydantic_private__",
    )
)
_HUMAN = vars(HumanMessage(content=""))
_AI = vars(AIMessage(content=""))
# Messages share the names of the fields that are set. A set of its own for each message
# would be one more object for the garbage collector, whose time grows with their
# number. All fields count as set, so assigning a field does not change the set.
_HUMAN_FIELDS_SET, _AI_FIELDS_SET = set(_HUMAN), set(_AI)


def create_human_message(
    content: str, additional_kwargs: dict[str, Any], message_id: str | None
) -> HumanMessage:
    """Create a human message, without copying `additional_kwargs`."""
    state = _HUMAN.copy()
    state["response_metadata"] = {}
    state["content"] = content
    state["additional_kwargs"] = additional_kwargs
    state["id"] = message_id
    message = _new(HumanMessage)
    _set_state(message, state)
    _set_fields_set(message, _HUMAN_FIELDS_SET)
    _set_extra(message, {})
    _set_private(message, None)
    return message


def create_ai_message(
    content: str,
    additional_kwargs: dict[str, Any],
    *,
    message_id: str | None,
    name: str | None,
) -> AIMessage:
    """Create an AI message without tool calls, without copying `additional_kwargs`."""
    state = _AI.copy()
    state["response_metadata"] = {}
    state["tool_calls"], state["invalid_tool_calls"] = [], []
    state["content"] = content
    state["additional_kwargs"] = additional_kwargs
    state["id"] = message_id
    state["name"] = name
    message = _new(AIMessage)
    _set_state(message, state)
    _set_fields_set(message, _AI_FIELDS_SET)
    _set_extra(message, {})
    _set_private(message, None)
    return message


def copy_with_changes(message: _Message, changes: Mapping[str, Any]) -> _Message:
    """Copy a message; equivalent to `message.model_copy(update=changes)`."""
    extra = message.__pydantic_extra__
    if extra or message.__pydantic_private__ is not None:
        return message.model_copy(update=changes)
    copy = _new(type(message))
    _set_state(copy, {**message.__dict__, **changes})
    fields_set = message.__pydantic_fields_set__
    is_shared = fields_set is _HUMAN_FIELDS_SET or fields_set is _AI_FIELDS_SET
    _set_fields_set(copy, fields_set if is_shared else fields_set.union(changes))
    _set_extra(copy, None if extra is None else {})
    _set_private(copy, None)
    return copy
