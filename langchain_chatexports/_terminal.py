"""Format text for terminals: single lines, plurals, no terminal codes."""

import unicodedata
from collections.abc import Sequence

from langchain_chatexports._translation import _, number

# U+200C and U+200D join letters and emoji, and are harmless in a terminal.
_JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"


def plural(count: int, one: str, many: str | None = None) -> str:
    """Return a count with a noun: `1 thread`, `2,000 threads`."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def listing(names: Sequence[str], limit: int = 5) -> str:
    """Return the first names, separated by commas, and the number of the others."""
    others = len(names) - limit
    listed = ", ".join(names[:limit])
    return f"{listed} and {others} more" if others > 0 else listed


def pad(text: str, width: int) -> str:
    """Fill text with spaces up to a width."""
    return text + " " * (width - text_width(text))


def text_width(text: str) -> int:
    """Return the columns of text; East Asian characters take two."""
    return sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def one_line(text: str) -> str:
    """Collapse spaces and line breaks, including U+2028 and U+0085, to one space."""
    return " ".join(text.split())


def message_line(time: str, sender: str, text: str) -> str:
    """Format a message as one line, so that its text cannot imitate another message."""
    return f"{one_line(f'{time} {sender}')}: {one_line(text)}"


def printable(text: str) -> str:
    """Replace terminal codes and line breaks with spaces.

    Names in an export may contain line breaks, escape sequences and bidirectional
    control characters.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in _JOINERS else " " for c in text)


def escaped(text: str) -> str:
    r"""Escape terminal codes, such as `\x1b`.

    Used for errors and warnings, where different paths must look different.
    """
    if text.isprintable():
        return text
    return "".join(map(_escaped_character, text))


def _escaped_character(character: str) -> str:
    if character.isprintable() or character in _JOINERS:
        return character
    if unicodedata.category(character) == "Zs":  # macOS uses U+202F in file names.
        return character
    return character.encode("unicode_escape").decode("ascii")


def short_duration(seconds: float) -> str:
    """Format a duration in minutes, or in hours from 100 minutes."""
    minutes = max(1, round(seconds / 60))
    if minutes < 100:  # noqa: PLR2004 - two digits
        return _("{minutes} min", minutes=minutes)
    return _("{hours} h", hours=number(seconds / 3600, 1))
