"""Stream the elements of a backup, and repair what is not XML.

Nearly all of a backup is Base64 in the attribute `data` of `<part>`. Its values are
dropped before the parser, since Expat before 2.6 takes quadratic time for them. The
rest is parsed in pieces that end between two tags, so that no token is scanned twice.
"""

import codecs
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import IO
from xml.parsers.expat import ExpatError, ParserCreate

import msgspec

from langchain_chatexports.chat_loaders.export_file import ExportFile
from langchain_chatexports.chat_loaders.json_data import replace_lone_surrogates
from langchain_chatexports.chat_loaders.legacy_text import LEGACY_FALLBACK
from langchain_chatexports.exceptions import DamagedExportError, ExportFormatError

_CHUNK_BYTES = 1 << 20
_HEAD_BYTES = 4096
# Longer tags are no messages.
_MAX_TAG_BYTES = 1 << 24
_MAX_ATTRIBUTE_BYTES = 256
_MAX_DEPTH = 50
_MAX_PARTS = 20_000  # With the addresses of a message.
_PART = b"<part"
_ATTRIBUTE = re.compile(rb"\s{1,50}([^\s=\"'<>]{1,100})\s{0,50}=\s{0,50}([\"'])")
_DECLARED = re.compile(
    rb"""\s*<\?xml[^>]{0,200}?\sencoding\s?=\s?["']"""
    rb"((?:iso-8859-|windows-|koi8-|gb|big5|euc-|shift_jis)[\w-]{0,10})",
    re.IGNORECASE,
)
_ROOT = re.compile(r"<([A-Za-z]\w*)")
_NOT_ELEMENTS = re.compile(r"<!--.*?-->|<[?!][^>]*>", re.DOTALL)
_CONTROLS = bytes({*range(32)} - {*b"\t\n\r"})
_CONTROL = re.compile(b"[" + re.escape(_CONTROLS) + b"]")
_REPLACEMENT = "\ufffd"
_REFERENCES = re.compile(rb"(?:&#(?:[xX][0-9A-Fa-f]+|[0-9]+);)+")
_BARE_AMPERSAND = re.compile(rb"&(?!#\w|(?:amp|lt|gt|quot|apos);)")
_MAX_DIGITS = 9
_ESCAPED_PAIR = re.compile(r"&#(5[56]\d{3});&#(5[67]\d{3});")


class Element(msgspec.Struct):
    """An `sms` or `mms` element."""

    is_mms: bool
    attributes: dict[str, str]
    parts: list[dict[str, str]] = []
    """The attributes of each part; `data` is the size of the file in bytes."""

    addresses: list[dict[str, str]] = []


class Root(msgspec.Struct):
    """The root element."""

    name: str = ""
    attributes: dict[str, str] = {}
    encoding: str = ""
    """The encoding that the file declares, if it is not Unicode."""

    is_legacy: bool = False
    """Whether it has bytes that are not in its encoding, and read as another one."""


def find_root(file: ExportFile) -> str:
    """Return the name of a file's root element; empty if it is not XML."""
    head = file.head(_HEAD_BYTES)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = head.decode("utf-16", "replace")
    else:
        text = head.decode("utf-8", "replace")
    if not text.lstrip().startswith("<"):
        return ""
    match = _ROOT.search(_NOT_ELEMENTS.sub("", text))
    return match[1] if match else ""


def read_elements(file: ExportFile, stream: IO[bytes], root: Root) -> Iterator[Element]:
    """Yield the messages of a backup, in file order, and fill in its root.

    Raises:
        DamagedExportError: After the last message, if the file is cut or damaged.
        ExportFormatError: If the file declares entities, or is not a backup.
    """
    handler = _Handler(file, root)
    root.encoding = _find_encoding(file)
    pieces = _split_between_tags(drop_data(_read_chunks(stream)), file)
    try:
        for piece in pieces:
            try:
                handler.parser.Parse(_repair(piece, root), False)
            finally:
                yield from handler.elements
                handler.elements.clear()
        handler.parser.Parse(b"", True)
    except ExpatError as error:
        msg = (
            f"{file.label} is not complete XML (line {error.lineno}), so it was "
            "probably cut. The messages before that are read. Copy the backup again."
        )
        raise DamagedExportError(msg, path=file.path) from None


class _Handler:
    """Collects the elements that the parser finds."""

    def __init__(self, file: ExportFile, root: Root) -> None:
        self.elements: list[Element] = []
        # Ignore the declared encoding, since the chunks are UTF-8.
        self.parser = ParserCreate("utf-8")
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.StartDoctypeDeclHandler = self._refuse
        self._file, self._root = file, root
        self._depth = 0
        self._mms: Element | None = None

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if name == "sms":
            self.elements.append(Element(False, attributes))
        elif name == "mms":
            self._mms = Element(True, attributes)
        elif self._mms is not None and name == "part":
            self._mms.parts.append(attributes)
            self._check_parts(self._mms)
        elif self._mms is not None and name == "addr":
            self._mms.addresses.append(attributes)
            self._check_parts(self._mms)
        elif self._depth == 1:
            self._root.name, self._root.attributes = name, attributes
            if name != "smses":
                self._refuse()
        elif self._depth > _MAX_DEPTH:
            self._refuse()

    def _end(self, name: str) -> None:
        self._depth -= 1
        if name == "mms" and self._mms is not None:
            self.elements.append(self._mms)
            self._mms = None

    def _check_parts(self, mms: Element) -> None:
        if len(mms.parts) + len(mms.addresses) > _MAX_PARTS:
            msg = (
                f"{self._file.label} has a message of more than {_MAX_PARTS:,} parts, "
                "so it is damaged. Copy the backup again."
            )
            raise DamagedExportError(msg, path=self._file.path)

    def _refuse(self, *_: object) -> None:
        msg = (
            f"{self._file.label} is not a backup of SMS Backup & Restore: it has other "
            "elements, or declares entities. Back up the messages again."
        )
        raise ExportFormatError(msg, path=self._file.path)


