"""Discord's own data package ("Request my data"): the requester's messages only."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from langchain_chatexports.chat_loaders.json_data import (
    read_json,
    without_lone_surrogates,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from langchain_chatexports.chat_loaders.export_files import ExportFile

__all__ = [
    "PackageChannel",
    "about_channel",
    "channel_labels",
    "channel_title",
    "is_package",
    "package_channels",
    "package_user",
    "rows_of",
]

_FILES = ("messages.json", "messages.csv")
_HEAD_BYTES = 4096
_KEYS = (b"ID", b"Timestamp", b"Contents")


class PackageChannel:
    """A channel's folder in a package.

    Attributes:
        file: Its messages.
        about: Its `channel.json`, if there is one.
    """

    def __init__(self, file: ExportFile, about: ExportFile | None) -> None:
        self.file = file
        self.about = about


def is_package(files: Sequence[ExportFile]) -> bool:
    """Return whether files are a data package, or one channel's messages of it.

    A package may be without messages.
    """
    if len(files) == 1 and _holds_messages(files[0]):
        return True
    return any(map(_is_index, files)) or any(
        b'"username"' in file.read(_HEAD_BYTES) for file in filter(_is_user, files)
    )


def package_user(files: Sequence[ExportFile]) -> dict[str, Any]:
    """Return what the package says of whose it is; empty if it does not.

    Raises:
        ChatExportError: If that file cannot be read.
    """
    for file in files:
        if _is_user(file):
            user = read_json(file.read(), file.label, file.path)
            if isinstance(user, dict) and isinstance(user.get("id"), str):
                return user
    return {}


def package_channels(files: Sequence[ExportFile]) -> list[PackageChannel]:
    """Return the channels' folders that hold messages, in order of their names."""
    about = {
        (file.part, file.folders): file for file in files if file.name == "channel.json"
    }
    return [
        PackageChannel(file, about.get((file.part, file.folders)))
        for file in files
        if file.name in _FILES
        and ("messages" in _folders(file)[:-1] or _holds_messages(file))
    ]


def channel_labels(files: Sequence[ExportFile]) -> dict[str, str]:
    """Return what the package calls its channels, by their ids.

    Raises:
        ChatExportError: If that file cannot be read.
    """
    labels: dict[str, str] = {}
    for file in filter(_is_index, files):
        index = read_json(file.read(), file.label, file.path)
        for key, label in index.items() if isinstance(index, dict) else ():
            if isinstance(label, str) and label:
                labels[key] = without_lone_surrogates(label)
    return labels


def rows_of(file: ExportFile) -> Iterator[dict[str, Any] | None]:
    """Yield the messages of a folder, with their four keys; `None` for a damaged one.

    Raises:
        ChatExportError: If the file cannot be read.
    """
    data = file.read()
    if file.name.endswith(".json"):
        raw = read_json(data, file.label, file.path)
        for row in raw if isinstance(raw, list) else ():
            yield row if isinstance(row, dict) else None
        return
    text = data.decode("utf-8-sig", "replace")
    reader = csv.DictReader(io.StringIO(text, newline=""))
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield None
            continue
        yield row


def about_channel(channel: PackageChannel) -> dict[str, Any]:
    """Return a channel's `channel.json`, empty if there is none.

    Raises:
        ChatExportError: If it cannot be read.
    """
    if channel.about is None:
        return {}
    file = channel.about
    raw = read_json(file.read(), file.label, file.path)
    return raw if isinstance(raw, dict) else {}


def channel_title(about: dict[str, Any]) -> str | None:
    """Return the title of a channel, as far as the package has one."""
    name = about.get("name")
    return without_lone_surrogates(name) if isinstance(name, str) and name else None


def _is_user(file: ExportFile) -> bool:
    return file.name == "user.json" and _folders(file)[-1:] == ("account",)


def _is_index(file: ExportFile) -> bool:
    return file.name == "index.json" and _folders(file)[-1:] == ("messages",)


def _holds_messages(file: ExportFile) -> bool:
    head = file.read(_HEAD_BYTES) if file.name in _FILES else b""
    return all(key in head for key in _KEYS)


def _folders(file: ExportFile) -> tuple[str, ...]:
    # The names are in lower case until 2024, with a capital since.
    return tuple(name.lower() for name in file.folders)
