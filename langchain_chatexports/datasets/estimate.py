"""Estimates of what a fine-tuning job will be billed for: tokens and epochs.

Exact if tiktoken's file for the model is on this machine, otherwise counted by bytes.
Nothing is downloaded.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from langchain_chatexports._tokens import has_encoding, token_counter, tokens_by_bytes

# Longer examples are cut by the server, and what is cut is not billed.
_MAX_EXAMPLE_TOKENS = 65_536

_TOKENS_PER_MESSAGE = 3
_TOKENS_PER_EXAMPLE = 3

# OpenAI's guide to vision: 85 tokens an image and 170 for each 512 pixels square, after
# scaling: four squares for a square image, eight for the largest.
_TOKENS_PER_IMAGE = 85 + 4 * 170
_MAX_TOKENS_PER_IMAGE = 85 + 8 * 170

# OpenAI's cookbook: three epochs, more for few examples, fewer for very many.
_TARGET_EPOCHS = 3
_MIN_TARGET_EXAMPLES = 100
_MAX_TARGET_EXAMPLES = 25_000
_MAX_EPOCHS = 25

# The base model's name: tiktoken itself takes `ft:gpt-4.1-…` for an older encoding.
_ENCODINGS = (
    (re.compile(r"gpt-4o|gpt-4\.1|gpt-4\.5|gpt-5|chatgpt-4o|o[134]\b"), "o200k_base"),
    (re.compile(r"gpt-4\b|gpt-3\.5|gpt-35"), "cl100k_base"),
)


@dataclass(frozen=True)
class TrainingEstimate:
    """An estimate of what a job will be billed for.

    The finished job's `trained_tokens` is the real number.

    Attributes:
        examples: Examples in the training file.
        tokens: Tokens in it, each example up to the model's limit.
        epochs: Passes over the file.
        billed_tokens: `tokens` times `epochs`.
        billed_tokens_at_most: The upper bound, where the tokens are not exact.
        exact: Whether the model's own tokenizer counted, and there are no images, whose
            tokens depend on their size.
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
    """Estimate what training on examples will be billed for.

    Args:
        examples: The examples.
        model: The base model.
        n_epochs: Passes over the examples; `auto` follows OpenAI's published rule.

    Returns:
        The estimate, which says whether it is exact.
    """
    count, at_most_of = _counter(model), token_counter("bytes")
    number = tokens = at_most = 0
    exact = count is not None
    for example in examples:
        number += 1
        images = _images_in(example)
        exact = exact and not images
        most = most_likely = example_tokens(example, count or tokens_by_bytes)
        if count is None:
            most = example_tokens(example, at_most_of)
        most += images * (_MAX_TOKENS_PER_IMAGE - _TOKENS_PER_IMAGE)
        tokens += min(_MAX_EXAMPLE_TOKENS, most_likely)
        at_most += min(_MAX_EXAMPLE_TOKENS, most)
    epochs = automatic_epochs(number) if n_epochs == "auto" else n_epochs
    billed = tokens * epochs
    return TrainingEstimate(
        examples=number,
        tokens=tokens,
        epochs=epochs,
        billed_tokens=billed,
        billed_tokens_at_most=at_most * epochs,
        exact=exact,
    )


def automatic_epochs(examples: int) -> int:
    """Return the epochs that OpenAI's published rule chooses."""
    if examples <= 0:
        return _TARGET_EPOCHS
    if examples * _TARGET_EPOCHS < _MIN_TARGET_EXAMPLES:
        return min(_MAX_EPOCHS, _MIN_TARGET_EXAMPLES // examples)
    if examples * _TARGET_EPOCHS > _MAX_TARGET_EXAMPLES:
        return max(1, _MAX_TARGET_EXAMPLES // examples)
    return _TARGET_EPOCHS


def example_tokens(example: Mapping[str, Any], count: Callable[[str], int]) -> int:
    """Count the tokens of an example, with those of the chat format and of images."""
    total = _TOKENS_PER_EXAMPLE + _TOKENS_PER_IMAGE * _images_in(example)
    for message in example["messages"]:
        total += _TOKENS_PER_MESSAGE + ("name" in message)
        total += sum(count(_text(message[key])) for key in message if key != "weight")
    for key in ("tools", "functions"):
        total += count(_text(example[key])) if example.get(key) else 0
    return total


def _images_in(example: Mapping[str, Any]) -> int:
    return sum(
        sum(map(_is_image, message["content"]))
        for message in example["messages"]
        if isinstance(message.get("content"), list)
    )


def _is_image(part: Any) -> bool:
    return isinstance(part, Mapping) and part.get("type") == "image_url"


def _text(value: object) -> str:
    if isinstance(value, list) and any(map(_is_image, value)):
        return "\n".join(_text(part.get("text")) for part in value if "text" in part)
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _counter(model: str) -> Callable[[str], int] | None:
    name = model.split(":")[1] if model.startswith("ft:") else model
    for pattern, encoding in _ENCODINGS:
        if pattern.match(name):
            return token_counter(encoding) if has_encoding(encoding) else None
    return None
