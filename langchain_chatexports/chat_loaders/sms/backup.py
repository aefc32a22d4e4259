"""Stream the messages of a backup, and repair what is not XML.

Nearly all of a backup is Base64 in the attribute `data` of `<part>`. Its values are
dropped before the parser, since Expat before 2.6 takes quadratic time for them. The
rest is parsed in pieces that end between two tags, so that no token is scanned twice.
"""

import codecs
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import IO
from xml.parsers.expat import ExpatError, ParserCreate

from langchain_chatexports.chat_loaders.export_file import ExportFile
from langchain_chatexports.chat_loaders.json_data import replace_lone_surrogates
from langchain_chatexports.chat_loaders.legacy_text import LEGACY_FALLBACK
from langchain_chatexports.chat_loaders.sms.messages import Record, convert
from langchain_chatexports.exceptions import DamagedExportError, ExportFormatError

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_CHUNK_BYTES = 1 << 20
_HEAD_BYTES = 4096
_MAX_TAG_BYTES = 1 << 24  # Longer tags are no messages.
_MAX_DEPTH = 50
_MAX_PARTS = 20_000  # With the addresses of a message.
# A value may contain ` data="` in single quotes, but no `<`.
_DATA = re.compile(
    rb"""<part(?:\s++[^\s=\"'<>]++\s*+=\s*+(?:"[^"<]*+"|'[^'<]*+'))*?"""
    rb"""\s++data\s*+=\s*+(["'])"""
)
_DECLARED = re.compile(
    rb"""<\?xml[^>]{0,200}?\sencoding\s?=\s?["']"""
    rb"((?:iso-8859-|windows-|koi8-|gb|big5|euc-|shift_jis)[\w-]{0,10})",
    re.IGNORECASE,
)
_ROOT = re.compile(r"<([A-Za-z]\w*)")
_NOT_ELEMENTS = re.compile(r"<!--.*?-->|<[?!][^>]*>", re.DOTALL)
_CONTROLS = bytes({*range(32)} - {*b"\t\n\r"})
_CONTROL = re.compile(b"[" + re.escape(_CONTROLS) + b"]")
_REPLACEMENT = "\ufffd"
_NUMBER = re.compile(rb"&#([xX]?)0*([0-9A-Fa-f]*);")
_REFERENCES = re.compile(rb"(?:&#(?:[xX][0-9A-Fa-f]+|[0-9]+);)+")
_BARE_AMPERSAND = re.compile(rb"&(?!#\w|(?:amp|lt|gt|quot|apos);)")
_MAX_DIGITS = 9


def find_root(file: ExportFile) -> str:
    """Return the name of a file's root element; empty if it is not XML."""
    head = file.head(_HEAD_BYTES)
    text = head.decode(_find_encoding(head), "replace")
    match = _ROOT.search(_NOT_ELEMENTS.sub("", text))
    return match[1] if match and text.lstrip().startswith("<") else ""