def _read_chunks(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield a file in UTF-8, which some programs save as UTF-16."""
    chunk = stream.read(_CHUNK_BYTES)
    if not chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        while chunk:
            yield chunk
            chunk = stream.read(_CHUNK_BYTES)
        return
    decoder = codecs.getincrementaldecoder("utf-16")("replace")
    while chunk:
        yield decoder.decode(chunk).encode()
        chunk = stream.read(_CHUNK_BYTES)


def drop_data(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Replace each `data` of a `<part>` by the size of the file, in linear time.

    Walks the attributes quote by quote, since the value of another one may contain
    ` data="` within single quotes. No value contains `<`.
    """
    rest, quote, size = b"", b"", 0
    is_data = is_part = False
    chunks = iter(chunks)
    is_last = False
    while not is_last:
        chunk = next(chunks, b"")
        is_last = not chunk
        buffer = rest + chunk
        at = 0
        kept: list[bytes] = []
        while True:
            if quote:
                end = buffer.find(quote, at)
                stop = len(buffer) if end < 0 else end
                if is_data:
                    size += stop - at
                else:
                    kept.append(buffer[at:stop])
                at = stop
                if end < 0:
                    break
                kept.append(b"%d%b" % (size * 3 // 4, quote) if is_data else quote)
                at += 1
                quote = b""
            elif is_part:
                match = _ATTRIBUTE.match(buffer, at)
                if match is None:
                    if len(buffer) - at < _MAX_ATTRIBUTE_BYTES and not is_last:
                        break
                    is_part = False
                    continue
                is_data, quote, size = match[1] == b"data", match[2], 0
                kept.append(match[0])
                at = match.end()
            else:
                start = buffer.find(_PART, at)
                is_part = start >= 0
                # The next chunk may complete the tag's name.
                end = len(buffer) - (0 if is_last else len(_PART) - 1)
                stop = start + len(_PART) if is_part else max(at, end)
                kept.append(buffer[at:stop])
                at = stop
                if not is_part:
                    break
        rest = buffer[at:]
        yield b"".join(kept)


def _split_between_tags(chunks: Iterable[bytes], file: ExportFile) -> Iterator[bytes]:
    """Yield pieces that end before a tag, so that each tag is in one piece."""
    rest: list[bytes] = []
    size = 0
    for chunk in chunks:
        cut = chunk.rfind(b"<")
        if cut >= 0:
            yield b"".join([*rest, chunk[:cut]])
            rest, size = [], 0
        rest.append(chunk[max(cut, 0) :])
        size += len(rest[-1])
        if size > _MAX_TAG_BYTES:
            msg = (
                f"{file.label} has a message of more than {_MAX_TAG_BYTES:,} bytes "
                "without its pictures, so it is damaged. Copy the backup again."
            )
            raise DamagedExportError(msg, path=file.path)
    yield b"".join(rest)


def _repair(piece: bytes, root: Root) -> bytes:
    """Return a piece as XML.

    Old versions of the app, and an option of newer ones, write an emoji as two
    references to surrogates.
    """
    if b"&" in piece:
        piece = _BARE_AMPERSAND.sub(b"&amp;", piece)
        if b"&#" in piece:
            piece = _REFERENCES.sub(_repair_references, piece)
    if len(piece.translate(None, _CONTROLS)) < len(piece):
        piece = _CONTROL.sub(_REPLACEMENT.encode(), piece)
    try:
        piece.decode()
    except UnicodeDecodeError:
        if root.encoding:
            return piece.decode(root.encoding, "replace").encode()
        root.is_legacy = True
        return piece.decode("utf-8", LEGACY_FALLBACK).encode()
    return piece


def _find_encoding(file: ExportFile) -> str:
    declared = _DECLARED.match(file.head(_HEAD_BYTES))
    with suppress(LookupError):
        name = codecs.lookup(declared[1].decode() if declared else "").name
        return "cp1252" if name == "iso8859-1" else name
    return ""


def _repair_references(match: re.Match[bytes]) -> bytes:
    text = "".join(map(_decode_reference, match[0].decode("ascii").split(";")))
    return "".join(f"&#{ord(c)};" for c in replace_lone_surrogates(text)).encode()


def _decode_reference(reference: str) -> str:
    digits = reference.removeprefix("&#")
    if not digits:
        return ""
    is_hexadecimal = digits[0] in "xX"
    digits = digits.lstrip("xX").lstrip("0") or "0"
    code = -1
    if len(digits) <= _MAX_DIGITS:
        code = int(digits, 16 if is_hexadecimal else 10)
    is_valid = code >= ord(" ") or code in (9, 10, 13)
    is_valid = is_valid and code <= 0x10FFFF and code not in (0xFFFE, 0xFFFF)  # noqa: PLR2004 - XML
    return chr(code) if is_valid else _REPLACEMENT


def join_escaped_pairs(text: str) -> str:
    """Decode emoji that other programs wrote as two escaped references."""
    if "&#" not in text:
        return text
    return _ESCAPED_PAIR.sub(
        lambda pair: replace_lone_surrogates(chr(int(pair[1])) + chr(int(pair[2]))),
        text,
    )
