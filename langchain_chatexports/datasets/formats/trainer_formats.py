"""The dataset formats that trainers read: functions from an example to rows.

OpenAI's own format has room for everything. The others have less: where leaving
something out would change what is learned (a weight, a tool call, an image), they
refuse the example.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = [
    "FORMATS",
    "DatasetFormat",
    "EncodedRow",
    "FormatName",
    "UnfitError",
    "answers_in",
    "dataset_format",
    "messages_in",
]

FormatName: TypeAlias = Literal[
    "openai",
    "trl",
    "trl-prompt-completion",
    "axolotl",
    "llama-factory",
    "mlx",
    "parquet",
    "trl-dpo",
    "trl-kto",
    "openai-dpo",
]
"""The formats that can be written."""

# Joins consecutive messages where a trainer needs alternating sides, as
# `MergeChatRuns` does.
_DELIMITER = "\n\n"
_SYSTEM_ROLES = ("system", "developer")
_SHAREGPT_ROLES = {"user": "human", "assistant": "gpt"}
_NAMES = {"train": "train", "validation": "validation", "test": "test"}


class EncodedRow(NamedTuple):
    """A row of a set, with counts of what it contains of its example.

    Attributes:
        row: What is written.
        answers: How many of the example's answers it teaches.
        messages: How many of the example's messages are in it, or in the example's
            rows before it.
        before: How many messages stand before the first of these.
    """

    row: dict[str, Any]
    answers: int
    messages: int
    before: int = 0


class UnfitError(ValueError):
    """An example does not fit a format; the text names the rule."""


@dataclass(frozen=True)
class DatasetFormat:
    """The format that a trainer reads.

    Attributes:
        name: The name that users give.
        suffix: The files' suffix, which also names the container.
        encode: Yields the rows of an example.
        row_is_example: Whether each example becomes one row, with all of its messages.
        is_folder: Whether a set is a folder even if it has one part only.
        needs_validation: Whether the trainer needs a validation part.
        names: The trainer's names of the parts.
        index: Returns name and content of a file that describes the others.
        has_weights: Whether answers can be context only, of weight 0.
    """

    name: str
    suffix: str
    encode: Callable[[Mapping[str, Any]], Iterator[EncodedRow]]
    row_is_example: bool = False
    is_folder: bool = False
    needs_validation: bool = False
    names: Mapping[str, str] = field(default_factory=lambda: _NAMES)
    index: Callable[[Mapping[str, str]], tuple[str, Any]] | None = None
    has_weights: bool = True

    def file_of(self, part: str) -> str:
        """Return the name of a part's file."""
        return f"{self.names[part]}{self.suffix}"

    def files(self) -> frozenset[str]:
        """Return the names of all files that a folder of this format can have."""
        files = {part: self.file_of(part) for part in self.names}
        index = {self.index(files)[0]} if self.index else set()
        return frozenset({*files.values(), *index})


def dataset_format(name: str) -> DatasetFormat:
    """Return a format by its name.

    Raises:
        ValueError: If there is no such format.
    """
    if name not in FORMATS:
        msg = f"There is no format {name!r}: choose one of {', '.join(FORMATS)}."
        raise ValueError(msg)
    return FORMATS[name]


def answers_in(record: Mapping[str, Any]) -> int:
    """Return how many answers of an example, a pair or a label are trained on."""
    if "messages" not in record:
        return 1
    return sum(map(_is_learned, _listed(record["messages"])))


def messages_in(record: Mapping[str, Any]) -> int:
    """Return how many messages an example has; a pair or a label counts as one."""
    return len(_listed(record["messages"])) if "messages" in record else 1


def _listed(messages: Any) -> Sequence[Any]:
    # Anything but a list is refused by its format, but counted first.
    return messages if isinstance(messages, (list, tuple)) else ()


def _whole(row: dict[str, Any], example: Mapping[str, Any]) -> EncodedRow:
    return EncodedRow(row, answers_in(example), messages_in(example))


def _is_learned(message: Any) -> bool:
    return (
        isinstance(message, Mapping)
        and message.get("role") == "assistant"
        and message.get("weight") != 0
    )


def _openai(example: Mapping[str, Any]) -> Iterator[EncodedRow]:
    _require_example(example)
    yield _whole(dict(example), example)


def _trl(example: Mapping[str, Any]) -> Iterator[EncodedRow]:
    messages = _texts(example)
    _refuse_weights(example, "trl-prompt-completion")
    yield _whole({"messages": messages}, example)


def _trl_prompt_completion(example: Mapping[str, Any]) -> Iterator[EncodedRow]:
    # Consecutive answers are one completion, if they are trained on.
    messages = _texts(example)
    learned = [_is_learned(message) for message in example["messages"]]
    start = 0
    for index, is_learned in enumerate(learned):
        if not is_learned:
            start = index + 1
        elif index + 1 == len(learned) or not learned[index + 1]:
            if _is_prompt(messages[:start]):
                row = {
                    "prompt": messages[:start],
                    "completion": messages[start : index + 1],
                }
                yield EncodedRow(row, index + 1 - start, index + 1)
            start = index + 1


def _mlx(example: Mapping[str, Any]) -> Iterator[EncodedRow]:
    # With `--mask-prompt`, mlx-lm learns from the last message only.
    messages = _texts(example)
    for index, message in enumerate(example["messages"]):
        if _is_learned(message) and _is_prompt(messages[:index]):
            yield EncodedRow({"messages": messages[: index + 1]}, 1, index + 1)


