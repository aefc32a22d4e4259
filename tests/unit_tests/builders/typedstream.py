"""A builder of `attributedBody` blobs, as written by Messages."""

import struct
from collections.abc import Mapping, Sequence
from typing import Any

PART = "__kIMMessagePartAttributeName"
FILE = "__kIMFileTransferGUIDAttributeName"
MENTION = "__kIMMentionConfirmedMention"
TRANSCRIPT = "IMAudioTranscription"

_VERSIONS = {"NSString": 1, "NSMutableString": 1, "NSValue": 0}


def attributed_body(
    text: str,
    runs: Sequence[tuple[int, Mapping[str, Any]]] | None = None,
    *,
    mutable: bool = False,
) -> bytes:
    """Return a text with its runs: pairs of a length in UTF-16 units and attributes.

    By default, the text is one bubble.
    """
    if runs is None:
        runs = [(utf16_length(text), {PART: 0})] if text else []
    stream = _Writer()
    stream.group("@")
    root = ("NSMutableAttributedString", "NSAttributedString", "NSObject")
    stream.begin(*(root if mutable else root[1:]))
    stream.group("@")
    string = ("NSMutableString", "NSString", "NSObject")
    stream.begin(*(string if mutable else string[1:]))
    stream.group("+")
    stream.string(text.encode())
    stream.end()
    known: list[Mapping[str, Any]] = []
    for length, attributes in runs:
        is_new = attributes not in known
        if is_new:
            known.append(attributes)
        stream.group("iI")
        stream.integer(known.index(attributes) + 1)
        stream.integer(length)
        if is_new:
            stream.group("@")
            stream.value(attributes)
    stream.end()
    return bytes(stream.out)


def utf16_length(text: str) -> int:
    """Count UTF-16 code units, as Messages does."""
    return len(text.encode("utf-16-le")) // 2


def number(value: int) -> bytes:
    """Return an integer in its shortest form."""
    if -110 <= value <= 127:
        return struct.pack("<b", value)
    if -32768 <= value <= 32767:
        return b"\x81" + struct.pack("<h", value)
    return b"\x82" + struct.pack("<i", value)


class _Writer:
    def __init__(self) -> None:
        self.out = bytearray(b"\x04\x0bstreamtyped\x81\xe8\x03")
        self._strings: list[bytes] = []
        self._objects: list[object] = []

    def group(self, encoding: str) -> None:
        self._shared(encoding.encode())

    def begin(self, *classes: str) -> None:
        self.out.append(0x84)
        self._objects.append(object())
        for index, name in enumerate(classes):
            chain = classes[index:]
            if chain in self._objects:
                self._reference(self._objects.index(chain))
                return
            self.out.append(0x84)
            self._shared(name.encode())
            self.out += number(_VERSIONS.get(name, 0))
            self._objects.append(chain)
        self.out.append(0x85)

    def end(self) -> None:
        self.out.append(0x86)

    def string(self, raw: bytes) -> None:
        self.out += number(len(raw))
        self.out += raw

    def integer(self, value: int) -> None:
        self.out += number(value)

    def value(self, value: Any) -> None:
        if isinstance(value, str):
            self.begin("NSString", "NSObject")
            self.group("+")
            self.string(value.encode())
        elif isinstance(value, float):
            self._number("d")
            self.out += b"\x83" + struct.pack("<d", value)
        elif isinstance(value, int):
            self._number("i")
            self.integer(value)
        elif isinstance(value, bytes):
            self.begin("NSData", "NSObject")
            self.group("i")
            self.integer(len(value))
            self.group(f"[{len(value)}c]")
            self.out += value
        else:
            self.begin("NSDictionary", "NSObject")
            self.group("i")
            self.integer(len(value))
            for key, item in value.items():
                for each in (key, item):
                    self.group("@")
                    self.value(each)
        self.end()

    def _number(self, kind: str) -> None:
        self.begin("NSNumber", "NSValue", "NSObject")
        self.group("*")
        self._c_string(kind.encode())
        self.group(kind)

    def _c_string(self, text: bytes) -> None:
        marked = ("C string", text)
        if marked in self._objects:
            self._reference(self._objects.index(marked))
            return
        self.out.append(0x84)
        self._objects.append(marked)
        self._shared(text)

    def _shared(self, text: bytes) -> None:
        if text in self._strings:
            self._reference(self._strings.index(text))
            return
        self.out.append(0x84)
        self._strings.append(text)
        self.string(text)

    def _reference(self, index: int) -> None:
        self.out += number(index - 110)
