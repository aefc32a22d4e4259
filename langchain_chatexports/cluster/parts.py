"""Splits by the hash of a conversation's id."""

from __future__ import annotations

import hashlib
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["part_of"]

_RANGE = 2**64


def part_of(
    conversation_id: str, parts: Mapping[str, float], *, salt: str = ""
) -> str | None:
    """Return which part of a split a conversation belongs to, from its id alone.

    The result is the same in any process on any machine, and for all windows of a
    conversation, so nothing has to be collected first. The parts do not follow time: to
    split by time, compare the `first` and `last` of an example with dates.

    Args:
        conversation_id: The session's id; its thread's, where a step split it.
        parts: The share of each part, such as `{"train": 0.9, "test": 0.1}`.
        salt: Changes the split.

    Returns:
        The part's name; `None` for the rest, where the shares add up to less than one.

    Raises:
        ValueError: If a share is negative, or if they add up to more than one.
    """
    ends = list(accumulate(parts.values()))
    if any(share < 0 for share in parts.values()) or (ends and ends[-1] > 1 + 1e-9):
        msg = f"Shares must be 0 or more and add up to at most 1, not {dict(parts)}."
        raise ValueError(msg)
    digest = hashlib.sha256(f"{salt}\0{conversation_id}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / _RANGE
    for name, end in zip(parts, ends, strict=True):
        if place < end:
            return name
    return None
