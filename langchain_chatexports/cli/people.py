"""Names of people as they are typed, and as exports have them."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

__all__ = ["did_you_mean", "nearest_names"]

_MAX_SUGGESTIONS = 3
_ALIKE = 0.6


def nearest_names(asked: str, known: Collection[str]) -> list[str]:
    """Return the names that look most like one that does not occur, nearest first.

    Args:
        asked: The name that was typed; case does not matter, and a part of a name is
            enough.
        known: The names that occur.
    """
    folded = asked.casefold().strip()
    by_key: dict[str, str] = {}
    for name in sorted(known, reverse=True):
        # A first name is what people type of a whole one.
        for part in (*name.casefold().split(), name.casefold()):
            by_key[part] = name
    keys = get_close_matches(folded, by_key, n=2 * _MAX_SUGGESTIONS, cutoff=_ALIKE)
    return list(dict.fromkeys(by_key[key] for key in keys))[:_MAX_SUGGESTIONS]


def did_you_mean(asked: Iterable[str], known: Collection[str]) -> str:
    """Return a sentence with the nearest names, or nothing where none is near.

    Args:
        asked: The names that were typed.
        known: The names that occur.
    """
    found = dict.fromkeys(n for name in asked for n in nearest_names(name, known))
    if not found:
        return ""
    return f" Did you mean {' or '.join(map(repr, found))}?"
