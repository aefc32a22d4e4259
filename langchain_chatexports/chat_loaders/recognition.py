"""Recognize exports by their content and return the loaders for them."""

import json
import os
import warnings
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from inspect import signature
from mimetypes import guess_type
from pathlib import Path
from typing import Any, TypeAlias
from zipfile import BadZipFile, ZipFile

from typing_extensions import Unpack

from langchain_chatexports._regular_files import open_regular_file, system_errors
from langchain_chatexports.chat_loaders.base import ChatExportLoader, LoaderOptions
from langchain_chatexports.chat_loaders.date_order import DateOrder
from langchain_chatexports.chat_loaders.files import (
    ExportFiles,
    SkippedFilesWarning,
    is_zip,
    open_files,
)
from langchain_chatexports.exceptions import (
    ChatExportError,
    ExportFormatError,
)

PLATFORM_NAMES = {
    "discord": "Discord",
    "facebook_messenger": "Messenger",
    "imessage": "iMessage",
    "instagram": "Instagram",
    "signal": "Signal",
    "slack": "Slack",
    "telegram": "Telegram",
    "whatsapp": "WhatsApp",
}
"""The display names of platforms."""

# For each format: its name for people, its module and its loader. Formats that are
# recognized by their files have `matches(files)` in the module.
_FORMATS = {
    "discord": ("Discord export", "discord", "DiscordChatLoader"),
    "facebook_messenger": (
        *("Messenger export", "facebook_messenger"),
        "FolderFacebookMessengerChatLoader",
    ),
    "signal": ("Signal export", "signal", "SignalChatLoader"),
    "slack": ("Slack export", "slack", "SlackChatLoader"),
    "telegram": ("Telegram export", "telegram", "TelegramChatLoader"),
    "whatsapp": ("WhatsApp export", "whatsapp", "WhatsAppChatLoader"),
    "imessage": ("iMessage database", "imessage", "IMessageChatLoader"),
    "table": ("table (Parquet, JSON lines or CSV)", "table", "TableChatLoader"),
    "thread": (
        *("Messenger thread file", "facebook_messenger"),
        "SingleFileFacebookMessengerChatLoader",
    ),
}
_BY_PATH = ("imessage", "table", "thread")
# Formats with several zips or folders, or with one file per chat.
_JOINED = frozenset({"facebook_messenger", "telegram", "whatsapp"})
_SUFFIXES = (".json", ".jsonl", ".html", ".htm", ".txt", ".csv")
_TABLE_SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl", ".ndjson")
# A zip begins with the names of its first files.
_META_FOLDERS = (b"your_facebook_activity/", b"your_instagram_activity/")
_ATTACHMENTS = "Attachments"
_SQLITE_MAGIC = b"SQLite format 3\x00"
_HEAD_BYTES = 4096
# The parts of a set; mlx calls the second one `valid`.
_PARTS = ("train", "validation", "test")
_HELD_OUT = frozenset({"validation", "valid", "test"})
# The longest first line to read when looking for examples.
_MAX_LINE_BYTES = 64 * 1024 * 1024
_MAX_NAMED = 5
# What is often taken for an export: the first folder in its zip, and media types.
_OTHER_ZIPS = {
    "Takeout": "a Google Takeout archive",
    "word": "a Word document",
    "xl": "an Excel workbook",
    "ppt": "a PowerPoint presentation",
}
_OTHER_KINDS = {
    "image": "a picture",
    "video": "a video",
    "audio": "an audio file",
    "application/pdf": "a PDF document",
    "text/plain": "a text in which no chat was recognized",
}
_REMEDY = (
    "For ~/Library/Messages: copy chat.db, chat.db-wal and chat.db-shm together in "
    "Finder and name the copy, or give your terminal Full Disk Access."
)


class ExportOptions(LoaderOptions, total=False):
    """The options of all loaders, and those of some formats."""

    contacts: str | Path | None
    timezone: str | None
    date_order: DateOrder | None
    columns: Mapping[str, str] | None


@dataclass(frozen=True)
class Export:
    """A recognized export.

    Attributes:
        path: Its path; the first of several parts.
        format: The format's name for people.
        loader: Its loader.
        more: The other parts.
    """

    path: Path
    format: str
    loader: ChatExportLoader
    more: tuple[Path, ...] = ()

    @property
    def paths(self) -> tuple[Path, ...]:
        """The paths of all parts."""
        return (self.path, *self.more)

    def __str__(self) -> str:
        """Return the paths and the format, for people."""
        return f"{', '.join(map(str, self.paths))}: {self.format}"


_Found: TypeAlias = tuple[str, Path]  # The key in `_FORMATS`, and the path.


def _loader_class(name: str) -> type[ChatExportLoader]:
    _, module, loader = _FORMATS[name]
    found: type[ChatExportLoader] = getattr(_module(module), loader)
    return found


