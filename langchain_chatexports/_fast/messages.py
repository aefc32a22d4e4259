"""Messages built without the checks of their constructors.

Building messages is most of what reading an export costs, and most of that is spent on
checking values of known types. Here the four parts of a pydantic model are put in their
places, as pydantic's own `__copy__` does. The tests compare the messages with those of
the constructors.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from pydantic import BaseModel

_Message = TypeVar("_Message", bound=BaseMessage)

_new = object.__new__
# Assigning to a message would check the value.
_set_state, _set_fields_set, _set_extra, _set_private = (
    vars(BaseModel)[part].__set__
    for part in (
        "__dict__",
        "__pydantic_fields_set__",
        "__pydantic_extra__",
        "__pydantic_private__",
    )
)
_HUMAN = vars(HumanMessage(content=""))
_AI = vars(AIMessage(content=""))
# The fields that are given here are set, as the constructors would note.
_SET_OF_HUMAN = {"content", "additional_kwargs", "id"}
_SET_OF_AI = {*_SET_OF_HUMAN, "response_metadata", "name"}


def plain_human_message(
    content: str, additional_kwargs: dict[str, Any], message_id: str | None
) -> HumanMessage:
    """Return a person's message; its `additional_kwargs` are not copied."""
    state = _HUMAN.copy()
    state["response_metadata"] = {}
    state["content"] = content
    state["additional_kwargs"] = additional_kwargs
    state["id"] = message_id
    message = _new(HumanMessage)
    _set_state(message, state)
    _set_fields_set(message, _SET_OF_HUMAN.copy())
    _set_extra(message, {})
    _set_private(message, None)
    return message


def plain_ai_message(
    content: str,
    additional_kwargs: dict[str, Any],
    *,
    message_id: str | None,
    name: str | None,
) -> AIMessage:
    """Return a message of the AI without tool calls."""
    state = _AI.copy()
    state["response_metadata"] = {}
    state["tool_calls"], state["invalid_tool_calls"] = [], []
    state["content"] = content
    state["additional_kwargs"] = additional_kwargs
    state["id"] = message_id
    state["name"] = name
    message = _new(AIMessage)
    _set_state(message, state)
    _set_fields_set(message, _SET_OF_AI.copy())
    _set_extra(message, {})
    _set_private(message, None)
    return message


def changed_copy(message: _Message, changes: Mapping[str, Any]) -> _Message:
    """Return a copy, as `message.model_copy(update=changes)` does."""
    extra = message.__pydantic_extra__
    if extra or message.__pydantic_private__ is not None:
        return message.model_copy(update=changes)
    copy = _new(type(message))
    _set_state(copy, {**message.__dict__, **changes})
    _set_fields_set(copy, message.__pydantic_fields_set__.union(changes))
    _set_extra(copy, None if extra is None else {})
    _set_private(copy, None)
    return copy
