"""Decode `attributedBody`, a message's text and attributes as Apple's typedstream.

Since macOS 13, many messages have an empty `text` column and are stored only here. A
stream consists of groups: a type encoding, followed by a value for each of its letters.
Two tables are indexed from 0: strings (type encodings and class names), and objects
(objects, classes and C strings together). Repeated items are stored as references.
"""

import re
import struct
from collections.abc import Callable
from itertools import islice
from typing import Any, NamedTuple

_HEADER = b"\x04\x0bstreamtyped"
# In real databases, the bytes before the text are its class (a mutable or immutable
# string) with a version and a reference to the superclass, and the type `+`.
_TEXT_HEAD = re.compile(rb"NSString\x01[\x92-\xff]\x84\x01\+")
# In other streams, the class name, and the type within the next six bytes.
_LOOSE_HEAD = re.compile(rb"NSString[^+]{0,5}\+", re.DOTALL)
_MAX_LOOSE_HEADS = 20  # Each attempt may read the rest of the blob.

_INT_2, _INT_4, _REAL, _NEW, _NIL, _END = 0x81, 0x82, 0x83, 0x84, 0x85, 0x86
_FIRST_TAG, _LAST_TAG = 0x80, 0x91  # Plain integers never use these bytes.
_FIRST_REFERENCE = -110
_INTEGERS = b"iIlLsSqQ"
_RAW_BYTES = b"cCB"
_REALS = {ord("f"): "<f", ord("d"): "<d"}
_BYTES_TYPE = re.compile(rb"\[(\d{1,9})c\]")
# Objects of these classes end with their plain value.
_PLAIN_CLASSES = frozenset({"NSString", "NSNumber", "NSURL", "NSData"})
# Real messages nest four levels deep, and classes have up to three superclasses.
_MAX_DEPTH, _MAX_CLASSES = 40, 20


class Run(NamedTuple):
    """The attributes of a text range, measured in UTF-16 code units."""

    start: int
    end: int
    attributes: dict[str, Any]


class AttributedText(NamedTuple):
    """The text of a message and its runs."""

    text: str
    runs: list[Run]


def decode_attributed_body(blob: bytes) -> str | None:
    """Return the text of an `attributedBody`, or `None` if it is incomplete.

    Accepts any bytes. The text includes attachment placeholders (U+FFFC).
    """
    if not blob.startswith(_HEADER):
        return None
    if head := _TEXT_HEAD.search(blob):
        return _read_text_at(blob, head.end())
    for head in islice(_LOOSE_HEAD.finditer(blob), _MAX_LOOSE_HEADS):
        text = _read_text_at(blob, head.end())
        if text is not None:
            return text
    return None


def decode_attributes(blob: bytes) -> AttributedText | None:
    """Return the text and runs of an `attributedBody`, or `None` if damaged."""
    try:
        text, *run_values = _Archive(blob).read_root()
        is_valid = text == decode_attributed_body(blob)
        return AttributedText(text, _read_runs(run_values)) if is_valid else None
    except (ValueError, TypeError, LookupError):
        return None


def _read_text_at(blob: bytes, position: int) -> str | None:
    """Read a length and its UTF-8 text, or return `None` if bytes are missing."""
    try:
        length, position = _read_length_at(blob, position)
        data = blob[position : position + length]
        return data.decode() if len(data) == length else None
    except (ValueError, IndexError):
        return None


def _read_length_at(data: bytes, position: int) -> tuple[int, int]:
    """Return an unsigned length and the position after it."""
    head = data[position]
    if head < _FIRST_TAG:
        return head, position + 1
    size = {_INT_2: 2, _INT_4: 4}.get(head)
    if size is None:
        raise ValueError(head)
    return int.from_bytes(
        data[position + 1 : position + 1 + size], "little"
    ), position + 1 + size


def _read_runs(values: list[Any]) -> list[Run]:
    """Read pairs of dictionary id and length, with the attributes after a new id."""
    runs: list[Run] = []
    attributes_by_id: dict[int, dict[str, Any]] = {}
    start = position = 0
    while position < len(values):
        attributes_id, length = values[position : position + 2]
        position += 2
        if attributes_id not in attributes_by_id:
            attributes_by_id[attributes_id] = values[position]
            position += 1
            if not isinstance(attributes_by_id[attributes_id], dict):
                raise TypeError(attributes_id)
        runs.append(Run(start, start + length, attributes_by_id[attributes_id]))
        start += length
    return runs


