"""The channels of an export, and which files belong to each."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from langchain_chatexports.chat_loaders.discord.channel_files import (
    Channel,
    read_channel,
)
from langchain_chatexports.chat_loaders.discord.data_package import is_package
from langchain_chatexports.exceptions import ChatExportError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langchain_chatexports.chat_loaders.export_files import ExportFile

__all__ = ["ChannelFiles", "DiscordExport", "discover", "is_discord_export"]

_MAX_LOOKED_AT = 100
# What DiscordChatExporter writes as HTML, as text and as CSV.
_OTHER_FORMATS = re.compile(
    rb"(?s)\s*<.*chatlog__|={62}\s+Guild: |AuthorID,Author,Date,Content,"
)
_HEAD_BYTES = 64 * 2**10


@dataclass(slots=True)
class ChannelFiles:
    """The files of one channel: its partitions, and exports of several days.

    Attributes:
        channel: What the newest file says of it.
        files: The files, the newest export first.
    """

    channel: Channel
    files: list[ExportFile] = field(default_factory=list)


@dataclass(slots=True)
class DiscordExport:
    """What an export consists of.

    Attributes:
        channels: The channels, in order of their files' names.
        other_files: JSON and CSV files that are not of a channel.
    """

    channels: list[ChannelFiles]
    other_files: list[ExportFile]


def is_discord_export(files: Sequence[ExportFile]) -> bool:
    """Return whether files are an export of Discord.

    Args:
        files: What is in the folder or zip; names and first bytes are looked at.
    """
    named = [file for file in files if file.name.lower().endswith(".json")]
    with suppress(ChatExportError):
        if is_package(files) or any(map(_is_channel, named[:_MAX_LOOKED_AT])):
            return True
        # Other formats cannot be read, but the loader has the remedy.
        return not named and any(map(_is_in_other_format, files[:_MAX_LOOKED_AT]))
    return False


def discover(
    files: Sequence[ExportFile], warn: Callable[[ChatExportError], None]
) -> DiscordExport:
    """Sort the files of an export by channel.

    Args:
        files: All JSON and CSV files.
        warn: Called with an error for each file that cannot be read.
    """
    found: dict[str, list[tuple[Channel, ExportFile]]] = {}
    others: list[ExportFile] = []
    for file in files:
        channel = None
        if file.name.lower().endswith(".json"):
            try:
                channel = read_channel(file)
            except ChatExportError as error:
                warn(error)
                continue
        if channel is None:
            others.append(file)
        else:
            found.setdefault(channel.id, []).append((channel, file))
    channels = []
    for parts in found.values():
        # A stable sort: without a time of export, the order of the names counts.
        parts.sort(key=lambda part: part[0].exported_at)
        parts.reverse()
        channels.append(ChannelFiles(parts[0][0], [file for _, file in parts]))
    return DiscordExport(channels, others)


def _is_in_other_format(file: ExportFile) -> bool:
    head = file.read(_HEAD_BYTES).removeprefix(b"\xef\xbb\xbf")
    return _OTHER_FORMATS.match(head) is not None


def _is_channel(file: ExportFile) -> bool:
    try:
        return read_channel(file) is not None
    except ChatExportError:
        return False
