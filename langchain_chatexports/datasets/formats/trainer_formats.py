"""The formats of a set: functions from an example to its rows.

OpenAI's own has room for everything. The others have less: where leaving something out
would change what is learned (a tool call, an image), they refuse the example.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

FormatName: TypeAlias = Literal["openai", "trl-prompt-completion", "parquet"]
"""The formats that can be written."""

PARTS = ("train", "validation", "test")


class EncodedRow(NamedTuple):
    """A row of a set, with counts of what it contains of its example."""

    row: dict[str, Any]
    answers: int
    """How many of the example's answers it teaches."""

    messages: int
    """How many of the example's messages are in it and in the rows before it."""


class UnfitError(ValueError):
    """An example does not fit a format; the text names the rule."""


@dataclass(frozen=True)
class DatasetFormat:
    """A format of rows."""

    name: str
    suffix: str
    """The files' suffix, which also names the kind of file."""

    encode: Callable[[Mapping[str, Any]], Iterator[EncodedRow]]
    row_is_example: bool = True
    """Whether each example becomes one row, with all of its messages."""

    def file_of(self, part: str) -> str:
        """Return the name of a part's file."""
        return f"{part}{self.suffix}"

    def files(self) -> frozenset[str]:
        """Return the names of all files that a folder of this format can have."""
        return frozenset(map(self.file_of, PARTS))


def dataset_format(name: str) -> DatasetFormat:
    """Return a format by its name; a `ValueError` lists the names."""
    if name not in FORMATS:
        msg = f"There is no format {name!r}: choose one of {', '.join(FORMATS)}."
        raise ValueError(msg)
    return FORMATS[name]


def answers_in(example: Mapping[str, Any]) -> int:
    """Return how many answers of an example are trained on."""
    return sum(map(_is_learned, _listed(example.get("messages"))))


def messages_in(example: Mapping[str, Any]) -> int:
    """Return how many messages an example has."""
    return len(_listed(example.get("messages")))


def _listed(messages: Any) -> Sequence[Any]:
    # Anything but a list is refused by its format, but counted first.
    return messages if isinstance(messages, (list, tuple)) else ()


def _is_learned(message: Any) -> bool:
    return (
        isinstance(message, (dict, Mapping))
        and message.get("role") == "assistant"
        and message.get("weight") != 0
    )


def _openai(example: Mapping[str, Any]) -> Iterator[EncodedRow]:
    _require_example(example)
    yield EncodedRow(dict(example), answers_in(example), messages_in(example))


def _trl_prompt_completion(example: Mapping[str, Any]) -> Iterator[EncodedRow]:
    # Consecutive answers are one completion, if they are trained on.
    messages = _texts(example)
    learned = [_is_learned(message) for message in example["messages"]]
    start = 0
    for index, is_learned in enumerate(learned):
        if not is_learned:
            start = index + 1
        elif index + 1 == len(learned) or not learned[index + 1]:
            # Chat templates and TRL refuse a prompt without a user's message.
            if any(message["role"] == "user" for message in messages[:start]):
                completion = messages[start : index + 1]
                row = {"prompt": messages[:start], "completion": completion}
                yield EncodedRow(row, len(completion), index + 1)
            start = index + 1


def _parquet(example: Mapping[str, Any]) -> Iterator[EncodedRow]:
    # All columns in one order in each row: that is the table's schema.
    messages = [
        {**text, "name": message.get("name"), "weight": message.get("weight")}
        for text, message in zip(_texts(example), example["messages"], strict=True)
    ]
    yield EncodedRow({"messages": messages}, answers_in(example), len(messages))


def _require_example(example: Mapping[str, Any]) -> None:
    messages = example.get("messages")
    if not isinstance(messages, (list, tuple)) or not all(
        isinstance(message, (dict, Mapping)) and isinstance(message.get("role"), str)
        for message in messages
    ):
        msg = "`messages` must be a list of objects with `role` and `content`"
        raise UnfitError(msg)


def _texts(example: Mapping[str, Any]) -> list[dict[str, str]]:
    _require_example(example)
    if example.get("tools") or example.get("functions"):
        msg = "tools have no place in this format"
        raise UnfitError(msg)
    return [
        {"role": _plain_role(message), "content": _plain_text(message)}
        for message in example["messages"]
    ]


def _plain_role(message: Mapping[str, Any]) -> str:
    role = str(message["role"])
    if role in {"system", "developer"}:
        return "system"
    if role not in {"user", "assistant"}:
        msg = "tools have no place in this format"
        raise UnfitError(msg)
    return role


def _plain_text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list) and all(
        isinstance(part, Mapping)
        and part.get("type") == "text"
        and isinstance(part.get("text"), str)
        for part in content
    ):
        content = "\n".join(part["text"] for part in content)
    if not isinstance(content, str) or "tool_calls" in message:
        msg = "a message must be text in this format, without tool calls and images"
        raise UnfitError(msg)
    return content


FORMATS: dict[str, DatasetFormat] = {
    one.name: one
    for one in (
        DatasetFormat("openai", ".jsonl", _openai),
        DatasetFormat(
            "trl-prompt-completion",
            ".jsonl",
            _trl_prompt_completion,
            row_is_example=False,
        ),
        DatasetFormat("parquet", ".parquet", _parquet),
    )
}
"""The formats by name."""
