"""The lines of an exported text file, a block at a time."""

from __future__ import annotations

import codecs
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["decode_head", "read_lines"]

_BLOCK_BYTES = 1 << 18
# A message holds at most 65,536 characters. A longer line is no message; cutting it
# keeps a file without line ends from being read at once.
_MAX_LINE_LENGTH = 1 << 18
# Phones write UTF-8 without a mark. Editors add one, or save as UTF-16.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def read_lines(file: IO[bytes]) -> Iterator[list[str]]:
    """Read a text in blocks of lines.

    Only a line feed, with or without a carriage return before it, ends a line. The
    other ends of lines that Unicode knows are part of a text.

    Args:
        file: The file, opened for bytes.

    Yields:
        Lists of lines without their ends, so that a million lines cost a few calls.
    """
    block = file.read(_BLOCK_BYTES)
    encoding, mark = _encoding_of(block)
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    block = block[mark:]
    rest = ""
    while block:
        text = rest + decoder.decode(block)
        if "\r" in text:
            text = text.replace("\r\n", "\n")
        lines = text.split("\n")
        rest = lines.pop()
        if len(rest) > _MAX_LINE_LENGTH:
            lines.append(rest)
            rest = ""
        yield lines
        block = file.read(_BLOCK_BYTES)
    rest += decoder.decode(b"", final=True)
    if rest:
        yield [rest.removesuffix("\r")]


def decode_head(head: bytes) -> list[str]:
    """Return the lines of a file's first bytes; the last one may be cut."""
    encoding, mark = _encoding_of(head)
    return head[mark:].decode(encoding, errors="replace").replace("\r", "").split("\n")


def _encoding_of(head: bytes) -> tuple[str, int]:
    for mark, encoding in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return encoding, len(mark)
    return "utf-8", 0
