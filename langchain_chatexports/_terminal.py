"""Text in lines: one for each message, counts with their words, no terminal codes."""

import unicodedata

# They join letters and emoji, and say nothing to a terminal: U+200C and U+200D.
_JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"


def plural(count: int, one: str, many: str | None = None) -> str:
    """Return a count with its word: `1 thread`, `2,000 threads`."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def one_line(text: str) -> str:
    """Return a text on one line: U+2028, U+0085 and others end lines, too."""
    return " ".join(text.split())


def message_line(time: str, sender: str, text: str) -> str:
    """Return the line of a message; nothing in it looks like another message."""
    return f"{one_line(f'{time} {sender}')}: {one_line(text)}"


def printable(text: str) -> str:
    """Return a text on one line, with spaces in place of terminal codes.

    Names in an export can hold line breaks, escape sequences and marks that change the
    direction of the text after them.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in _JOINERS else " " for c in text)


def escaped(text: str) -> str:
    r"""Return a text with terminal codes escaped, such as `\x1b`.

    For errors and warnings: two different paths still look different.
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


def short_duration(seconds: float) -> str:
    """Return a duration in minutes, or in hours where these are 100 and more."""
    minutes = max(1, round(seconds / 60))
    if minutes < 100:  # noqa: PLR2004 - two digits
        return f"{minutes} min"
    return f"{seconds / 3600:.1f} h"
