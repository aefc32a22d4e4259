r"""Telegram's JSON: find the chats in a file, and read their messages in blocks.

Telegram's writer indents by one space a level and has no line breaks in strings, so the
lines that begin and end a list of messages are known by their indentation. A file in
another form is parsed whole.

What it writes is not always JSON: control characters stand as `\x0C`, and version 4.1.1
left the quotes of one value out. Both are repaired.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from functools import partial
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import orjson

from langchain_chatexports.chat_loaders.json_data import (
    clean_text,
    dicts_of,
    read_json,
    without_lone_surrogates,
)
from langchain_chatexports.chat_loaders.telegram.chats import Chat, peer_of
from langchain_chatexports.exceptions import ExportFormatError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import ExitStack

    from langchain_chatexports.chat_loaders.export_files import ExportFile

__all__ = ["JsonExport", "OpenStreams", "find_chats"]

_BLOCK = 1 << 15
_SEARCHED = 1 << 17
_START_BYTES = 64
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_OWNER = b"personal_information"
_CONTACTS = b"contacts"
_SECTIONS = (b"chats", b"left_chats")
_KEYS = (b'"name":', b'"type":', b'"id":')
_ABOUT_OWNER = (
    *(b'"user_id":', b'"first_name":', b'"last_name":', b'"username":'),
    b'"phone_number":',
)
_ABOUT_CONTACT = (b'"user_id":', b'"phone_number":')
# A backslash before it may itself be escaped.
_CONTROL = re.compile(rb"(?<!\\)((?:\\\\)*)\\x([0-9a-fA-F]{2})")
_BARE_VALUE = re.compile(
    rb'("document_id": )([^"\d\r\n][^\r\n]*?)(,?\r?$)', re.MULTILINE
)


class JsonExport(NamedTuple):
    """What a file holds.

    Attributes:
        user: What it says of whose it is; empty if nothing.
        chats: The chats.
        phones: The phone numbers of the owner's contacts, by id.
        is_cut_off: Whether the file ends too early.
    """

    user: dict[str, Any]
    chats: list[Chat]
    phones: dict[str, str]
    is_cut_off: bool


class OpenStreams:
    """Files that stay open over a pass, so that a zip is not unpacked for each chat."""

    def __init__(self, stack: ExitStack) -> None:
        """Initialize it without open files.

        Args:
            stack: Closes them.
        """
        self._stack = stack
        self._streams: dict[str, IO[bytes]] = {}

    def of(self, file: ExportFile) -> IO[bytes]:
        """Return the file's stream."""
        if file.label not in self._streams:
            stream = self._stack.enter_context(file.opener.open())
            self._streams[file.label] = stream
        return self._streams[file.label]


def find_chats(file: ExportFile, streams: OpenStreams) -> JsonExport | None:
    """Find the chats in a file, without reading their messages.

    Args:
        file: The file.
        streams: Opens it.

    Returns:
        What is in it, or `None` if it is not Telegram's.

    Raises:
        ChatExportError: If it cannot be read.
    """
    start = file.read(_START_BYTES).removeprefix(_BYTE_ORDER_MARK)
    if not start.lstrip().startswith(b"{"):
        return None
    if start.startswith((b'{\n "', b'{\r\n "')):
        newline = b"\r\n" if start.startswith(b"{\r") else b"\n"
        with file.errors_named():
            found = _Finder(file, streams, newline).find()
        if found is not None:
            return found
    return _in_whole_file(file.read(), file)


class _Finder:
    """Finds chats by the lines that stand between the lists of messages."""

    def __init__(self, file: ExportFile, streams: OpenStreams, newline: bytes) -> None:
        self._file = file
        self._streams = streams
        self._newline = newline
        stream = streams.of(file)
        stream.seek(0)
        self._source = _Source(stream)
        self._user: dict[str, Any] = {}
        self._chats: list[Chat] = []
        self._phones: dict[str, str] = {}

    def find(self) -> JsonExport | None:
        """Return what is in the file, or `None` if its form is another one."""
        about: dict[str, Any] = {}
        section, last = b"", b""
        while line := self._source.line():
            bare = line.rstrip()
            last = bare or last
            key = bare.lstrip(b" ")
            depth = len(bare) - len(key)
            if depth == 1:
                section = key[1:].partition(b'"')[0]
            in_chat = depth == 1 or (depth == 4 and section in _SECTIONS)  # noqa: PLR2004
            if in_chat and key.startswith(b'"messages": ['):
                is_known = "type" in about or "name" in about
                if not is_known or not self._add(about, b" " * depth, key):
                    return None
                about = {}
            elif in_chat and key.startswith(_KEYS):
                about.update(_pair(key))
            elif depth == 3 and key == b"{":  # noqa: PLR2004 (a chat in a list)
                about = {}
            elif section == _OWNER and depth == 2 and key.startswith(_ABOUT_OWNER):  # noqa: PLR2004
                self._user.update(_pair(key))
            elif section == _CONTACTS and key.startswith(_ABOUT_CONTACT):
                about.update(_pair(key))
                self._phones |= _phone(about)
        if not self._chats:
            return None
        return JsonExport(self._user, self._chats, self._phones, last != b"}")

    def _add(self, about: dict[str, Any], indent: bytes, key: bytes) -> bool:
        source, newline = self._source, self._newline
        end = newline + indent + b"]"
        read: Callable[[], Iterator[list[Any]]] = partial(iter, ())
        if not key.startswith(b'"messages": []'):
            offset = source.offset
            first = source.line().rstrip()
            if first not in (indent + b" {", indent + b"]", indent + b"],"):
                return not first  # Cut off right here.
            source.back_to(offset - len(newline))
            source.skip_to(end)
            read = partial(_blocks, self._streams, self._file, offset, indent, newline)
        self._chats.append(_chat(about, self._file, read))
        return True


