"""Text of other people on a terminal or a page, where characters can be commands."""

from __future__ import annotations

import unicodedata

__all__ = ["escaped", "printable"]

# They join letters and emoji, and say nothing to a terminal: U+200C and U+200D.
_JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"


def printable(text: str) -> str:
    """Return a text on one line, with a space for what a terminal would obey.

    Names in an export are whatever somebody chose: they can hold line breaks, escape
    sequences and marks that turn the direction of all that follows.

    Args:
        text: The text.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in _JOINERS else " " for c in text)


def escaped(text: str) -> str:
    r"""Return a text with escapes, such as `\x1b`, for what a terminal would obey.

    For errors and warnings: a path that is shown so can still be told from others.

    Args:
        text: The text.
    """
    if text.isprintable():
        return text
    return "".join(map(_escaped_character, text))


def _escaped_character(character: str) -> str:
    if character.isprintable() or character in _JOINERS:
        return character
    if unicodedata.category(character) == "Zs":  # macOS puts U+202F into file names.
        return character
    return character.encode("unicode_escape").decode("ascii")
