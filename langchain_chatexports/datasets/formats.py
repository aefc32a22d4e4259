"""Dataset formats, which encode an example as rows.

OpenAI's format stores examples unchanged. TRL's only supports text.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

FormatName: TypeAlias = Literal["openai", "trl-prompt-completion"]
"""The formats that can be written."""

SPLIT_NAMES = ("train", "validation", "test")


class EncodedRow(NamedTuple):
    """A row of a set, with its number of trainable answers."""

    row: dict[str, Any]
    answers: int


class UnsupportedExampleError(ValueError):
    """A format does not support an example; the message states the violated rule."""


class DatasetFormat(NamedTuple):
    """A format of the rows in a JSON Lines file."""

    name: str
    encode: Callable[[Mapping[str, Any]], Iterator[EncodedRow]]
    row_is_example: bool = True
    """Whether each row is a complete example."""


def dataset_format(name: str) -> DatasetFormat:
    """Return a format by name; raise `ValueError` if it is unknown."""
    if name not in FORMATS:
        msg = f"Unknown format {name!r}. Choose one of {', '.join(FORMATS)}."
        raise ValueError(msg)
    return FORMATS[name]


def count_trainable(example: Mapping[str, Any]) -> int:
    """Return the number of trainable answers in an example.

    Raises `UnsupportedExampleError` if the input is not a valid example.
    """
    messages = example.get("messages")
    if not isinstance(messages, list) or not all(map(_is_message, messages)):
        msg = "`messages` must be a list of objects with `role` and `content`"
        raise UnsupportedExampleError(msg)
    return sum(map(is_trainable, messages))


def is_trainable(message: Mapping[str, Any]) -> bool:
    """Return whether a message is an answer to train on."""
    return message["role"] == "assistant" and message.get("weight") != 0


def _is_message(message: object) -> bool:
    return isinstance(message, Mapping) and isinstance(message.get("role"), str)


def _openai(example: Mapping[str, Any]) -> Iterator[EncodedRow]:
    yield EncodedRow(dict(example), count_trainable(example))


def _trl_prompt_completion(example: Mapping[str, Any]) -> Iterator[EncodedRow]:
    # Consecutive trainable answers become one completion.
    messages = _text_messages(example)
    trainable = [*map(is_trainable, example["messages"]), False]
    start = 0
    for index in range(len(messages)):
        if not trainable[index]:
            start = index + 1
            continue
        # Chat templates and TRL require a user message in the prompt.
        has_user = any(message["role"] == "user" for message in messages[:start])
        if has_user and not trainable[index + 1]:
            completion = messages[start : index + 1]
            row = {"prompt": messages[:start], "completion": completion}
            yield EncodedRow(row, len(completion))


def _text_messages(example: Mapping[str, Any]) -> list[dict[str, str]]:
    count_trainable(example)
    return [
        {
            "role": "system" if message["role"] == "developer" else message["role"],
            "content": _require_text(message.get("content")),
        }
        for message in example["messages"]
    ]


def _require_text(content: object) -> str:
    if not isinstance(content, str):
        msg = "a message must be text in this format"
        raise UnsupportedExampleError(msg)
    return content


FORMATS: dict[str, DatasetFormat] = {
    "openai": DatasetFormat("openai", _openai),
    "trl-prompt-completion": DatasetFormat(
        "trl-prompt-completion", _trl_prompt_completion, row_is_example=False
    ),
}
"""The formats by name."""
