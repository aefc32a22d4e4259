"""JSON files of an export: whether one is a thread, and what it says of it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from langchain_chatexports.chat_loaders.facebook_messenger.encoding import TextRepair
from langchain_chatexports.chat_loaders.json_data import (
    read_json,
    without_lone_surrogates,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from langchain_chatexports.chat_loaders.export_files import (
        ExportFile,
    )

__all__ = ["Head", "ThreadDocument", "parse_document", "read_head"]

_HEAD_BYTES = 8 * 2**10
_LONG_HEAD_BYTES = 256 * 2**10
_TAIL_BYTES = 16 * 2**10

_THREAD_KEYS = (b'"messages"', b'"participants"', b'"threadName"')
_PARTICIPANTS = re.compile(r'"participants"\s*:\s*(?=\[)')
_TIME_KEYS = frozenset({"timestamp_ms", "timestamp"})
_LOOKED_AT = 20  # A thread may begin with a damaged message.
_NAME_NUMBER = re.compile(r"_\d+$")
_SCALAR = r'\s*:\s*(?=["tf])'


@dataclass(slots=True)
class ThreadDocument:
    """One thread file: its messages as they are, and what it says of the thread."""

    is_e2ee: bool
    """Whether it comes from the secure storage of end-to-end encrypted chats."""

    messages: list[Any]
    """The messages as they are in the file, in the file's order."""

    repair: Callable[[str], str]
    """Repairs a string of this file."""

    participants: list[str]
    """Who took part when the export was made, as listed."""

    title: str | None
    """The conversation's title, if it has one."""

    folder: str | None
    """The thread folder's name that the file itself names."""

    is_group: bool | None
    """Whether it is a group, if the file says so."""


@dataclass(slots=True)
class Head:
    """What the start and the end of a thread file say of the thread."""

    is_e2ee: bool
    participants: list[str] = field(default_factory=list)
    title: str | None = None
    folder: str | None = None
    has_left: bool = False

    @property
    def people(self) -> frozenset[str]:
        """Everybody who takes part, once."""
        return frozenset(self.participants)


def parse_document(
    data: bytes, label: str, path: Path | None = None
) -> ThreadDocument | None:
    """Parse a file of an export.

    Args:
        data: What it holds.
        label: What to call it in an error.
        path: The file, or the zip that holds it.

    Returns:
        The thread, or `None` if the file is JSON but no thread (settings, for example).

    Raises:
        ExportFormatError: If it is not JSON, or cut off.
    """
    raw = read_json(data, label, path)
    if not isinstance(raw, dict) or not isinstance(raw.get("messages"), list):
        return None
    listed, name = raw.get("participants"), raw.get("threadName")
    if isinstance(name, str) and _are(str, listed):
        return ThreadDocument(
            is_e2ee=True,
            messages=raw["messages"],
            repair=without_lone_surrogates,
            participants=[without_lone_surrogates(person) for person in listed or ()],
            title=_NAME_NUMBER.sub("", without_lone_surrogates(name)) or None,
            folder=None,
            is_group=None,
        )
    if not _is_dyi(listed, raw["messages"]):
        return None
    repair = TextRepair(data, raw).text
    return ThreadDocument(
        is_e2ee=False,
        messages=raw["messages"],
        repair=repair,
        participants=_names(listed or [], repair),
        title=_text(raw.get("title"), repair),
        folder=_last_folder(raw.get("thread_path")),
        is_group=_group_sign(raw),
    )


def read_head(file: ExportFile, *, with_tail: bool = False) -> Head | None:
    """Read who takes part in a thread file, without parsing its messages if possible.

    Args:
        file: A JSON file.
        with_tail: Also read the keys behind the messages: title, folder, whether the
            owner has left.

    Returns:
        The head, or `None` if the file has no key of a thread near its start.

    Raises:
        ExportFormatError: If the file has to be parsed and is no JSON.
        ExportAccessError: If the system refuses.
    """
    head = None
    for limit in (_HEAD_BYTES, _LONG_HEAD_BYTES):
        data = file.read(limit)
        if not any(key in data for key in _THREAD_KEYS):
            return None
        head = _head(data)
        if head or len(data) == file.size:
            break
    if head is None:
        document = parse_document(file.read(), file.label, file.path)
        if document is None:
            return None
        head = Head(is_e2ee=document.is_e2ee, participants=document.participants)
    if with_tail:
        _add_tail(head, file)
    return head


def _is_dyi(listed: object, messages: list[Any]) -> bool:
    if listed is not None and not _are(dict, listed):
        return False
    if not messages:
        return listed is not None
    return any(
        isinstance(message, dict) and not _TIME_KEYS.isdisjoint(message)
        for message in messages[:_LOOKED_AT]
    )


def _are(kind: type, listed: object) -> bool:
    return isinstance(listed, list) and all(isinstance(item, kind) for item in listed)


def _names(listed: list[Any], repair: Callable[[str], str]) -> list[str]:
    names = [person.get("name") for person in listed]
    return [repair(name) for name in names if isinstance(name, str)]


def _text(value: object, repair: Callable[[str], str]) -> str | None:
    return repair(value) if isinstance(value, str) and value else None


def _last_folder(path: object) -> str | None:
    if not isinstance(path, str):
        return None
    return path.rstrip("/").rpartition("/")[2] or None


def _group_sign(raw: dict[str, Any]) -> bool | None:
    kind = raw.get("thread_type")
    if isinstance(kind, str):
        return kind.endswith("Group")
    # Only groups have a link to join them.
    return True if "joinable_mode" in raw else None


def _head(data: bytes) -> Head | None:
    # Quotes inside of strings are escaped, so a message's text cannot match.
    text = data.decode("utf-8", "ignore")
    match = _PARTICIPANTS.search(text)
    if match is None:
        return None
    try:
        listed, _ = json.JSONDecoder().raw_decode(text, match.end())
    except (ValueError, RecursionError):
        return None
    if listed and _are(str, listed):
        return Head(is_e2ee=True, participants=listed)
    if listed and _are(dict, listed):
        return Head(is_e2ee=False, participants=_names(listed, TextRepair().text))
    return None


def _add_tail(head: Head, file: ExportFile) -> None:
    # The keys stand behind the messages in most files, before them in some.
    for data in (file.read_tail(_TAIL_BYTES), file.read(_HEAD_BYTES)):
        text = data.decode("utf-8", "ignore")
        repair = without_lone_surrogates if head.is_e2ee else TextRepair().text
        title = _scalar(text, "threadName" if head.is_e2ee else "title")
        if isinstance(title, str) and head.title is None:
            title = repair(title)
            head.title = _NAME_NUMBER.sub("", title) if head.is_e2ee else title
        if head.folder is None:
            head.folder = _last_folder(_scalar(text, "thread_path"))
        if _scalar(text, "is_still_participant") is False:
            head.has_left = True


def _scalar(text: str, key: str) -> object:
    found = list(re.finditer(f'"{key}"{_SCALAR}', text))
    if not found:
        return None
    try:
        value, _ = json.JSONDecoder().raw_decode(text, found[-1].end())
    except ValueError:
        return None
    return value
