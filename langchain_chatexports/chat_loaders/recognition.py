"""Recognize an export by its content and return the loader for it."""

from __future__ import annotations

import json
import os
import re
import warnings
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from inspect import signature
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_chatexports._regular_files import cannot_read, open_regular_file
from langchain_chatexports.chat_loaders.archives import (
    open_parts,
    readable_files,
    walk_files,
)
from langchain_chatexports.chat_loaders.options import LoaderOptions
from langchain_chatexports.exceptions import (
    ChatExportError,
    ExportAccessError,
    ExportFormatError,
    ExportNotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from typing_extensions import Unpack

    from langchain_chatexports.chat_loaders.base import ChatExportLoader
    from langchain_chatexports.chat_loaders.export_files import ExportFile
    from langchain_chatexports.chat_loaders.options import ExportOptions

__all__ = [
    "PLATFORM_NAMES",
    "Export",
    "estimate_message_count",
    "is_examples_file",
    "open_export",
    "open_exports",
    "set_parts",
    "takes_option",
]

PLATFORM_NAMES = {
    "discord": "Discord",
    "facebook_messenger": "Messenger",
    "imessage": "iMessage",
    "instagram": "Instagram",
    "slack": "Slack",
    "telegram": "Telegram",
    "whatsapp": "WhatsApp",
}
"""What people call the platforms that loaders name."""

_SQLITE_MAGIC = b"SQLite format 3\x00"
_ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")
_HEAD_BYTES = 4096
_MAX_LOOKED_AT = 100
_THREAD_KEY = re.compile(rb'"sender_?name"', re.IGNORECASE)
_MESSENGER_SUFFIXES = (".json", ".zip", ".html", ".htm")
# The parts of a set, and mlx's name for the second one.
_PARTS = ("train", "validation", "test")
_HELD_OUT = frozenset({"validation", "valid", "test"})
# Longest first line that is read to tell examples from an export.
_MAX_LINE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Export:
    """A recognized export.

    Attributes:
        path: Where it is; of an export in several parts, the first.
        format: What it is, in words for people.
        loader: The loader that reads it.
        more: The other parts.
    """

    path: Path
    format: str
    loader: ChatExportLoader
    more: tuple[Path, ...] = ()

    @property
    def paths(self) -> tuple[Path, ...]:
        """All of its parts."""
        return (self.path, *self.more)

    def __str__(self) -> str:
        """Return where and what it is, for people."""
        return f"{', '.join(map(str, self.paths))}: {self.format}"


def open_export(path: str | Path, **options: Any) -> Export:
    """Recognize an export by its content.

    Args:
        path: A file or folder.
        options: Options of the loaders, such as `owner` or `include`.

    Returns:
        The export with its loader; nothing but the first bytes is read yet.

    Raises:
        ExportNotFoundError: If there is nothing at the path.
        ExportAccessError: If the system refuses.
        ExportFormatError: If it is not an export that the package knows.
        MissingExtraError: If it is Parquet and the extra `parquet` is not installed.
    """
    path = Path(path).expanduser()
    name, loader = _recognized(path, options.get("columns"))
    return Export(path=path, format=name, loader=loader(path, **options))


def _recognized(
    path: Path, columns: Mapping[str, str] | None
) -> tuple[str, type[ChatExportLoader]]:
    """Return what an export is, and its loader.

    Args:
        path: A file or folder.
        columns: The columns that the user named, if it is a table.
    """
    from langchain_chatexports.chat_loaders.discord import DiscordChatLoader
    from langchain_chatexports.chat_loaders.facebook_messenger import (
        FolderFacebookMessengerChatLoader,
        SingleFileFacebookMessengerChatLoader,
    )
    from langchain_chatexports.chat_loaders.imessage import IMessageChatLoader
    from langchain_chatexports.chat_loaders.slack import SlackChatLoader
    from langchain_chatexports.chat_loaders.table import TableChatLoader
    from langchain_chatexports.chat_loaders.telegram import TelegramChatLoader
    from langchain_chatexports.chat_loaders.whatsapp import WhatsAppChatLoader

    # One line for each kind of export that the package reads.
    formats: dict[str, tuple[str, type[ChatExportLoader]]] = {
        "sqlite": ("iMessage database", IMessageChatLoader),
        "imessage folder": ("folder with an iMessage database", IMessageChatLoader),
        "backup": ("iPhone or iPad backup", IMessageChatLoader),
        "zip": ("Messenger export (zip)", FolderFacebookMessengerChatLoader),
        "folder": ("Messenger export (folder)", FolderFacebookMessengerChatLoader),
        "json": ("Messenger thread file", SingleFileFacebookMessengerChatLoader),
        "discord": ("Discord export", DiscordChatLoader),
        "slack": ("Slack export", SlackChatLoader),
        "telegram": ("Telegram export", TelegramChatLoader),
        "table": ("table (Parquet, JSON lines or CSV)", TableChatLoader),
        # Without columns of known names: that loader says which ones to name.
        "csv": ("table (CSV)", TableChatLoader),
        "whatsapp": ("WhatsApp export", WhatsAppChatLoader),
    }
    kind = _kind(path, columns)
    if kind in {"zip", "folder", "json", "csv", "text"}:
        kind, *others = _apps_of_files(path) or [kind]
        if others:
            names = " and ".join(f"a {formats[other][0]}" for other in others)
            msg = (
                f"{path} is read as a {formats[kind][0]}. It also holds {names}, which "
                "is left out: name it by a path of its own."
            )
            warnings.warn(msg, stacklevel=3)
    if kind not in formats:
        raise _unknown(path)
    return formats[kind]


def _apps_of_files(path: Path) -> list[str]:
    """Return the apps of which there is an export; empty if it is Messenger's alone."""
    from langchain_chatexports.chat_loaders.discord import is_discord_export
    from langchain_chatexports.chat_loaders.slack import is_slack_export
    from langchain_chatexports.chat_loaders.telegram import is_telegram_export
    from langchain_chatexports.chat_loaders.whatsapp import is_whatsapp_export

    # Each looks at names and first bytes, and is sure.
    apps: dict[str, Callable[[Sequence[ExportFile]], bool]] = {
        "discord": is_discord_export,
        "slack": is_slack_export,
        "telegram": is_telegram_export,
        "whatsapp": is_whatsapp_export,
    }
    suffixes = (".json", ".html", ".htm", ".txt", ".csv")
    with ExitStack() as stack, suppress(ChatExportError):
        # What is damaged or dangerous is for the loader to explain.
        parts = open_parts([path], stack, lambda _: None, suffixes)
        readable = list(readable_files(parts, lambda _: None))
        found = [app for app, is_of in apps.items() if is_of(readable)]
        return [*found, "folder"] if found and _has_thread(readable) else found
    return []


def _has_thread(files: Iterable[ExportFile]) -> bool:
    """Return whether a thread of Messenger is among the first files."""
    named = (file for file in files if file.name.lower().endswith(".json"))
    for file in islice(named, _MAX_LOOKED_AT):
        with suppress(ChatExportError):
            head = file.read(_HEAD_BYTES)
            if b'"participants"' in head and _THREAD_KEY.search(head):
                return True
    return False


def open_exports(
    paths: Iterable[str | Path], **options: Unpack[ExportOptions]
) -> list[Export]:
    """Recognize exports, and join the parts of one.

    Meta delivers a large export as several zips: messages and media can be in any of
    them, and one conversation in several. Zips and folders of Messenger that have one
    owner are read as one export; those without a conversation go with the others. A
    path that is given twice is read once.

    Args:
        paths: Files or folders.
        options: The options that every loader has, such as `include`, and those of
            some formats, such as `contacts`: an export gets those that its loader has.

    Returns:
        The exports, each where its first part was named.

    Raises:
        ChatExportError: As `open_export`.
    """
    from langchain_chatexports.chat_loaders.facebook_messenger import (
        FolderFacebookMessengerChatLoader,
    )

    once = {os.path.realpath(Path(path).expanduser()): path for path in paths}
    exports = [_opened(path, options) for path in once.values()]
    by_owner: dict[str, list[Export]] = {}
    without_messages: list[Export] = []
    for export in exports:
        if isinstance(export.loader, FolderFacebookMessengerChatLoader):
            seen = export.loader.glance()
            if seen.owner:
                by_owner.setdefault(seen.owner, []).append(export)
            elif not seen.threads and not seen.html_files:
                without_messages.append(export)
    if len(by_owner) == 1:
        # Whose media they are is only known where there is no choice.
        by_owner[next(iter(by_owner))] += without_messages
    joined: dict[int, Export | None] = {}
    for parts in by_owner.values():
        if len(parts) > 1:
            ordered = [export for export in exports if export in parts]
            first, *others = ordered
            places = [export.path for export in ordered]
            loader = FolderFacebookMessengerChatLoader(
                places, **_own(options, FolderFacebookMessengerChatLoader)
            )
            joined |= {id(export): None for export in others}
            joined[id(first)] = replace(first, loader=loader, more=tuple(places[1:]))
    placed = (joined.get(id(export), export) for export in exports)
    return [export for export in placed if export is not None]


def takes_option(loader: type[ChatExportLoader], name: str) -> bool:
    """Return whether a loader has an option."""
    taken = signature(loader).parameters
    return name in taken or name in LoaderOptions.__annotations__


def _opened(path: str | Path, options: ExportOptions) -> Export:
    path = Path(path).expanduser()
    name, loader = _recognized(path, options.get("columns"))
    return Export(path=path, format=name, loader=loader(path, **_own(options, loader)))


def _own(options: ExportOptions, loader: type[ChatExportLoader]) -> dict[str, Any]:
    return {n: value for n, value in options.items() if takes_option(loader, n)}


def estimate_message_count(exports: Iterable[Export]) -> int | None:
    """Estimate how many messages exports hold, without reading them.

    Args:
        exports: The exports.

    Returns:
        About how many; `None` where the loader of one cannot tell.
    """
    total = 0
    for export in exports:
        count = export.loader.estimate_message_count()
        if count is None:
            return None
        total += count
    return total or None


def is_examples_file(path: str | Path) -> bool:
    """Return whether a file holds training examples (JSON lines with `messages`).

    Raises:
        ExportNotFoundError: If there is nothing at the path.
        ExportAccessError: If the system refuses.
    """
    path = Path(path).expanduser()
    with _explained(path):
        if path.is_dir():
            return False
        with open_regular_file(path) as file:
            line = file.readline(_MAX_LINE_BYTES)
    try:
        first = json.loads(line)
    except (ValueError, RecursionError):
        return False
    messages = first.get("messages") if isinstance(first, dict) else None
    return (
        isinstance(messages, list)
        and bool(messages)
        and all(isinstance(message, dict) and "role" in message for message in messages)
    )


def set_parts(path: str | Path) -> dict[str, Path]:
    """Return the files of a set of examples, as `prepare --split` writes it.

    Args:
        path: A folder, or anything else.

    Returns:
        The files by part: `train`, and `validation` and `test` where there are any;
        empty if it is something else.
    """
    folder = Path(path).expanduser()
    files = {part: folder / f"{part}.jsonl" for part in _PARTS}
    there = {part: file for part, file in files.items() if file.is_file()}
    return there if "train" in there and is_examples_file(there["train"]) else {}


def _kind(path: Path, columns: Mapping[str, str] | None) -> str:
    from langchain_chatexports.chat_loaders.imessage.sources import BACKUP_DATABASE
    from langchain_chatexports.chat_loaders.table import looks_like_table
    from langchain_chatexports.chat_loaders.table.csv_rows import CSV_SUFFIXES
    from langchain_chatexports.chat_loaders.table.rows import (
        PARQUET_MAGIC,
        require_parquet,
    )

    with _explained(path):
        if path.is_dir():
            return _folder_kind(path)
        with open_regular_file(path) as file:
            head = file.read(_HEAD_BYTES)
    # What is empty or encrypted is told by its name: that loader knows the remedy.
    is_called_so = path.suffix.lower() == ".db" or path.name == BACKUP_DATABASE
    if head.startswith(_SQLITE_MAGIC) or is_called_so:
        return "sqlite"
    if head.startswith(_ZIP_MAGICS):
        return "zip"
    if looks_like_table(head, columns):
        if head.startswith(PARQUET_MAGIC):
            require_parquet()
        return "table"
    if b'"messages"' in head and is_examples_file(path):
        raise _of_examples(
            path, [path, *([path.parent] if set_parts(path.parent) else [])]
        )
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith((b"{", b"[")) or path.suffix.lower() in {".html", ".htm"}:
        return "json"
    return "csv" if path.suffix.lower() in CSV_SUFFIXES else "text"


def _of_examples(path: Path, candidates: Iterable[Path]) -> ExportFormatError:
    """Return the error for examples in place of an export.

    Args:
        path: What was named.
        candidates: What could be trained on; a part that is held out is not proposed.
    """
    wanted = next((file for file in candidates if file.stem not in _HELD_OUT), None)
    msg = f"{path} is not an export: it holds examples that were made from one."
    if wanted is not None:
        msg += f" Train on them with: chatexports finetune {wanted}"
    return ExportFormatError(msg, path=path)


def _unknown(path: Path) -> ExportFormatError:
    msg = (
        f"{path} is not an export that can be read. Supported are an iMessage database "
        "(chat.db) or its folder, exports in JSON of Messenger, Instagram, Discord, "
        "Slack and Telegram (a zip, a folder or a file of it), WhatsApp's chats (a "
        "zip, a folder or a text file) and a table (Parquet, JSON lines or CSV with "
        "conversation_id and text)."
    )
    return ExportFormatError(msg, path=path)


def _folder_kind(path: Path) -> str:
    from langchain_chatexports.chat_loaders.imessage.sources import (
        backup_root,
        find_database,
        is_backup,
    )

    try:
        database = find_database(path)
    except ExportNotFoundError:
        # A backup without messages is for that loader to explain.
        if is_backup(path):
            return "backup"
        files = (file for file in walk_files(path) if isinstance(file, Path))
        suffixes = {file.suffix.lower() for file in files}
        if not suffixes.isdisjoint(_MESSENGER_SUFFIXES):
            return "folder"
        lines = sorted(path.glob("*.jsonl"))
        sets = [file for file in lines if is_examples_file(file)]
        if sets:
            whole = [path] if set_parts(path) else []
            raise _of_examples(path, [*whole, *sets]) from None
        return "text"
    return "backup" if backup_root(database) else "imessage folder"


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Raise errors that name a remedy in place of the system's."""
    try:
        yield
    except ExportAccessError:
        raise
    except FileNotFoundError as error:
        msg = f"There is nothing at {path}. Check the path."
        raise ExportNotFoundError(msg, path=path) from error
    except PermissionError as error:
        msg = (
            f"The system refuses to read {path}. For ~/Library/Messages: copy chat.db, "
            "chat.db-wal and chat.db-shm together in Finder and name the copy, or give "
            "your terminal Full Disk Access."
        )
        raise ExportAccessError(msg, path=path) from error
    except OSError as error:
        raise cannot_read(path, error) from error
