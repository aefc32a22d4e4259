r"""Repair of Meta's broken text encoding (mojibake), string by string.

Facebook's and Instagram's exporters write each UTF-8 byte as one `\u00XX` escape, so a
parsed string is UTF-8 bytes seen as Latin-1. Files that somebody saved again may be
right already, or hold both kinds of text.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from langchain_chatexports.chat_loaders.facebook_messenger.private_emoji import (
    replace_private_emoji,
)
from langchain_chatexports.chat_loaders.json_data import without_lone_surrogates

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["TextRepair"]

# Runs of well-formed UTF-8 (RFC 3629), seen as Latin-1. Surrogate pairs may come as two
# sequences of three bytes.
_RUN = re.compile(
    "(?:"
    "[\xc2-\xdf][\x80-\xbf]"
    "|\xe0[\xa0-\xbf][\x80-\xbf]"
    "|[\xe1-\xec\xee\xef][\x80-\xbf]{2}"
    "|\xed[\x80-\x9f][\x80-\xbf]"
    "|\xed[\xa0-\xaf][\x80-\xbf]\xed[\xb0-\xbf][\x80-\xbf]"
    "|\xf0[\x90-\xbf][\x80-\xbf]{2}"
    "|[\xf1-\xf3][\x80-\xbf]{3}"
    "|\xf4[\x80-\x8f][\x80-\xbf]{2}"
    ")+"
)
# Nobody types C1 controls: a run that holds one is certainly broken.
_CERTAIN = re.compile("[\x80-\x9f]")
# Nobody ends a word in one of these and goes on with a symbol, as in `Ã©`; `É»` at the
# end of a quotation is normal. They begin the letters of Latin-1, Greek and Cyrillic.
_LIKELY = re.compile("[\x80-\x9f]|[ÂÃÎÏÐÑ][\xa0-\xbf]")
_PRIVATE_PREFIX = "\xf3\xbe"  # How each of U+FE000 to U+FEFFF begins in UTF-8.
_MAYBE_WIDE_ESCAPE = re.compile(rb"\\u(?!00)")
_WIDE_ESCAPE = re.compile(rb"(?<!\\)(?:\\\\)*\\u(?!00)")


# What a file's strings say about how it was written. (No `Enum`: looking one up takes
# longer than the repair.)
_UNTOUCHED = 1  # No character above U+00FF: as the exporter wrote it.
_MIXED = 2  # Characters above U+00FF beside broken ones: edited by hand.
_CLEAN = 3  # Characters above U+00FF and nothing certainly broken: saved again.


class TextRepair:
    """Repairs the strings of one file.

    What a doubtful string means depends on the whole file, which is looked at when
    the first string outside ASCII comes.
    """

    def __init__(self, data: bytes = b"", document: object = None) -> None:
        """Initialize the repair.

        Args:
            data: The file as it is; without it the file counts as untouched.
            document: The parsed file.
        """
        self._data: bytes | None = data
        self._document = document
        self._state: int | None = None

    def text(self, text: str) -> str:
        """Return a string of the file as it was typed."""
        if text.isascii():
            return text
        state = self._state or self._find_state()
        try:
            fixed = text.encode("latin-1").decode("utf-8")
        except UnicodeError:
            return _tidied(self._repair_runs(text, state))
        if state == _UNTOUCHED or (state == _MIXED and _LIKELY.search(text)):
            return replace_private_emoji(fixed) if _PRIVATE_PREFIX in text else fixed
        return text

    def _repair_runs(self, text: str, state: int) -> str:
        if state == _CLEAN:
            return text
        sign = _LIKELY if state == _MIXED else None
        return _RUN.sub(lambda run: _decoded(run.group(), sign), text)

    def _find_state(self) -> int:
        if not self._data or not _has_wide_character(self._data):
            self._state = _UNTOUCHED
        elif any(map(_certainly_broken, _strings(self._document))):
            self._state = _MIXED
        else:
            self._state = _CLEAN
        self._data = self._document = None
        return self._state


def _decoded(run: str, sign: re.Pattern[str] | None) -> str:
    if sign is not None and not sign.search(run):
        return run
    return run.encode("latin-1").decode("utf-8", "surrogatepass")


def _tidied(text: str) -> str:
    return replace_private_emoji(without_lone_surrogates(text))


def _has_wide_character(data: bytes) -> bool:
    # The fast search settles nearly every file; a backslash that somebody typed may
    # deceive it.
    if _MAYBE_WIDE_ESCAPE.search(data) and _WIDE_ESCAPE.search(data):
        return True
    if data.isascii():
        return False
    text = data.decode(json.detect_encoding(data), "surrogatepass")
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return True
    return False


def _certainly_broken(text: str) -> bool:
    return any(_CERTAIN.search(run.group()) for run in _RUN.finditer(text))


def _strings(document: object) -> Iterator[str]:
    open_ends = [document]
    while open_ends:
        value = open_ends.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            open_ends.extend(value.values())
        elif isinstance(value, list):
            open_ends.extend(value)
