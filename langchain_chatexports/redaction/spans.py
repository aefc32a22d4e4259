"""Spans of private data in a text."""

from collections.abc import Iterable
from typing import NamedTuple

KINDS = (
    *("account", "address", "card", "code", "email", "handle", "link", "name"),
    *("password", "path", "phone", "secret"),
)
"""The kinds of private data."""


class Span(NamedTuple):
    """Private data in a text, from `start` up to but not including `end`."""

    start: int
    end: int
    kind: str


def without_overlap(spans: Iterable[Span]) -> list[Span]:
    """Sort spans and join overlapping ones, with the kind of the longest."""
    joined: list[Span] = []
    longest = 0
    for span in sorted(spans):
        length = span.end - span.start
        if length <= 0:
            continue
        if not joined or span.start >= joined[-1].end:
            joined.append(span)
            longest = length
            continue
        last = joined[-1]
        kind = span.kind if length > longest else last.kind
        longest = max(longest, length)
        joined[-1] = Span(last.start, max(last.end, span.end), kind)
    return joined


def without_spans(text: str, spans: Iterable[Span]) -> str:
    """Return a text in which spans are replaced by letters."""
    pieces: list[str] = []
    end = 0
    for span in sorted(spans):
        pieces += (text[end : span.start], "x" * (span.end - max(end, span.start)))
        end = max(end, span.end)
    return "".join((*pieces, text[end:]))
