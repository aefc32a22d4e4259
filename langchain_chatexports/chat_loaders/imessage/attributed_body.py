"""Decode `attributedBody`: a message's text and its attributes, in Apple's typedstream.

Since macOS 13 the column `text` is empty for a large share of messages, whose text is
only here. A stream consists of groups: a type encoding, then a value for each of its
letters. Two tables are numbered from 0: strings (type encodings and class names), and
objects (objects, classes and C strings together). Repeated items are references.
"""

import re
import struct
from collections.abc import Callable
from itertools import islice
from typing import Any, NamedTuple

_HEADER = b"\x04\x0bstreamtyped"
# The end of both heads in real databases, of a mutable and an immutable string: the
# class of the text, its version, its superclass by reference, and the type `+`.
_TEXT_HEAD = re.compile(rb"NSString\x01[\x92-\xff]\x84\x01\+")
# In other streams: the class, and the type within the next six bytes.
_LOOSE_HEAD = re.compile(rb"NSString[^+]{0,5}\+", re.DOTALL)
_MAX_LOOSE_HEADS = 20  # Each may read the rest of the blob.

_INT_2, _INT_4, _REAL, _NEW, _NIL, _END = 0x81, 0x82, 0x83, 0x84, 0x85, 0x86
_FIRST_TAG, _LAST_TAG = 0x80, 0x91  # Never a value of their own.
_FIRST_REFERENCE = -110
_INTEGERS = b"iIlLsSqQ"
_RAW_BYTES = b"cCB"
_REALS = {ord("f"): "<f", ord("d"): "<d"}
_BYTES_TYPE = re.compile(rb"\[(\d{1,9})c\]")
# The last value of an object of these classes is its plain value.
_PLAIN_CLASSES = frozenset({"NSString", "NSNumber", "NSURL", "NSData"})
# A message nests four levels deep, and a class has three above it.
_MAX_DEPTH, _MAX_CLASSES = 40, 20


class Run(NamedTuple):
    """A stretch of text, in UTF-16 code units, with its attributes by name."""

    start: int
    end: int
    attributes: dict[str, Any]


class AttributedText(NamedTuple):
    """The text of a message and its runs."""

    text: str
    runs: list[Run]


def decode_attributed_body(blob: bytes) -> str | None:
    """Return the text of an `attributedBody`; `None` if there is no complete one.

    Any bytes are allowed. Placeholders of attachments (U+FFFC) are kept.
    """
    if not blob.startswith(_HEADER):
        return None
    if head := _TEXT_HEAD.search(blob):
        return _text_at(blob, head.end())
    for head in islice(_LOOSE_HEAD.finditer(blob), _MAX_LOOSE_HEADS):
        text = _text_at(blob, head.end())
        if text is not None:
            return text
    return None


def decode_attributes(blob: bytes) -> AttributedText | None:
    """Return text and runs of an `attributedBody`; `None` if any of it is damaged."""
    try:
        text, *rest = _Archive(blob).read_root()
        is_sound = text == decode_attributed_body(blob)
        return AttributedText(text, _runs(rest)) if is_sound else None
    except (ValueError, TypeError, LookupError):
        return None


def _text_at(blob: bytes, at: int) -> str | None:
    """Read a length and that many bytes of UTF-8; `None` if some are missing."""
    try:
        length, at = _length(blob, at)
        raw = blob[at : at + length]
        return raw.decode() if len(raw) == length else None
    except (ValueError, IndexError):
        return None


def _length(data: bytes, at: int) -> tuple[int, int]:
    """Return an unsigned length, and the position after it."""
    head = data[at]
    if head < _FIRST_TAG:
        return head, at + 1
    size = {_INT_2: 2, _INT_4: 4}.get(head)
    if size is None:
        raise ValueError(head)
    return int.from_bytes(data[at + 1 : at + 1 + size], "little"), at + 1 + size


def _runs(values: list[Any]) -> list[Run]:
    """Read numbers of attributes and lengths; a new number's attributes follow it."""
    runs: list[Run] = []
    known: dict[int, dict[str, Any]] = {}
    start = at = 0
    while at < len(values):
        number, length = values[at : at + 2]
        at += 2
        if number not in known:
            known[number] = values[at]
            at += 1
            if not isinstance(known[number], dict):
                raise TypeError(number)
        runs.append(Run(start, start + length, known[number]))
        start += length
    return runs


