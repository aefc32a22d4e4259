"""Messages built without the checks of their constructors.

Building messages is most of what reading an export costs, and most of that is spent on
checking values of known types. Here the four parts of a pydantic model are put in their
places, as pydantic's own `__copy__` does. If another version of langchain-core or
pydantic builds messages in another way, the constructors build them here, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "changed_copy",
    "plain_ai_message",
    "plain_human_message",
]

_Message = TypeVar("_Message", bound=BaseMessage)
_Builder = TypeVar("_Builder", bound="Callable[..., BaseMessage]")

_new = object.__new__
_PARTS = (
    "__dict__",
    "__pydantic_fields_set__",
    "__pydantic_extra__",
    "__pydantic_private__",
)
# Assigning to a message would check the value.
_SETTERS: list[Any] = [
    getattr(vars(BaseModel).get(part), "__set__", None) for part in _PARTS
]
_set_state, _set_fields_set, _set_extra, _set_private = _SETTERS

_HUMAN = vars(HumanMessage(content=""))
_AI = vars(AIMessage(content=""))
# The fields that are given here are set, as the constructors would note.
_SET_OF_HUMAN = {"content", "additional_kwargs", "id"}
_SET_OF_AI = {*_SET_OF_HUMAN, "response_metadata", "name"}


def _human_message(
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


def _ai_message(
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


def _changed_copy(message: _Message, changes: Mapping[str, Any]) -> _Message:
    """Return what `message.model_copy(update=changes)` does."""
    extra = message.__pydantic_extra__
    if extra or message.__pydantic_private__ is not None:
        return message.model_copy(update=changes)
    copy = _new(type(message))
    _set_state(copy, {**message.__dict__, **changes})
    _set_fields_set(copy, message.__pydantic_fields_set__.union(changes))
    _set_extra(copy, None if extra is None else {})
    _set_private(copy, None)
    return copy


def _human_by_constructor(
    content: str, additional_kwargs: dict[str, Any], message_id: str | None
) -> HumanMessage:
    return HumanMessage(
        content=content, additional_kwargs=additional_kwargs, id=message_id
    )


def _ai_by_constructor(
    content: str,
    additional_kwargs: dict[str, Any],
    *,
    message_id: str | None,
    name: str | None,
) -> AIMessage:
    return AIMessage(
        content=content,
        additional_kwargs=additional_kwargs,
        response_metadata={},
        id=message_id,
        name=name,
    )


def _copy_by_pydantic(message: _Message, changes: Mapping[str, Any]) -> _Message:
    return message.model_copy(update=changes)


def _faster(fast: _Builder, plain: _Builder, *given: Any, **options: Any) -> _Builder:
    """Return the fast builder if it builds what the plain one does.

    Messages must not share lists or dictionaries that the plain version creates.
    """
    expected = plain(*given, **options)
    try:
        built, other = (vars(fast(*given, **options)) for _ in range(2))
        is_same = all(
            getattr(fast(*given, **options), part) == getattr(expected, part)
            for part in _PARTS
        )
        shared = [
            name
            for name, value in built.items()
            if name != "additional_kwargs"
            and isinstance(value, (dict, list))
            and value is other[name]
        ]
        is_same &= all(built[name] is vars(expected)[name] for name in shared)
    except (AttributeError, KeyError, TypeError):
        return plain
    return fast if is_same else plain


plain_human_message = _faster(
    _human_message, _human_by_constructor, "-", {"sender": "-"}, "1"
)
plain_ai_message = _faster(
    _ai_message, _ai_by_constructor, "-", {"sender": "-"}, message_id="1", name="-"
)
changed_copy = _faster(
    _changed_copy, _copy_by_pydantic, HumanMessage(content="-"), {"content": "+"}
)