def _axolotl(example: Mapping[str, Any]) -> Iterator[EncodedRow]:
    # On every message, because a column that the first rows lack has no type.
    messages = [
        {**text, "train": _is_learned(message)}
        for text, message in zip(_texts(example), example["messages"], strict=True)
    ]
    yield _whole({"messages": messages}, example)


def _llama_factory(example: Mapping[str, Any]) -> Iterator[EncodedRow]:
    # LLaMA-Factory skips rows whose sides do not alternate, or begin with the AI.
    messages = _texts(example)
    _refuse_weights(example, "axolotl")
    system_messages = messages[:1] if messages[0]["role"] == "system" else []
    messages = messages[len(system_messages) :]
    if any(message["role"] == "system" for message in messages):
        msg = "a system message must stand first"
        raise UnfitError(msg)
    openers = 0
    while openers < len(messages) and messages[openers]["role"] == "assistant":
        openers += 1
    end = len(messages)
    while end > openers and messages[end - 1]["role"] == "user":
        end -= 1
    runs: list[tuple[str, list[str]]] = []
    for message in messages[openers:end]:
        if not runs or runs[-1][0] != message["role"]:
            runs.append((message["role"], []))
        runs[-1][1].append(message["content"])
    if runs:
        turns = [
            {"from": _SHAREGPT_ROLES[role], "value": _DELIMITER.join(texts)}
            for role, texts in runs
        ]
        row = {
            "conversations": turns,
            "system": "".join(m["content"] for m in system_messages),
        }
        kept = end - openers + len(system_messages)
        yield EncodedRow(row, answers_in(example) - openers, kept, openers)


def _dataset_info(files: Mapping[str, str]) -> tuple[str, Any]:
    described = {
        f"chatexports_{part}": {
            "file_name": file,
            "formatting": "sharegpt",
            "columns": {"messages": "conversations", "system": "system"},
            "tags": {
                "role_tag": "from",
                "content_tag": "value",
                "user_tag": "human",
                "assistant_tag": "gpt",
            },
        }
        for part, file in files.items()
    }
    return "dataset_info.json", described


def _parquet(example: Mapping[str, Any]) -> Iterator[EncodedRow]:
    # All columns in one order in each row: that is the table's schema.
    messages = [
        {**text, "name": message.get("name"), "weight": message.get("weight")}
        for text, message in zip(_texts(example), example["messages"], strict=True)
    ]
    yield _whole({"messages": messages}, example)


def _trl_dpo(pair: Mapping[str, Any]) -> Iterator[EncodedRow]:
    _require(pair, "chosen", "a pair of answers, from edit_preferences")
    yield EncodedRow(dict(pair), 1, 1)


def _trl_kto(label: Mapping[str, Any]) -> Iterator[EncodedRow]:
    _require(label, "label", "a labeled answer, from reaction_labels")
    yield EncodedRow(dict(label), 1, 1)


def _openai_dpo(pair: Mapping[str, Any]) -> Iterator[EncodedRow]:
    _require(pair, "chosen", "a pair of answers, from edit_preferences")
    row = {
        "input": {"messages": pair["prompt"]},
        "preferred_output": pair["chosen"],
        "non_preferred_output": pair["rejected"],
    }
    yield EncodedRow(row, 1, 1)


def _require(record: Mapping[str, Any], key: str, what: str) -> None:
    if key not in record:
        msg = f"this format is for something else: each record must be {what}"
        raise UnfitError(msg)


def _require_example(example: Mapping[str, Any]) -> None:
    _require(example, "messages", "a training example")
    messages = example["messages"]
    if not isinstance(messages, (list, tuple)) or not all(
        isinstance(message, Mapping) and isinstance(message.get("role"), str)
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
    role = message["role"]
    if role in _SYSTEM_ROLES:
        return "system"
    if role not in _SHAREGPT_ROLES:
        msg = "tools have no place in this format"
        raise UnfitError(msg)
    return str(role)


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


def _refuse_weights(example: Mapping[str, Any], instead: str) -> None:
    if any(message.get("weight") == 0 for message in example["messages"]):
        msg = (
            "an answer with weight 0 would be trained on in this format: "
            f"write {json.dumps(instead)}"
        )
        raise UnfitError(msg)


def _is_prompt(messages: Sequence[Mapping[str, Any]]) -> bool:
    # Chat templates and TRL refuse a prompt without a user's message.
    return any(message["role"] == "user" for message in messages)


FORMATS: dict[str, DatasetFormat] = {
    one.name: one
    for one in (
        DatasetFormat("openai", ".jsonl", _openai, row_is_example=True),
        DatasetFormat("trl", ".jsonl", _trl, row_is_example=True, has_weights=False),
        DatasetFormat("trl-prompt-completion", ".jsonl", _trl_prompt_completion),
        DatasetFormat("axolotl", ".jsonl", _axolotl, row_is_example=True),
        DatasetFormat(
            "llama-factory",
            ".json",
            _llama_factory,
            is_folder=True,
            index=_dataset_info,
            has_weights=False,
        ),
        DatasetFormat(
            "mlx",
            ".jsonl",
            _mlx,
            is_folder=True,
            needs_validation=True,
            names={**_NAMES, "validation": "valid"},
        ),
        DatasetFormat("parquet", ".parquet", _parquet, row_is_example=True),
        DatasetFormat("trl-dpo", ".jsonl", _trl_dpo),
        DatasetFormat("trl-kto", ".jsonl", _trl_kto),
        DatasetFormat("openai-dpo", ".jsonl", _openai_dpo),
    )
}
"""The formats by name."""
