"""Spans of private data in a text."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["KINDS", "Span", "without_overlap"]

KINDS = (
    "account",
    "address",
    "card",
    "code",
    "email",
    "handle",
    "link",
    "name",
    "password",
    "path",
    "phone",
    "secret",
)
"""The kinds of private data that are found."""


class Span(NamedTuple):
    """Private data in a text: the characters from `start` to before `end`."""

    start: int
    end: int
    kind: str


def without_overlap(spans: Iterable[Span]) -> list[Span]:
    """Join spans that overlap, so that each character is in one at most.

    Args:
        spans: Spans in any order.

    Returns:
        The spans by their place; a joined one has the kind of its longest part.
    """
    joined: list[Span] = []
    longest = 0
    for span in sorted(spans):
        if span.start >= span.end:
            continue
        length = span.end - span.start
        if not joined or span.start >= joined[-1].end:
            joined.append(span)
            longest = length
            continue
        last = joined[-1]
        kind = span.kind if length > longest else last.kind
        longest = max(longest, length)
        joined[-1] = Span(last.start, max(last.end, span.end), kind)
    return joined
