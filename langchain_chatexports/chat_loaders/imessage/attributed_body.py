"""Decode `attributedBody`: a message's text and its attributes.

Since macOS 13 the plain `text` column is empty for a large share of messages; the text
is then only in this column, as an attributed string in Apple's typedstream.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from langchain_chatexports.chat_loaders.imessage.typedstream import (
    HEADER,
    StreamObject,
    TypedStream,
    TypedStreamError,
)

__all__ = ["AttributedText", "Run", "decode_attributed_body", "decode_attributes"]

# Every blob seen on real databases begins with one of these; length and text follow.
_IMMUTABLE = bytes.fromhex(
    "040b73747265616d747970656481e803840140848484124e5341747472696275746564537472696e"
    "67008484084e534f626a656374008592848484084e53537472696e67019484012b"
)
_MUTABLE = bytes.fromhex(
    "040b73747265616d747970656481e803840140848484194e534d757461626c654174747269627574"
    "6564537472696e67008484124e5341747472696275746564537472696e67008484084e534f626a65"
    "63740085928484840f4e534d757461626c65537472696e67018484084e53537472696e6701958401"
    "2b"
)
_STRING_CLASS = b"NSString"
_STRING_TYPE = ord("+")
_SHORT_LENGTHS = 0x80
_LENGTH_2, _LENGTH_4 = 0x81, 0x82
# Between the class name and its `+`: version, superclass, type encoding.
_MARKER_REACH = 6
# The class is named once, so the others are text. Each try costs the rest of the blob.
_MAX_MARKERS = 20
_SINGLE_VALUES = frozenset({"NSString", "NSNumber", "NSURL", "NSData"})
_MAX_DEPTH = 8


class Run(NamedTuple):
    """A stretch of text with its attributes."""

    start: int
    """First UTF-16 code unit."""

    end: int
    """The UTF-16 code unit after the last."""

    attributes: dict[str, Any]
    """Values by attribute name: strings, numbers, bytes or dictionaries."""


class AttributedText(NamedTuple):
    """The text of a message and its runs."""

    text: str
    runs: list[Run]


def decode_attributed_body(blob: bytes) -> str | None:
    """Return the text of an `attributedBody`, as it stands.

    Placeholders of attachments (U+FFFC) are kept.

    Args:
        blob: The raw column value; any bytes are allowed.

    Returns:
        The text, or `None` where the bytes hold none that is whole.
    """
    for prefix in (_MUTABLE, _IMMUTABLE):
        if blob.startswith(prefix):
            return _string_at(blob, len(prefix))
    try:
        stream = TypedStream(blob)
        _enter_text(stream)
    except TypedStreamError:
        return _text_after_marker(blob)
    try:
        return stream.read_string()
    except TypedStreamError:
        return None


def decode_attributes(blob: bytes) -> AttributedText | None:
    """Return the text of an `attributedBody` with its attributes.

    Args:
        blob: The raw column value; any bytes are allowed.

    Returns:
        Text and runs, or `None` unless the bytes are sound from end to end.
    """
    try:
        stream = TypedStream(blob)
        _enter_text(stream)
        text = stream.read_string()
        if not stream.at_end_of_object():
            return None
        return AttributedText(text, _read_runs(stream))
    except TypedStreamError:
        return None


def _enter_text(stream: TypedStream) -> None:
    """Step into the attributed string and its string, up to the text."""
    for expected in ("NSAttributedString", "NSString"):
        is_object = stream.read_type() == b"@"
        entered = stream.enter_object() if is_object else None
        if entered is None or expected not in entered.classes:
            msg = "The stream does not begin with an attributed string."
            raise TypedStreamError(msg)
    if stream.read_type() != b"+":
        msg = "The string has no text."
        raise TypedStreamError(msg)


def _read_runs(stream: TypedStream) -> list[Run]:
    runs: list[Run] = []
    by_number: dict[int, dict[str, Any]] = {}
    known: dict[int, Any] = {}
    start = 0
    while not stream.at_end_of_object():
        encoding = stream.read_type()
        if encoding != b"iI":
            msg = "A run does not begin with its number and length."
            raise TypedStreamError(msg)
        number, length = stream.read_values(encoding)
        if number not in by_number:
            by_number[number] = _read_attributes(stream, known)
        runs.append(Run(start, start + length, by_number[number]))
        start += length
    return runs


def _read_attributes(stream: TypedStream, known: dict[int, Any]) -> dict[str, Any]:
    encoding = stream.read_type()
    if encoding != b"@":
        msg = "A new run has no attributes."
        raise TypedStreamError(msg)
    (attributes,) = stream.read_values(encoding)
    plain = _plain(attributes, known)
    return plain if isinstance(plain, dict) else {}


def _plain(value: Any, known: dict[int, Any], depth: int = 0) -> Any:
    """Turn a stream's object into a Python value, or `None` if it is of no known class.

    Objects can refer to each other, also in circles, so each is turned once.
    """
    if not isinstance(value, StreamObject):
        return value
    if id(value) not in known:
        known[id(value)] = None
        if value.values and depth < _MAX_DEPTH:
            known[id(value)] = _plain_object(value, known, depth + 1)
    return known[id(value)]


def _plain_object(value: StreamObject, known: dict[int, Any], depth: int) -> Any:
    if "NSDictionary" in value.classes:
        entries = [_plain(entry, known, depth) for entry in value.values[1:]]
        pairs = zip(entries[::2], entries[1::2], strict=False)
        return {key: item for key, item in pairs if isinstance(key, str)}
    if _SINGLE_VALUES.isdisjoint(value.classes):
        return None
    return _plain(value.values[-1], known, depth)


def _string_at(blob: bytes, at: int) -> str | None:
    """Read a length and as many bytes of UTF-8; `None` where they are not all there."""
    length = blob[at] if at < len(blob) else _SHORT_LENGTHS
    at += 1
    if length >= _SHORT_LENGTHS:
        size = {_LENGTH_2: 2, _LENGTH_4: 4}.get(length)
        if size is None:
            return None
        length = int.from_bytes(blob[at : at + size], "little")
        at += size
    if at + length > len(blob):
        return None
    try:
        return blob[at : at + length].decode()
    except UnicodeDecodeError:
        return None


def _text_after_marker(blob: bytes) -> str | None:
    """Find the text of a typedstream of unknown shape behind its class name."""
    if not blob.startswith(HEADER):
        return None
    at = -1
    for _ in range(_MAX_MARKERS):
        at = blob.find(_STRING_CLASS, at + 1)
        if at < 0:
            break
        after = at + len(_STRING_CLASS)
        plus = blob.find(_STRING_TYPE, after, after + _MARKER_REACH)
        if plus >= 0:
            text = _string_at(blob, plus + 1)
            if text is not None:
                return text
    return None
