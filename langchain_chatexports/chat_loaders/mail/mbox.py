"""Split mbox files into messages, in linear time and little memory.

`mailbox.mbox` splits at every line that begins with `From `, also within a paragraph.
Here, a separator has a date, follows an empty line, and precedes a header. Data of
attachments is dropped while reading.
"""

import re
import zlib
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator
from gzip import GzipFile
from typing import IO, NamedTuple, cast

from langchain_chatexports.chat_loaders.export_file import (
    UNPACKS_TOO_FAR,
    ExportFile,
    max_unpacked_bytes,
    refusal_error,
)

_HEAD_BYTES = 4096
_MAX_LINE = 1 << 20
_MAX_MESSAGE_BYTES = 1 << 23
_MAX_BOUNDARIES, _MAX_PARTS = 50, 2000
_BYTES_PER_MICROSECOND = 256  # And each line takes one.
_SPENT_AT_ONCE = 10_000
_GZIP_MAGIC = b"\x1f\x8b"
_SEPARATOR = re.compile(
    rb"From [^\r\n]{0,300}?(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[ ,]+"
    rb"(?P<date>(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +\d{1,2} +"
    rb"\d\d:\d\d(?::\d\d)?(?: +[+-]?\w{1,5})? +\d{4}(?: +[+-]\d{4})?)\s*$"
)
_HEADER = re.compile(rb"[!-9;-~]{1,76}:")
_MAIL_HEADER = re.compile(
    rb"^(?:From|To|Date|Subject|Message-ID|Received|Return-Path):",
    re.IGNORECASE | re.MULTILINE,
)
_MIN_HEADERS = 2
_QUOTED_FROM = re.compile(rb">+From ")
_BOUNDARY = re.compile(
    rb'boundary\s{0,5}=\s{0,5}(?:"([^"\r\n]{1,200})"|([^\s;"]{1,200}))', re.IGNORECASE
)
# `email` parses parameters in quadratic time.
_LONG_PARAMETERS = re.compile(
    rb"^content-(?:type|disposition):(?:[^\n]|\n[ \t]){16384}",
    re.IGNORECASE | re.MULTILINE,
)
_TYPE = re.compile(
    rb"^content-type:\s{0,20}([\w/.+-]{1,100})", re.IGNORECASE | re.MULTILINE
)
_BASE64 = re.compile(
    rb"^content-transfer-encoding:\s{0,20}base64", re.IGNORECASE | re.MULTILINE
)


class RawMail(NamedTuple):
    """A message in a file."""

    content: bytes
    date: str
    """The date of the separator, in English; empty for a file with one message."""

    parts: int
    """The number of its parts, if they are to be parsed."""

    is_damaged: bool
    """Whether it has too many parts, or its types have too many parameters."""


def is_mail(file: ExportFile) -> bool:
    """Return whether a file is an mbox, or a message, by its first bytes."""
    head = file.head(_HEAD_BYTES)
    if head.startswith(_GZIP_MAGIC):
        try:
            head = zlib.decompressobj(31).decompress(head, _HEAD_BYTES)
        except zlib.error:
            return False
    first_line, _, rest = head.partition(b"\n")
    if _SEPARATOR.match(first_line):
        return _HEADER.match(rest) is not None
    names = {name.lower() for name in _MAIL_HEADER.findall(head.partition(b"\n\n")[0])}
    return _HEADER.match(head) is not None and len(names) >= _MIN_HEADERS


def split_mails(
    file: ExportFile, stream: IO[bytes], spend: Callable[[int], None]
) -> Iterator[RawMail]:
    """Yield the messages of a file; `spend` is called while it is unpacked."""
    limit = None
    if file.head(2) == _GZIP_MAGIC:
        limit = max_unpacked_bytes(file.compressed_size)
        stream = cast("IO[bytes]", GzipFile(fileobj=stream))
    mail = _Mail("")
    is_first = is_after_blank = True
    separator = b""
    for line in _read_lines(file, stream, spend, limit):
        if separator:
            # A separator precedes a header; otherwise, it is text.
            match = _SEPARATOR.match(separator)
            if match is not None and _HEADER.match(line):
                if not is_first:
                    yield mail.finish()
                mail = _Mail(match["date"].decode("ascii", "replace"))
            else:
                mail.add(separator)
            separator, is_first = b"", False
        if is_after_blank and line.startswith(b"From "):
            separator, is_after_blank = line, False
            continue
        is_after_blank = not line.strip()
        if is_first and is_after_blank:
            continue
        is_first = False
        mail.add(line)
    if separator:
        mail.add(separator)
    if mail.has_content:
        yield mail.finish()


def _read_lines(
    file: ExportFile,
    stream: IO[bytes],
    spend: Callable[[int], None],
    limit: int | None,
) -> Iterator[bytes]:
    work = size = 0
    while line := stream.readline(_MAX_LINE):
        size += len(line)
        work += 1 + len(line) // _BYTES_PER_MICROSECOND
        if work > _SPENT_AT_ONCE:
            spend(work)
            work = 0
            if limit is not None and size > limit:
                raise refusal_error(file.label, UNPACKS_TOO_FAR)
        yield line.removeprefix(BOM_UTF8) if size == len(line) else line


class _Mail:
    """Collects the lines of a message, without the data of attachments."""

    def __init__(self, date: str) -> None:
        self._date = date
        self._lines: list[bytes] = []
        self._size = 0
        self._boundaries: set[bytes] = set()
        self._header: list[bytes] | None = []
        self._is_data = False
        self._parts = 0

    @property
    def has_content(self) -> bool:
        """Whether the message has a line."""
        return bool(self._lines)

    def add(self, line: bytes) -> None:
        """Add a line, unless it is data of an attachment."""
        if line.startswith(b"--") and self._boundaries:
            mark = line.strip()[2:]
            if mark in self._boundaries or mark.removesuffix(b"--") in self._boundaries:
                self._header, self._is_data = [], False
                self._parts += 1
        elif self._is_data:
            return
        elif self._header is not None:
            if line.strip():
                self._header.append(line)
            else:
                self._end_header(b"".join(self._header))
                self._header = None
        elif line.startswith(b">") and self._date and _QUOTED_FROM.match(line):
            # In an mbox. In a file of one message, it is a quotation.
            line = line[1:]
        self._size += len(line)
        if self._size <= _MAX_MESSAGE_BYTES:
            self._lines.append(line)

    def finish(self) -> RawMail:
        """Return the message."""
        content = b"".join(self._lines)
        is_damaged = len(self._boundaries) > _MAX_BOUNDARIES or self._parts > _MAX_PARTS
        is_damaged = is_damaged or _LONG_PARAMETERS.search(content) is not None
        parts = 0 if is_damaged else self._parts
        return RawMail(content, self._date, parts, is_damaged)

    def _end_header(self, header: bytes) -> None:
        header = header[:_MAX_LINE]
        for quoted, plain in _BOUNDARY.findall(header):
            self._boundaries.add(quoted or plain)
        type_ = _TYPE.search(header)
        is_text = type_ is None or type_[1].lower().startswith((b"text/", b"message/"))
        self._is_data = not is_text and _BASE64.search(header) is not None