class _Archive:
    """A reader of a stream; any Python error means that the stream is damaged."""

    def __init__(self, data: bytes) -> None:
        if not data.startswith(_HEADER):
            raise ValueError(data[:1])
        self._data = data
        self._at = len(_HEADER)
        self._strings: list[bytes] = []
        self._objects: list[Any] = []
        self._values_left = len(data)
        self._integer()  # The version of the system that wrote it.

    def read_root(self) -> list[Any]:
        """Return the values of the attributed string."""
        (root,) = self._group(0)
        if not isinstance(root, list) or not root or not isinstance(root[0], str):
            raise TypeError(root)
        return root

    def _group(self, depth: int) -> list[Any]:
        encoding = self._shared_string()
        if array := _BYTES_TYPE.fullmatch(encoding):
            return [self._bytes(int(array[1]))]
        # A reference of one byte could expand to any number of values.
        self._values_left -= len(encoding)
        if self._values_left < 0:
            raise ValueError(encoding)
        return [self._value(kind, depth) for kind in encoding]

    def _value(self, kind: int, depth: int) -> Any:
        if kind == ord("@"):
            return self._shared_object(lambda: self._object(depth + 1))
        if kind == ord("+"):
            return self._bytes(self._read_length()).decode()
        if kind == ord("*"):
            return self._shared_object(self._shared_string)
        if kind in _INTEGERS:
            return self._integer()
        if kind in _RAW_BYTES:
            return self._bytes(1)[0]
        return self._real(_REALS[kind])

    def _real(self, layout: str) -> float:
        if not self._takes(_REAL):
            return float(self._integer())
        (value,) = struct.unpack(layout, self._bytes(struct.calcsize(layout)))
        return float(value)

    def _shared_object(self, read: Callable[[], Any]) -> Any:
        """Return `None`, a known object, or a new one."""
        if self._takes(_NIL):
            return None
        if not self._takes(_NEW):
            return self._reference(self._objects)
        number = len(self._objects)  # An object takes its number before its class does.
        self._objects.append(None)  # It may refer to itself.
        self._objects[number] = value = read()
        return value

    def _object(self, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise ValueError(depth)
        classes = self._class_chain()
        values: list[Any] = []
        while not self._takes(_END):
            values += self._group(depth)
        return _plain(classes, values)

    def _class_chain(self) -> tuple[str, ...]:
        names: list[str] = []
        first = len(self._objects)
        while self._takes(_NEW):
            names.append(self._shared_string().decode("latin-1"))
            self._integer()  # The version of the class.
            self._objects.append(())
        rest = () if self._takes(_NIL) else self._reference(self._objects)
        chain = (*names, *rest)
        if not isinstance(rest, tuple) or len(chain) > _MAX_CLASSES:
            raise TypeError(rest)
        for index in range(len(names)):
            self._objects[first + index] = chain[index:]
        return chain

    def _shared_string(self) -> bytes:
        if not self._takes(_NEW):
            known: bytes = self._reference(self._strings)
            return known
        self._strings.append(self._bytes(self._read_length()))
        return self._strings[-1]

    def _reference(self, table: list[Any]) -> Any:
        number = self._integer() - _FIRST_REFERENCE
        if number < 0:
            raise IndexError(number)
        return table[number]

    def _integer(self) -> int:
        head = self._bytes(1)[0]
        if head in (_INT_2, _INT_4):
            size = 2 if head == _INT_2 else 4
            return int.from_bytes(self._bytes(size), "little", signed=True)
        if _FIRST_TAG <= head <= _LAST_TAG:
            raise ValueError(head)
        return head - 0x100 if head > _LAST_TAG else head

    def _read_length(self) -> int:
        length, self._at = _length(self._data, self._at)
        return length

    def _takes(self, tag: int) -> bool:
        """Return whether the next byte is a tag, and skip it if so."""
        is_here = self._data[self._at] == tag
        self._at += is_here
        return is_here

    def _bytes(self, count: int) -> bytes:
        value = self._data[self._at : self._at + count]
        if len(value) < count:
            raise IndexError(count)
        self._at += count
        return value


def _plain(classes: tuple[str, ...], values: list[Any]) -> Any:
    """Return an object as a plain value; `None` for unexpected classes."""
    if "NSAttributedString" in classes:
        return values
    if "NSDictionary" in classes:
        pairs = zip(values[1::2], values[2::2], strict=False)
        return {key: value for key, value in pairs if isinstance(key, str)}
    return values[-1] if values and not _PLAIN_CLASSES.isdisjoint(classes) else None