def open_exports(
    paths: Iterable[str | Path], **options: Unpack[ExportOptions]
) -> list[Export]:
    """Recognize exports and folders of exports, and join the parts of each.

    Meta splits a large export into several zips, and WhatsApp and Telegram write one
    file per chat: these are read as one export. A duplicate path is read once, and so
    is a message that occurs in several exports of one app.

    Args:
        paths: Files or folders.
        options: Options of every loader, such as `include`, and of some formats, such
            as `contacts`. A loader gets those that it has.

    Returns:
        The exports, in the order of their first parts.

    Raises:
        ExportNotFoundError: If there is nothing at a path.
        ExportAccessError: If the system refuses.
        ExportFormatError: If a format is unknown.
        MissingExtraError: If one is a table and the extra `table` is not installed.
    """
    unique = {os.path.realpath(Path(path).expanduser()): path for path in paths}
    found = [
        one
        for path in unique.values()
        for one in _recognized(Path(path).expanduser(), options.get("columns"))
    ]
    exports = []
    for (name, path), *others in _joined(found):
        kind, more = _loader_class(name), tuple(other for _, other in others)
        given = {key: options[key] for key in options if takes_option(kind, key)}  # type: ignore[literal-required]
        loader = kind([path, *more] if more else path, **given)
        exports.append(Export(path, _FORMATS[name][0], loader, more))
    _share_seen_messages(exports)
    return exports


def _joined(found: Collection[_Found]) -> list[list[_Found]]:
    groups: dict[object, list[_Found]] = {}
    for position, one in enumerate(dict.fromkeys(found)):
        key: object = one[0] if one[0] in _JOINED else position
        groups.setdefault(key, []).append(one)
    return [part for group in groups.values() for part in _same_owner(group)]


def _same_owner(group: list[_Found]) -> Iterator[list[_Found]]:
    """Group Messenger's parts by owner; parts without threads join a sole owner."""
    if group[0][0] != "facebook_messenger" or len(group) == 1:
        yield group
        return
    by_owner: dict[str | None, list[_Found]] = {}
    for one in group:
        owner = _loader_class(one[0])(one[1]).find_owner()  # type: ignore[attr-defined]
        by_owner.setdefault(owner, []).append(one)
    unknown = by_owner.pop(None, [])
    if len(by_owner) == 1:
        # Parts of unknown owners can only be assigned if there is one owner.
        parts = {*next(iter(by_owner.values())), *unknown}
        yield [one for one in group if one in parts]
    else:
        yield from by_owner.values()
        yield from ([one] for one in unknown)


def _share_seen_messages(exports: Collection[Export]) -> None:
    seen: dict[str, dict[int, int]] = defaultdict(dict)
    platforms = Counter(export.loader.platform for export in exports)
    for export in exports:
        if platforms[export.loader.platform] > 1:
            export.loader.share_seen_messages(seen[export.loader.platform])


def takes_option(loader: type[ChatExportLoader], name: str) -> bool:
    """Return whether a loader has an option."""
    taken = signature(loader).parameters
    return name in taken or name in LoaderOptions.__annotations__


def estimate_message_count(exports: Iterable[Export]) -> int | None:
    """Estimate the number of messages; `None` if a loader has no estimate."""
    counts = [export.loader.estimate_message_count() for export in exports]
    known = [count for count in counts if count is not None]
    return (sum(known) or None) if len(known) == len(counts) else None


def is_examples_file(path: str | Path) -> bool:
    """Return whether a file contains training examples (JSON lines with `messages`)."""
    path = Path(path).expanduser()
    with system_errors(path, _REMEDY):
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
    """Return the files of a set of examples by part, as `prepare --split` writes it.

    The parts are `train`, `validation` and `test`. Without a `train` file the folder is
    not a set, and the result is empty.
    """
    folder = Path(path).expanduser()
    files = {part: folder / f"{part}.jsonl" for part in _PARTS}
    existing = {part: file for part, file in files.items() if file.is_file()}
    return (
        existing if "train" in existing and is_examples_file(existing["train"]) else {}
    )


def _module(name: str) -> Any:
    return import_module(f"langchain_chatexports.chat_loaders.{name}")


def _recognized(path: Path, columns: Mapping[str, str] | None) -> list[_Found]:
    """Return the exports at a path, at least one."""
    with system_errors(path, _REMEDY):
        found = _in_folder(path, columns) if path.is_dir() else _in_file(path, columns)
    if not found:
        raise _unknown(path)
    return found


