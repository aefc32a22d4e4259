"""Split mbox files into messages, in linear time and little memory.

`mailbox.mbox` splits at every line that begins with `From `, also within a paragraph.
Here, a separator has a date, follows an empty line, and precedes a header.
"""

import re
import zlib
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator
from functools import partial
from gzip import GzipFile
from typing import IO, cast

from langchain_chatexports.chat_loaders.export_file import (
    UNPACKS_TOO_FAR,
    ExportFile,
    max_unpacked_bytes,
    refusal_error,
)

_HEAD_BYTES = 4096
_CHUNK_BYTES = 1 << 20
_LARGE_MAIL_BYTES, _MAX_MAIL_BYTES = 1 << 22, 1 << 23
_MAX_SEPARATOR_BYTES = 500
# Of Base64 in a large message; a longer run is no text. The second one is rarely text.
_MAX_TEXT_BYTES = (1 << 20, 1 << 17)
_BYTES_PER_MICROSECOND = 256  # And each line takes one.
_GZIP_MAGIC = b"\x1f\x8b"
_EMPTY_LINE = b"\n\n"
_SEPARATOR = re.compile(
    rb"\nFrom (?:(?<=\n\nFrom )|(?<=\n\r\nFrom ))[^\r\n]{0,300}?"
    rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[ ,]+"
    rb"(?P<date>(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +\d{1,2} +"
    rb"\d\d:\d\d(?::\d\d)?(?: +[+-]?\w{1,5})? +\d{4}(?: +[+-]\d{4})?)[ \t]*\r?\n"
    rb"(?=[!-9;-~]{1,76}:)"
)
_HEADER = re.compile(rb"[!-9;-~]{1,76}:")
_MAIL_HEADER = re.compile(
    rb"^(?:From|To|Date|Subject|Message-ID|Received|Return-Path):",
    re.IGNORECASE | re.MULTILINE,
)
_MIN_HEADERS = 2
_QUOTED_FROM = re.compile(rb"\n>(>*From )")
_BASE64 = re.compile(rb"\n(?:[A-Za-z0-9+/=]{4,100}\r?\n)++")


def is_mail(file: ExportFile) -> bool:
    """Return whether a file is an mbox, or a message, by its first bytes."""
    head = file.head(_HEAD_BYTES)
    if head.startswith(_GZIP_MAGIC):
        try:
            head = zlib.decompressobj(31).decompress(head, _HEAD_BYTES)
        except zlib.error:
            return False
    if _SEPARATOR.match(_EMPTY_LINE + head, 1):
        return True
    names = {name.lower() for name in _MAIL_HEADER.findall(head.partition(b"\n\n")[0])}
    return _HEADER.match(head) is not None and len(names) >= _MIN_HEADERS


def split_mails(
    file: ExportFile, stream: IO[bytes], spend: Callable[[int], None]
) -> Iterator[tuple[bytes, str]]:
    """Yield the messages of a file, with the dates of separators, in English.

    Of a very large message, long data of attachments is left out. `spend` is called
    while the file is unpacked.
    """
    date = ""
    buffer = _EMPTY_LINE
    for chunk in _read_chunks(file, stream, spend):
        searched = max(len(buffer) - _MAX_SEPARATOR_BYTES, 0)
        buffer += chunk
        begin = 0
        for separator in _SEPARATOR.finditer(buffer, searched):
            if date or buffer[begin : separator.start()].strip():
                yield _finish(buffer[begin : separator.start()], date)
            begin, date = separator.end(), separator["date"].decode("ascii", "replace")
        buffer = buffer[begin:]
        for limit in _MAX_TEXT_BYTES:
            if len(buffer) > _LARGE_MAIL_BYTES:
                buffer = _BASE64.sub(partial(_drop_data, limit), buffer)
        if len(buffer) > _MAX_MAIL_BYTES:
            buffer = buffer[:_MAX_MAIL_BYTES] + buffer[-_MAX_SEPARATOR_BYTES:]
    if date or buffer.strip():
        yield _finish(buffer, date)


def _read_chunks(
    file: ExportFile, stream: IO[bytes], spend: Callable[[int], None]
) -> Iterator[bytes]:
    limit = None
    if file.head(2) == _GZIP_MAGIC:
        limit = max_unpacked_bytes(file.compressed_size)
        stream = cast("IO[bytes]", GzipFile(fileobj=stream))
    size = 0
    while chunk := stream.read(_CHUNK_BYTES):
        spend(len(chunk) // _BYTES_PER_MICROSECOND + chunk.count(b"\n"))
        size += len(chunk)
        if limit is not None and size > limit:
            raise refusal_error(file.label, UNPACKS_TOO_FAR)
        yield chunk.removeprefix(BOM_UTF8).lstrip() if size == len(chunk) else chunk


def _finish(content: bytes, date: str) -> tuple[bytes, str]:
    if not date:  # In a file of one message, `>From` is a quotation.
        return content.lstrip(), date
    return _QUOTED_FROM.sub(rb"\n\1", content), date


def _drop_data(limit: int, lines: re.Match[bytes]) -> bytes:
    return b"\n" if len(lines[0]) > limit else lines[0]
