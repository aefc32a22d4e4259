"""Numbers of tokens, estimated by UTF-8 bytes: nothing is downloaded."""

from collections.abc import Iterable
from math import ceil

BYTES_PER_TOKEN = 4.0
"""UTF-8 bytes per token, on average. Measured with o200k_base on chat text in ten
languages: between 2.9 (emoji) and 9.3 (Hindi)."""

MIN_BYTES_PER_TOKEN = 2.8
"""UTF-8 bytes per token, at least: gives an upper bound for chat text (but not for rows
of rare symbols)."""

_MIN_LIMIT, _MAX_LIMIT = 16, 256
_NEARLY_ALL = 0.99


def tokens_by_bytes(text: str) -> int:
    """Estimate the tokens of a text, on average."""
    return ceil(_size(text) / BYTES_PER_TOKEN)


def max_tokens_by_bytes(text: str) -> int:
    """Return an upper bound of the tokens of a chat text."""
    return ceil(_size(text) / MIN_BYTES_PER_TOKEN)


def reply_token_limit(tokens: Iterable[float]) -> int:
    """Return a limit for replies: twice the 99th percentile of a person's replies."""
    return max(_MIN_LIMIT, min(_MAX_LIMIT, 2 * ceil(nearly_all(tokens))))


def nearly_all(sizes: Iterable[float]) -> float:
    """Return the 99th percentile of sizes, one of them."""
    ordered = sorted(sizes)
    return ordered[ceil(_NEARLY_ALL * len(ordered)) - 1]


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))
