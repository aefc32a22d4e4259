"""Estimate, by bytes, the tokens that a fine-tuning job will be billed for."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from langchain_chatexports._tokens import max_tokens_by_bytes, tokens_by_bytes

# The server cuts longer examples, and bills the rest only.
_MAX_EXAMPLE_TOKENS = 65_536

_TOKENS_PER_MESSAGE = 3
_TOKENS_PER_EXAMPLE = 3

# OpenAI's cookbook: three epochs, more for few examples, fewer for very many.
_TARGET_EPOCHS = 3
_MIN_TARGET_EXAMPLES = 100
_MAX_TARGET_EXAMPLES = 25_000
_MAX_EPOCHS = 25


@dataclass(frozen=True)
class TrainingEstimate:
    """An estimate of the tokens that a job will be billed for.

    The finished job's `trained_tokens` is the real number.

    Attributes:
        examples: Examples in the training file.
        tokens: Tokens in the file, each example up to the model's limit.
        epochs: Passes over the file.
        billed_tokens: `tokens` times `epochs`.
        billed_tokens_at_most: An upper bound.
    """

    examples: int
    tokens: int
    epochs: int
    billed_tokens: int
    billed_tokens_at_most: int


def estimate_training(
    examples: Iterable[Mapping[str, Any]], *, n_epochs: int | Literal["auto"] = "auto"
) -> TrainingEstimate:
    """Estimate the tokens that training on examples will be billed for.

    Args:
        examples: The examples.
        n_epochs: Passes over the examples; `auto` follows OpenAI's published rule.
    """
    number = tokens = at_most = 0
    for number, example in enumerate(examples, 1):  # noqa: B007 - used below
        found = example_tokens(example, tokens_by_bytes)
        tokens += min(_MAX_EXAMPLE_TOKENS, found)
        bound = example_tokens(example, max_tokens_by_bytes)
        at_most += min(_MAX_EXAMPLE_TOKENS, bound)
    epochs = automatic_epochs(number) if n_epochs == "auto" else n_epochs
    return TrainingEstimate(
        examples=number,
        tokens=tokens,
        epochs=epochs,
        billed_tokens=tokens * epochs,
        billed_tokens_at_most=at_most * epochs,
    )


def automatic_epochs(examples: int) -> int:
    """Return the epochs that OpenAI's published rule chooses."""
    if not examples:
        return _TARGET_EPOCHS
    if examples * _TARGET_EPOCHS < _MIN_TARGET_EXAMPLES:
        return min(_MAX_EPOCHS, _MIN_TARGET_EXAMPLES // examples)
    if examples * _TARGET_EPOCHS > _MAX_TARGET_EXAMPLES:
        return max(1, _MAX_TARGET_EXAMPLES // examples)
    return _TARGET_EPOCHS


def example_tokens(example: Mapping[str, Any], count: Callable[[str], int]) -> int:
    """Count the tokens of an example, including the chat format."""
    total = _TOKENS_PER_EXAMPLE
    for message in example["messages"]:
        total += _TOKENS_PER_MESSAGE + ("name" in message)
        total += sum(count(_text(message[key])) for key in message if key != "weight")
    return total


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)