class Backup:
    """A backup, whose messages are converted while it is read."""

    def __init__(self, file: ExportFile, number: int) -> None:
        self.root: dict[str, str] = {}
        """The attributes of the root element."""

        self.is_legacy = False
        """Whether it has bytes that are not in its encoding, and read as another."""

        self._file, self._number = file, number
        self._records: list[Record] = []
        self._depth = 0
        # Ignore the declared encoding, since the chunks are UTF-8.
        self._parser = ParserCreate("utf-8")
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._start_mms({})

    def read(self, stream: IO[bytes]) -> Iterator[Record]:
        """Yield the messages, in file order.

        Raises:
            DamagedExportError: After the last message, if the file is cut or damaged.
            ExportFormatError: If the file declares entities, or is not a backup.
        """
        chunks: Iterable[bytes] = iter(partial(stream.read, _CHUNK_BYTES), b"")
        if (encoding := _find_encoding(self._file.head(_HEAD_BYTES))) != "utf-8":
            decoder = codecs.getincrementaldecoder(encoding)("replace")
            chunks = (decoder.decode(chunk).encode() for chunk in chunks)
        try:
            for piece in drop_data(chunks):
                try:
                    self._parser.Parse(self._repair(piece), False)
                finally:
                    yield from self._records
                    self._records.clear()
            self._parser.Parse(b"", True)
        except (ExpatError, OverflowError):
            msg = (
                f"{self._file.label} is not complete XML (line "
                f"{self._parser.CurrentLineNumber}), so it was probably cut. The "
                "messages before that are read. Copy the backup again."
            )
            raise DamagedExportError(msg, path=self._file.path) from None

    def _repair(self, piece: bytes) -> bytes:
        """Return a piece as XML.

        Old versions of the app, and an option of newer ones, write an emoji as two
        references to surrogates.
        """
        if b"&" in piece:
            piece = _BARE_AMPERSAND.sub(b"&amp;", piece)
            piece = _REFERENCES.sub(_repair_references, piece)
        if len(piece.translate(None, _CONTROLS)) < len(piece):
            piece = _CONTROL.sub(_REPLACEMENT.encode(), piece)
        try:
            piece.decode()
        except UnicodeDecodeError:
            self.is_legacy = True
            return piece.decode("utf-8", LEGACY_FALLBACK).encode()
        return piece

    def _start_mms(self, attributes: dict[str, str]) -> None:
        self._attributes = attributes
        self._parts: list[dict[str, str]] = []
        self._addresses: list[dict[str, str]] = []

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if name == "sms":
            self._records.append(convert(self._number, attributes))
        elif name == "mms":
            self._start_mms(attributes)
        elif name in {"part", "addr"}:
            (self._parts if name == "part" else self._addresses).append(attributes)
        elif self._depth == 1:
            self.root = attributes
        is_root = self._depth == 1 and name != "smses"
        count = len(self._parts) + len(self._addresses)
        if is_root or self._depth > _MAX_DEPTH or count > _MAX_PARTS:
            self._refuse()

    def _end(self, name: str) -> None:
        self._depth -= 1
        if name == "mms":
            mms = self._attributes, self._parts, self._addresses
            self._records.append(convert(self._number, *mms))
            self._start_mms({})

    def _refuse(self, *_: object) -> None:
        msg = (
            f"{self._file.label} is not a backup of SMS Backup & Restore: it has other "
            "elements or too many, or declares entities. Back up the messages again."
        )
        raise ExportFormatError(msg, path=self._file.path)


def drop_data(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield pieces that end between tags, with the size of a file for its `data`.

    Takes linear time, for chunks of any size.
    """
    chunks = iter(chunks)
    done = rest = b""  # Of a tag: without its data, and not searched for it.
    for chunk in chunks:
        rest += chunk
        kept = [done]
        at = 0
        while match := _DATA.search(rest, at):
            kept.append(rest[at : match.end()])
            size, at = 0, match.end()
            while (end := rest.find(match[1], at)) < 0 and rest:
                size += len(rest) - at
                rest, at = next(chunks, b""), 0
            size += max(end - at, 0)
            kept.append(b"%d" % (size * 3 // 4))
            at = max(end, 0)
        cut = rest.rfind(b"<", at)
        if cut >= 0:
            yield b"".join([*kept, rest[at:cut]])
            done, rest = b"", rest[cut:]
        else:
            before, tag, done = b"".join([*kept, rest[at:]]).rpartition(b"<")
            yield before
            done, rest = tag + done, b""
        if len(done) + len(rest) > _MAX_TAG_BYTES:
            msg = f"a message has more than {_MAX_TAG_BYTES:,} bytes"
            raise OverflowError(msg)
    yield done + rest


def _find_encoding(head: bytes) -> str:
    """Return the encoding that a file declares."""
    if head.startswith(_UTF_16):
        return "utf-16"
    declared = _DECLARED.match(head)
    with suppress(LookupError):
        name = codecs.lookup(declared[1].decode() if declared else "").name
        return "cp1252" if name == "iso8859-1" else name
    return "utf-8"


def _repair_references(match: re.Match[bytes]) -> bytes:
    text = "".join(map(_decode_number, *zip(*_NUMBER.findall(match[0]), strict=True)))
    return "".join(f"&#{ord(c)};" for c in replace_lone_surrogates(text)).encode()


def _decode_number(x: bytes, digits: bytes) -> str:
    code = int(digits[:_MAX_DIGITS] or b"0", 16 if x else 10)
    is_valid = code >= ord(" ") or code in (9, 10, 13)
    is_valid = is_valid and code <= 0x10FFFF and code not in (0xFFFE, 0xFFFF)  # noqa: PLR2004 - XML
    return chr(code) if is_valid else _REPLACEMENT
