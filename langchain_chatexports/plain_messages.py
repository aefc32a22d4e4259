"""Messages of text alone, equal to what their constructors give, in half the time.

Building messages is most of what reading an export costs, and most of that is spent
on checking values of known types. A copy of an empty message takes none of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage, HumanMessage

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

__all__ = ["plain_ai_message", "plain_human_message"]

# The fields that are given here are set, as the constructors would note.
_HUMAN = HumanMessage(content="", additional_kwargs={}, id=None)
_AI = AIMessage(
    content="", additional_kwargs={}, response_metadata={}, id=None, name=None
)


def _containers(blank: BaseMessage) -> list[tuple[str, type]]:
    """List the fields that no two messages may share."""
    return [
        (name, type(value))
        for name, value in vars(blank).items()
        if isinstance(value, (dict, list, set)) and name != "additional_kwargs"
    ]


_CONTAINERS_OF_HUMAN = _containers(_HUMAN)
_CONTAINERS_OF_AI = _containers(_AI)
# What `model_copy` calls; its own options take a tenth of the time.
_copy_of_human, _copy_of_ai = _HUMAN.__copy__, _AI.__copy__


def plain_human_message(
    content: str, additional_kwargs: dict[str, Any], message_id: str | None
) -> HumanMessage:
    """Give a person's message.

    Args:
        content: The text.
        additional_kwargs: The message's own; it is not copied.
        message_id: Its id.

    Returns:
        The message.
    """
    message = _copy_of_human()
    state = message.__dict__
    for name, container in _CONTAINERS_OF_HUMAN:
        state[name] = container()
    state["content"] = content
    state["additional_kwargs"] = additional_kwargs
    state["id"] = message_id
    return message


def plain_ai_message(
    content: str,
    additional_kwargs: dict[str, Any],
    *,
    message_id: str | None,
    name: str | None,
) -> AIMessage:
    """Give a message of the AI without tool calls.

    Args:
        content: The text.
        additional_kwargs: The message's own; it is not copied.
        message_id: Its id.
        name: Its name.

    Returns:
        The message.
    """
    message = _copy_of_ai()
    state = message.__dict__
    for field, container in _CONTAINERS_OF_AI:
        state[field] = container()
    state["content"] = content
    state["additional_kwargs"] = additional_kwargs
    state["id"] = message_id
    state["name"] = name
    return message
