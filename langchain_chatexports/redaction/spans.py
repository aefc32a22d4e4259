"""Spans of private data in text."""

from collections.abc import Iterable
from typing import NamedTuple

KINDS = (
    *("account", "address", "card", "code", "email", "handle", "link", "name"),
    *("password", "path", "phone", "secret"),
)
"""The kinds of private data."""


class Span(NamedTuple):
    """Private data in text, from `start` to `end` (excluded)."""

    start: int
    end: int
    kind: str


def merge_spans(spans: Iterable[Span]) -> list[Span]:
    """Sort spans and merge overlapping ones; the longest one determines the kind."""
    merged: list[Span] = []
    longest = 0
    for span in sorted(spans):
        length = span.end - span.start
        if length <= 0:
            continue
        if not merged or span.start >= merged[-1].end:
            merged.append(span)
            longest = length
            continue
        last = merged[-1]
        kind = span.kind if length > longest else last.kind
        longest = max(longest, length)
        merged[-1] = Span(last.start, max(last.end, span.end), kind)
    return merged


def mask_spans(text: str, spans: Iterable[Span]) -> str:
    """Replace each character in the spans with a letter."""
    pieces: list[str] = []
    end = 0
    for span in sorted(spans):
        pieces += (text[end : span.start], "x" * (span.end - max(end, span.start)))
        end = max(end, span.end)
    return "".join((*pieces, text[end:]))