class _Archive:
    """Reads a stream. Damaged streams raise arbitrary Python errors."""

    def __init__(self, data: bytes) -> None:
        if not data.startswith(_HEADER):
            raise ValueError(data[:1])
        self._data = data
        self._position = len(_HEADER)
        self._strings: list[bytes] = []
        self._objects: list[Any] = []
        self._values_left = len(data)
        self._read_integer()  # Skip the system version.

    def read_root(self) -> list[Any]:
        """Return the values of the attributed string."""
        (root,) = self._read_group(0)
        if not isinstance(root, list) or not root or not isinstance(root[0], str):
            raise TypeError(root)
        return root

    def _read_group(self, depth: int) -> list[Any]:
        encoding = self._read_shared_string()
        if array := _BYTES_TYPE.fullmatch(encoding):
            return [self._read_bytes(int(array[1]))]
        # A one-byte reference could expand to any number of values.
        self._values_left -= len(encoding)
        if self._values_left < 0:
            raise ValueError(encoding)
        return [self._read_value(kind, depth) for kind in encoding]

    def _read_value(self, kind: int, depth: int) -> Any:
        if kind == ord("@"):
            return self._read_shared_object(lambda: self._read_object(depth + 1))
        if kind == ord("+"):
            return self._read_bytes(self._read_length()).decode()
        if kind == ord("*"):
            return self._read_shared_object(self._read_shared_string)
        if kind in _INTEGERS:
            return self._read_integer()
        if kind in _RAW_BYTES:
            return self._read_bytes(1)[0]
        return self._read_real(_REALS[kind])

    def _read_real(self, layout: str) -> float:
        if not self._skip_tag(_REAL):
            return float(self._read_integer())
        (value,) = struct.unpack(layout, self._read_bytes(struct.calcsize(layout)))
        return float(value)

    def _read_shared_object(self, read: Callable[[], Any]) -> Any:
        """Return `None`, an object from the table, or a new object."""
        if self._skip_tag(_NIL):
            return None
        if not self._skip_tag(_NEW):
            return self._read_reference(self._objects)
        index = len(self._objects)  # An object takes its index before its class.
        self._objects.append(None)  # It may contain a reference to itself.
        self._objects[index] = value = read()
        return value

    def _read_object(self, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise ValueError(depth)
        classes = self._read_class_chain()
        values: list[Any] = []
        while not self._skip_tag(_END):
            values += self._read_group(depth)
        return _to_plain_value(classes, values)

    def _read_class_chain(self) -> tuple[str, ...]:
        names: list[str] = []
        first_index = len(self._objects)
        while self._skip_tag(_NEW):
            names.append(self._read_shared_string().decode("latin-1"))
            self._read_integer()  # Skip the class version.
            self._objects.append(())
        superclasses = (
            () if self._skip_tag(_NIL) else self._read_reference(self._objects)
        )
        chain = (*names, *superclasses)
        if not isinstance(superclasses, tuple) or len(chain) > _MAX_CLASSES:
            raise TypeError(superclasses)
        for index in range(len(names)):
            self._objects[first_index + index] = chain[index:]
        return chain

    def _read_shared_string(self) -> bytes:
        if not self._skip_tag(_NEW):
            shared: bytes = self._read_reference(self._strings)
            return shared
        self._strings.append(self._read_bytes(self._read_length()))
        return self._strings[-1]

    def _read_reference(self, table: list[Any]) -> Any:
        index = self._read_integer() - _FIRST_REFERENCE
        if index < 0:
            raise IndexError(index)
        return table[index]

    def _read_integer(self) -> int:
        head = self._read_bytes(1)[0]
        if head in (_INT_2, _INT_4):
            size = 2 if head == _INT_2 else 4
            return int.from_bytes(self._read_bytes(size), "little", signed=True)
        if _FIRST_TAG <= head <= _LAST_TAG:
            raise ValueError(head)
        return head - 0x100 if head > _LAST_TAG else head

    def _read_length(self) -> int:
        length, self._position = _read_length_at(self._data, self._position)
        return length

    def _skip_tag(self, tag: int) -> bool:
        """Skip the next byte if it is this tag; return whether it was."""
        is_match = self._data[self._position] == tag
        self._position += is_match
        return is_match

    def _read_bytes(self, count: int) -> bytes:
        value = self._data[self._position : self._position + count]
        if len(value) < count:
            raise IndexError(count)
        self._position += count
        return value


def _to_plain_value(classes: tuple[str, ...], values: list[Any]) -> Any:
    """Return the plain value of an object, or `None` for unexpected classes."""
    if "NSAttributedString" in classes:
        return values
    if "NSDictionary" in classes:
        pairs = zip(values[1::2], values[2::2], strict=False)
        return {key: value for key, value in pairs if isinstance(key, str)}
    return values[-1] if values and not _PLAIN_CLASSES.isdisjoint(classes) else None
