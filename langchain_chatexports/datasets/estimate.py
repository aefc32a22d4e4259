"""Estimate the tokens and epochs that a fine-tuning job will be billed for.

Exact if tiktoken's file for the model is on this machine, otherwise counted by bytes.
Nothing is downloaded.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from langchain_chatexports._tokens import has_encoding, token_counter, tokens_by_bytes

# The server cuts longer examples, and bills the rest only.
_MAX_EXAMPLE_TOKENS = 65_536

_TOKENS_PER_MESSAGE = 3
_TOKENS_PER_EXAMPLE = 3

# OpenAI's cookbook: three epochs, more for few examples, fewer for very many.
_TARGET_EPOCHS = 3
_MIN_TARGET_EXAMPLES = 100
_MAX_TARGET_EXAMPLES = 25_000
_MAX_EPOCHS = 25

# By the base model: tiktoken uses an older encoding for `ft:gpt-4.1-…`.
_ENCODINGS = {
    "o200k_base": re.compile(r"(ft:)?(gpt-4o|gpt-4\.[15]|gpt-5|chatgpt-4o|o[134]\b)"),
    "cl100k_base": re.compile(r"(ft:)?(gpt-4\b|gpt-3\.?5)"),
}


@dataclass(frozen=True)
class TrainingEstimate:
    """An estimate of the tokens that a job will be billed for.

    The finished job's `trained_tokens` is the real number.

    Attributes:
        examples: Examples in the training file.
        tokens: Tokens in the file, each example up to the model's limit.
        epochs: Passes over the file.
        billed_tokens: `tokens` times `epochs`.
        billed_tokens_at_most: An upper bound, if the count is not exact.
        exact: Whether the count is exact: made with the model's tokenizer.
    """

    examples: int
    tokens: int
    epochs: int
    billed_tokens: int
    billed_tokens_at_most: int
    exact: bool


def estimate_training(
    examples: Iterable[Mapping[str, Any]],
    *,
    model: str,
    n_epochs: int | Literal["auto"] = "auto",
) -> TrainingEstimate:
    """Estimate the tokens that training on examples will be billed for.

    Args:
        examples: The examples.
        model: The base model.
        n_epochs: Passes over the examples; `auto` follows OpenAI's published rule.
    """
    encoding = next((e for e, names in _ENCODINGS.items() if names.match(model)), None)
    exact = encoding is not None and has_encoding(encoding)
    if encoding is not None and exact:
        count = most = token_counter(encoding)
    else:
        count, most = tokens_by_bytes, token_counter("bytes")
    number = tokens = at_most = 0
    for number, example in enumerate(examples, 1):  # noqa: B007 - used below
        found = example_tokens(example, count)
        bound = found if count is most else example_tokens(example, most)
        tokens += min(_MAX_EXAMPLE_TOKENS, found)
        at_most += min(_MAX_EXAMPLE_TOKENS, bound)
    epochs = automatic_epochs(number) if n_epochs == "auto" else n_epochs
    return TrainingEstimate(
        examples=number,
        tokens=tokens,
        epochs=epochs,
        billed_tokens=tokens * epochs,
        billed_tokens_at_most=at_most * epochs,
        exact=exact,
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
    for key in ("tools", "functions"):
        total += count(_text(example[key])) if example.get(key) else 0
    return total


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)
