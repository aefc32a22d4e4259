"""Read Apple's typedstream, the serialization inside `attributedBody`.

Two tables number what appears, each from 0: strings (type encodings and class names),
and objects (objects, classes and C strings together). Later mentions are references.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

__all__ = ["StreamObject", "TypedStream", "TypedStreamError"]

HEADER = b"\x04\x0bstreamtyped"

_INT_2, _INT_4, _REAL, _NEW, _NIL, _END = 0x81, 0x82, 0x83, 0x84, 0x85, 0x86
# No byte between these is a value of its own.
_FIRST_TAG, _LAST_TAG = 0x80, 0x91
_FIRST_REFERENCE = -110
_ONE_RAW_BYTE = b"cCB"
_INTEGERS = b"iIlLsSqQ"
_REALS = {ord("f"): "<f", ord("d"): "<d"}
# A message nests four levels deep; the bound keeps damaged input off Python's own.
_MAX_DEPTH = 40
# A class in a message has three above it; each keeps the names of all of these.
_MAX_CLASSES = 20
_MAX_SIZE_DIGITS = 10


class TypedStreamError(ValueError):
    """The bytes are not a typedstream, or end too early."""


@dataclass
class StreamObject:
    """An object: its class, then its superclasses, and its values in order."""

    classes: tuple[str, ...]
    values: list[Any] = field(default_factory=list)


class TypedStream:
    """A reader of one typedstream, forward only."""

    def __init__(self, data: bytes) -> None:
        """Initialize the reader.

        Raises:
            TypedStreamError: If the header is not a little-endian typedstream's.
        """
        if not data.startswith(HEADER):
            msg = "The header is not that of a little-endian typedstream."
            raise TypedStreamError(msg)
        self._data = data
        self._at = len(HEADER)
        self._strings: list[bytes] = []
        self._objects: list[Any] = []
        self._depth = 0
        self._values_left = len(data)
        self.read_integer()  # The version of the system that wrote it.

    def read_type(self) -> bytes:
        """Read the type encoding that begins a group of values."""
        return self._shared_string()

    def read_integer(self) -> int:
        """Read a signed integer."""
        head = self._byte()
        if head == _INT_2:
            return int.from_bytes(self._bytes(2), "little", signed=True)
        if head == _INT_4:
            return int.from_bytes(self._bytes(4), "little", signed=True)
        if _FIRST_TAG <= head <= _LAST_TAG:
            msg = f"Expected an integer, found the tag {head:#x}."
            raise TypedStreamError(msg)
        return head - 0x100 if head > _LAST_TAG else head

    def read_string(self) -> str:
        """Read the value of a `+` group: a length and UTF-8 bytes."""
        try:
            return self._bytes(self._length()).decode()
        except UnicodeDecodeError as error:
            msg = "A string is not UTF-8."
            raise TypedStreamError(msg) from error

    def enter_object(self) -> StreamObject | None:
        """Read the head of an object that is written out here, up to its first group.

        Returns:
            The object without its values, or `None` where it is nil.
        """
        head = self._byte()
        if head == _NIL:
            return None
        if head != _NEW:
            msg = "Expected a new object."
            raise TypedStreamError(msg)
        entered = StreamObject(())
        # An object takes its number before its class does.
        self._objects.append(entered)
        entered.classes = self._class_chain()
        return entered

    def at_end_of_object(self) -> bool:
        """Return whether an object ends here, and skip its end."""
        if self._peek() != _END:
            return False
        self._at += 1
        return True

    def read_values(self, encoding: bytes) -> list[Any]:
        """Read the values of a group of the given type encoding."""
        values: list[Any] = []
        at = 0
        while at < len(encoding):
            kind = encoding[at]
            if kind == ord("["):
                end = encoding.find(b"c]", at)
                size = encoding[at + 1 : end]
                if end < 0 or not size.isdigit() or len(size) > _MAX_SIZE_DIGITS:
                    msg = "An array is not one of bytes."
                    raise TypedStreamError(msg)
                values.append(self._bytes(int(size)))
                self._count_empty(int(size))
                at = end + 2
            else:
                values.append(self._value(kind))
                at += 1
        return values

    def _count_empty(self, size: int) -> None:
        """Limit values that take no byte: 30 kB can hold hours of work of them."""
        self._values_left -= size == 0
        if self._values_left < 0:
            msg = "There are more empty arrays than bytes."
            raise TypedStreamError(msg)

    def _value(self, kind: int) -> Any:
        if kind == ord("@"):
            return self._object()
        if kind == ord("+"):
            return self.read_string()
        if kind == ord("*"):
            return self._c_string()
        if kind in _ONE_RAW_BYTE:
            return self._byte()
        if kind in _INTEGERS:
            return self.read_integer()
        if kind in _REALS:
            return self._real(_REALS[kind])
        msg = f"The type {chr(kind)!r} does not occur in messages."
        raise TypedStreamError(msg)

    def _object(self) -> Any:
        head = self._peek()
        if head not in (_NEW, _NIL):
            return self._reference(self._objects)
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            msg = "Objects are nested too deeply."
            raise TypedStreamError(msg)
        entered = self.enter_object()
        if entered is not None:
            while not self.at_end_of_object():
                entered.values += self.read_values(self.read_type())
        self._depth -= 1
        return entered

    def _class_chain(self) -> tuple[str, ...]:
        names: list[str] = []
        slots: list[int] = []
        while self._peek() == _NEW:
            self._at += 1
            names.append(self._shared_string().decode("latin-1"))
            self.read_integer()  # The version of the class.
            slots.append(len(self._objects))
            self._objects.append(())
        rest: Any = ()
        if self._peek() == _NIL:
            self._at += 1
        else:
            rest = self._reference(self._objects)
        if not isinstance(rest, tuple):
            msg = "A superclass is not a class."
            raise TypedStreamError(msg)
        chain = (*names, *rest)
        if len(chain) > _MAX_CLASSES:
            msg = "A class has too many classes above it."
            raise TypedStreamError(msg)
        for index, slot in enumerate(slots):
            self._objects[slot] = chain[index:]
        return chain

    def _c_string(self) -> bytes | None:
        head = self._peek()
        if head == _NIL:
            self._at += 1
            return None
        if head != _NEW:
            known = self._reference(self._objects)
            if not isinstance(known, bytes):
                msg = "A reference does not lead to a string."
                raise TypedStreamError(msg)
            return known
        self._at += 1
        slot = len(self._objects)
        self._objects.append(b"")
        text = self._shared_string()
        self._objects[slot] = text
        return text

    def _shared_string(self) -> bytes:
        if self._peek() != _NEW:
            known: bytes = self._reference(self._strings)
            return known
        self._at += 1
        text = self._bytes(self._length())
        self._strings.append(text)
        return text

    def _reference(self, table: list[Any]) -> Any:
        number = self.read_integer() - _FIRST_REFERENCE
        if not 0 <= number < len(table):
            msg = "A reference leads nowhere."
            raise TypedStreamError(msg)
        return table[number]

    def _real(self, layout: str) -> float:
        if self._peek() != _REAL:
            return float(self.read_integer())
        self._at += 1
        (value,) = struct.unpack(layout, self._bytes(struct.calcsize(layout)))
        return float(value)

    def _length(self) -> int:
        head = self._byte()
        if head < _FIRST_TAG:
            return head
        if head == _INT_2:
            return int.from_bytes(self._bytes(2), "little")
        if head == _INT_4:
            return int.from_bytes(self._bytes(4), "little")
        msg = f"{head:#x} does not begin a length."
        raise TypedStreamError(msg)

    def _peek(self) -> int:
        if self._at >= len(self._data):
            msg = "The stream ends too early."
            raise TypedStreamError(msg)
        return self._data[self._at]

    def _byte(self) -> int:
        value = self._peek()
        self._at += 1
        return value

    def _bytes(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            msg = "The stream ends too early."
            raise TypedStreamError(msg)
        value = self._data[self._at : end]
        self._at = end
        return value
