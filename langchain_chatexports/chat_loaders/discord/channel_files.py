"""Files of one channel as DiscordChatExporter writes them, read a block at a time.

The tool's writer indents by two spaces, so a message begins and ends with a line that
is indented by four. Files in another form are parsed whole.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from langchain_chatexports.chat_loaders.discord.records import microseconds
from langchain_chatexports.chat_loaders.json_data import read_json
from langchain_chatexports.exceptions import ExportFormatError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import IO

    from langchain_chatexports.chat_loaders.export_files import ExportFile

__all__ = ["Channel", "read_channel", "read_messages"]

_HEAD_BYTES = 64 * 2**10
_MESSAGES = re.compile(rb'"messages"\s*:\s*\[')
_END_OF_MESSAGE = re.compile(rb"\n    \},?\r?\n")
_MAX_END_LENGTH = 9
_COUNT = re.compile(rb'\s*\],\s*"messageCount":\s*(\d{1,18})\s*\}')
_END_BYTES = 256
# Small enough that what is parsed of it is gone before a garbage collection.
_BLOCK_BYTES = 2**15
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Channel:
    """What the beginning of a file says of its channel.

    Attributes:
        id: The channel's id.
        name: Its name; of direct messages the other people's.
        type: What DiscordChatExporter calls its kind, such as `GuildTextChat`.
        parent: The category, or the channel of a thread.
        guild: The server's name.
        exported_at: When the file was written, in microseconds since 1970; 0 where it
            does not say so, as before version 2.40.
    """

    id: str
    name: str
    type: str
    parent: str
    guild: str
    exported_at: int

    @property
    def is_direct(self) -> bool:
        """Whether it is between people, not on a server."""
        return self.type in {"DirectTextChat", "DirectGroupTextChat"}


def read_channel(file: ExportFile) -> Channel | None:
    """Return the channel of a file, or `None` if it is not one of a channel.

    Names of files do not count: people rename them, and some of what a message carries
    is saved as JSON, too.

    Raises:
        ChatExportError: If the file cannot be read.
    """
    head = file.read(_HEAD_BYTES).removeprefix(_BYTE_ORDER_MARK)
    if not head.lstrip().startswith(b"{"):
        return None
    match = _MESSAGES.search(head)
    if match is None:
        return None
    start = head[: match.start()].rstrip().rstrip(b",") + b"}"
    try:
        about = orjson.loads(start)
    except orjson.JSONDecodeError:
        return None
    return _channel(about)


def read_messages(
    file: ExportFile, on_count: Callable[[int], None] | None = None
) -> Iterator[Any]:
    """Yield the messages of a channel's file as they are, in the file's order.

    Args:
        file: The file.
        on_count: Called at the end with how many messages the file says it holds.

    Yields:
        Each message; `None` for one that is damaged, and for the one at which a file
        that was cut off ends.

    Raises:
        ChatExportError: If the file cannot be read.
    """
    with file.open() as stream:
        is_indented = _skip_head(stream)
        if is_indented:
            yield from _by_lines(stream, on_count)
            return
    raw = read_json(file.read(), file.label, file.path)
    messages = raw.get("messages") if isinstance(raw, dict) else None
    if not isinstance(messages, list):
        msg = f"{file.label} has no list of messages. Export the channel again as JSON."
        raise ExportFormatError(msg, path=file.path)
    yield from messages
    if on_count and type(count := raw.get("messageCount")) is int:
        on_count(count)


def _skip_head(stream: IO[bytes]) -> bool:
    """Read up to the first message; return whether it begins on a line of its own."""
    read = 0
    while read < _HEAD_BYTES and (line := stream.readline(_HEAD_BYTES)):
        read += len(line)
        if line.rstrip() == b'  "messages": [':
            return True
    return False


def _by_lines(
    stream: IO[bytes], on_count: Callable[[int], None] | None
) -> Iterator[Any]:
    rest, size = b"", _BLOCK_BYTES
    while block := stream.read(size):
        # What was searched before is not searched again, but for a cut-off end.
        start = max(0, len(rest) - _MAX_END_LENGTH)
        rest += block
        complete = _end_of_last_message(rest, start)
        yield from _parsed_messages(rest[:complete])
        rest = rest[complete:]
        # A message may be larger than a block.
        size = _BLOCK_BYTES if complete else 2 * size
        if rest.lstrip().startswith(b"]"):
            match = _COUNT.match(rest + stream.read(_END_BYTES))
            if on_count and match:
                on_count(int(match[1]))
            return
    # Without a closing bracket the export was stopped, perhaps right behind a message.
    last = rest.strip()
    if last.endswith(b"}"):
        yield _parsed(last)
    yield None


def _end_of_last_message(data: bytes, start: int) -> int:
    """Return where the last whole message ends, 0 if there is none."""
    at = len(data)
    while (at := data.rfind(b"\n    }", start, at)) >= 0:
        if match := _END_OF_MESSAGE.match(data, at):
            return match.end()
    return 0


def _parsed_messages(data: bytes) -> Iterator[Any]:
    with suppress(orjson.JSONDecodeError):
        yield from orjson.loads(b"[%b]" % data.rstrip().rstrip(b","))
        return
    begin = 0
    for match in _END_OF_MESSAGE.finditer(data):
        yield _parsed(data[begin : match.end()].rstrip().rstrip(b","))
        begin = match.end()


def _parsed(data: bytes) -> Any:
    try:
        return read_json(data, "a message")
    except ExportFormatError:
        return None


def _channel(about: Any) -> Channel | None:
    channel = about.get("channel") if isinstance(about, dict) else None
    guild = about.get("guild") if isinstance(about, dict) else None
    if not isinstance(channel, dict) or not isinstance(guild, dict):
        return None
    if not _text(channel, "id"):
        return None
    return Channel(
        id=_text(channel, "id"),
        name=_text(channel, "name"),
        type=_text(channel, "type"),
        parent=_text(channel, "category"),
        guild=_text(guild, "name"),
        exported_at=microseconds(about.get("exportedAt")) or 0,
    )


def _text(values: dict[str, Any], key: str) -> str:
    value = values.get(key)
    return value if isinstance(value, str) else ""