def _in_file(path: Path, columns: Mapping[str, str] | None) -> list[_Found]:
    with open_regular_file(path) as file:
        head = file.read(_HEAD_BYTES)
    # An empty or encrypted database is recognized by name; its loader explains it.
    if head.startswith(_SQLITE_MAGIC) or _module("imessage").is_database_name(path):
        return [("imessage", path)]
    with open_files([path], _SUFFIXES, is_quiet=True) as files:
        names = _formats_of(files)[:1]
    if not names and any(name in head for name in _META_FOLDERS):
        names = ["facebook_messenger"]  # A part with media only.
    if names == ["facebook_messenger"] and not is_zip(path):
        names = ["thread"]
    if names or is_zip(path):
        return [(name, path) for name in names]
    if _module("table").matches_head(path, head, columns):
        return [("table", path)]
    if b'"messages"' in head and is_examples_file(path):
        whole = [path.parent] if set_parts(path.parent) else []
        raise _of_examples(path, [path, *whole])
    return []


def _in_folder(path: Path, columns: Mapping[str, str] | None) -> list[_Found]:
    imessage = _module("imessage")
    has_database = imessage.is_messages_folder(path)
    # In the system's folder, attachments may be exports that people have sent.
    if has_database and (imessage.is_backup(path) or (path / _ATTACHMENTS).is_dir()):
        return [("imessage", path)]
    with open_files([path], _SUFFIXES, is_quiet=True) as files:
        names = _formats_of(files)
    children = sorted(path.iterdir())
    others = [child for child in children if _is_other_export(child, columns)]
    if len(names) == 1 and not others:
        return [(names[0], path)]
    if has_database and not names and len(others) <= 1:
        return [("imessage", path)]
    if not names and not others:
        if sets := list(filter(is_examples_file, sorted(path.glob("*.jsonl")))):
            raise _of_examples(path, [*([path] if set_parts(path) else []), *sets])
        return []
    found: list[_Found] = []
    skipped: list[Path] = []
    for child in children:
        if child.name.startswith("."):
            continue
        # Ignore links, which may lead out of the folder.
        look = _in_folder if child.is_dir() else _in_file
        parts: list[_Found] = []
        with suppress(ChatExportError):
            parts = [] if child.is_symlink() else look(child, columns)
        found += parts
        skipped += [] if parts else [child]
    if skipped:
        listed = ", ".join(child.name for child in skipped[:_MAX_NAMED])
        rest = len(skipped) - _MAX_NAMED
        more = f" and {rest} more" if rest > 0 else ""
        msg = f"Skipped in {path} (not exports): {listed}{more}."
        names = [child.name for child in skipped]
        warnings.warn(SkippedFilesWarning(msg, names), stacklevel=5)
    return found


def _is_other_export(child: Path, columns: Mapping[str, str] | None) -> bool:
    """Return whether a child of a folder is a database or a table."""
    if child.is_symlink():
        return False
    if child.is_dir():
        return bool(_module("imessage").is_messages_folder(child))
    is_table = child.name.lower().endswith(_TABLE_SUFFIXES)
    if not is_table and not _module("imessage").is_database_name(child):
        return False
    with suppress(ChatExportError, OSError):
        return any(name in _BY_PATH for name, _ in _in_file(child, columns))
    return False


def _formats_of(files: ExportFiles) -> list[str]:
    """Return the formats of an export's files, by their names and first bytes."""
    names = [name for name in _FORMATS if name not in _BY_PATH]
    return [name for name in names if _module(name).matches(files)]


def _of_examples(path: Path, candidates: Iterable[Path]) -> ExportFormatError:
    """Return the error for a file of examples where an export is expected.

    It suggests one of `candidates` to train on, but never a held-out part.
    """
    wanted = next((file for file in candidates if file.stem not in _HELD_OUT), None)
    msg = f"{path} is not an export: it holds examples made from one."
    if wanted is not None:
        msg += f" Train on them with: chatexports finetune {wanted}"
    return ExportFormatError(msg, path=path)


def _unknown(path: Path) -> ExportFormatError:
    kind = _kind_of(path)
    msg = (
        f"{path}{f' ({kind})' if kind else ''} is not an export that can be read. "
        "Supported are an iMessage database (chat.db) or its folder; JSON exports of "
        "Messenger, Instagram, Discord, Signal, Slack and Telegram (zip, folder or "
        "file); WhatsApp chats (zip, folder or text file); and tables (Parquet, JSON "
        "lines or CSV with columns for sender and text)."
    )
    return ExportFormatError(msg, path=path)


def _kind_of(path: Path) -> str | None:
    """Describe a file, if its content or name shows what it is."""
    with suppress(OSError):
        if path.is_dir() and not any(path.iterdir()):
            return "an empty folder"
        if path.is_file() and not path.stat().st_size:
            return "an empty file"
    with suppress(OSError, BadZipFile), ZipFile(path) as archive:
        folders = {name.partition("/")[0] for name in archive.namelist()}
        known = (words for name, words in _OTHER_ZIPS.items() if name in folders)
        return next(known, "a zip of other files")
    kind, _ = guess_type(path.name)  # By its name alone, such as image/jpeg.
    group = str(kind).partition("/")[0]
    return _OTHER_KINDS.get(group, _OTHER_KINDS.get(str(kind), kind))