class _Source:
    """A stream that is read by lines, or up to a mark."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._data = b""
        self._at = 0
        self._begin = 0

    @property
    def offset(self) -> int:
        return self._begin + self._at

    def line(self) -> bytes:
        """Return the next line, empty at the end."""
        length = 0
        while (end := self._data.find(b"\n", self._at + length)) < 0:
            length = len(self._data) - self._at
            if not self._read_more(max(_SEARCHED, length)):
                end = len(self._data) - 1
                break
        line = self._data[self._at : end + 1]
        self._at = end + 1
        return line

    def back_to(self, offset: int) -> None:
        """Go back to what has been read last."""
        self._at = offset - self._begin

    def skip_to(self, mark: bytes) -> None:
        """Skip up to a mark and over it, or to the end."""
        while (found := self._data.find(mark, self._at)) < 0:
            self._at = max(self._at, len(self._data) - len(mark) + 1)
            if not self._read_more(_SEARCHED):
                self._at = len(self._data)
                return
        self._at = found + len(mark)

    def _read_more(self, size: int) -> bool:
        block = self._stream.read(size)
        # What stands right before is kept, for `back_to`.
        kept = max(0, self._at - 2)
        self._data = self._data[kept:] + block
        self._begin += kept
        self._at -= kept
        return bool(block)


def _blocks(
    streams: OpenStreams, file: ExportFile, offset: int, indent: bytes, newline: bytes
) -> Iterator[list[Any]]:
    """Yield the messages of a list that begins at an offset."""
    end = newline + indent + b"]"
    closing = newline + indent + b" }"
    between = closing + b"," + newline
    data, size = newline, _BLOCK
    while True:
        with file.errors_named():
            stream = streams.of(file)
            # Another chat may have been read in between.
            if stream.tell() != offset:
                stream.seek(offset)
            block = stream.read(size)
        offset += len(block)
        searched = max(0, len(data) - len(end))
        data += block
        found = data.find(end, searched)
        if found >= 0:
            yield _parsed(data[:found], between)
            return
        if not block:
            # The file was cut off: what is whole of it.
            yield _parsed(data[: data.rfind(closing) + len(closing)], between)
            return
        cut = data.rfind(between)
        if cut < 0:
            size *= 2  # A message that is larger than a block.
            continue
        yield _parsed(data[: cut + len(closing)], between)
        data, size = data[cut + len(between) - len(newline) :], _BLOCK


def _parsed(block: bytes, between: bytes) -> list[Any]:
    body = block.strip()
    if not body:
        return []
    with suppress(orjson.JSONDecodeError):
        listed: list[Any] = orjson.loads(b"[" + body + b"]")
        return listed
    with suppress(ExportFormatError):
        return list(_read_repaired(b"[" + body + b"]", "messages", None))
    *pieces, last = body.split(between)
    return [_message(piece + b"}") for piece in pieces] + [_message(last)]


def _message(data: bytes) -> Any:
    try:
        return _read_repaired(data, "a message", None)
    except ExportFormatError:
        return None


def _read_repaired(data: bytes, label: str, file: ExportFile | None) -> Any:
    path = file.path if file else None
    with suppress(ExportFormatError):
        return read_json(data, label, path)
    data = _CONTROL.sub(rb"\1\\u00\2", data)
    return read_json(_BARE_VALUE.sub(_quoted, data), label, path)


def _quoted(match: re.Match[bytes]) -> bytes:
    key, value, rest = match.groups()
    if value == b"null":
        return match.group()
    return key + json.dumps(value.decode("utf-8", "replace")).encode() + rest


def _pair(line: bytes) -> dict[str, Any]:
    try:
        pair = _read_repaired(b"{" + line.removesuffix(b",") + b"}", "a line", None)
    except ExportFormatError:
        return {}
    return pair if isinstance(pair, dict) else {}


def _in_whole_file(data: bytes, file: ExportFile) -> JsonExport | None:
    raw = _read_repaired(data, file.label, file)
    if not isinstance(raw, dict):
        return None
    user = raw.get("personal_information")
    listed = [raw]
    for key in ("chats", "left_chats"):
        section = raw.get(key)
        inner = section.get("list") if isinstance(section, dict) else None
        listed += inner if isinstance(inner, list) else []
    chats = [
        _chat(about, file, partial(_held, about))
        for about in listed
        if isinstance(about, dict)
        and isinstance(about.get("messages"), list)
        and ("type" in about or "name" in about)
    ]
    if not chats:
        return None
    phones: dict[str, str] = {}
    contacts = raw.get("contacts")
    for about in dicts_of(contacts.get("list") if isinstance(contacts, dict) else None):
        phones |= _phone(about)
    user = user if isinstance(user, dict) else {}
    return JsonExport(user, chats, phones, is_cut_off=False)


def _phone(contact: dict[str, Any]) -> dict[str, str]:
    """Return the phone number of a contact by the id, if it has both."""
    number, phone = contact.get("user_id"), clean_text(contact.get("phone_number"))
    return {f"user{number}": phone} if isinstance(number, int) and phone else {}


def _held(about: dict[str, Any]) -> Iterator[list[Any]]:
    yield about["messages"]


def _chat(
    about: dict[str, Any], file: ExportFile, blocks: Callable[[], Iterator[list[Any]]]
) -> Chat:
    kind, name = about.get("type"), about.get("name")
    kind = kind if isinstance(kind, str) else ""
    clean = without_lone_surrogates(name).strip() if isinstance(name, str) else ""
    peer = peer_of(kind, about.get("id"), clean)
    return Chat(peer, clean or None, kind, file, blocks)
