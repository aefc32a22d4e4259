"""Estimate the billed tokens of a fine-tuning job from byte counts."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from langchain_chatexports._tokens import estimate_max_tokens, estimate_tokens

# The server truncates longer examples, and does not bill the rest.
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
    """An estimate of the billed tokens of a job.

    For the actual count, see the finished job's `trained_tokens`.
    """

    examples: int
    """Examples in the training file."""

    tokens: int
    """Tokens in the file, with each example truncated to the model's limit."""

    epochs: int
    """Passes over the file."""

    billed_tokens: int
    """`tokens` times `epochs`."""

    billed_tokens_at_most: int
    """Upper bound of `billed_tokens`."""


def estimate_training(
    examples: Iterable[Mapping[str, Any]], *, n_epochs: int | Literal["auto"] = "auto"
) -> TrainingEstimate:
    """Estimate the billed tokens of training on examples.

    Args:
        examples: The examples.
        n_epochs: Passes over the examples; `auto` follows OpenAI's published rule.
    """
    count = tokens = max_tokens = 0
    for count, example in enumerate(examples, 1):  # noqa: B007 - used below
        estimate = example_tokens(example, estimate_tokens)
        tokens += min(_MAX_EXAMPLE_TOKENS, estimate)
        bound = example_tokens(example, estimate_max_tokens)
        max_tokens += min(_MAX_EXAMPLE_TOKENS, bound)
    epochs = automatic_epochs(count) if n_epochs == "auto" else n_epochs
    return TrainingEstimate(
        examples=count,
        tokens=tokens,
        epochs=epochs,
        billed_tokens=tokens * epochs,
        billed_tokens_at_most=max_tokens * epochs,
    )


def automatic_epochs(examples: int) -> int:
    """Return the epoch count according to OpenAI's published rule."""
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
