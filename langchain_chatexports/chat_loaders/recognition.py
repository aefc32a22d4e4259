"""Recognize exports by content, and create loaders for them."""

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
from typing import Any, TypeAlias, Unpack
from zipfile import BadZipFile, ZipFile

from langchain_chatexports._regular_files import open_regular_file, translate_os_errors
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
"""Display names of platforms."""

# The display name, module and loader of each format. Modules of formats that are
# recognized by their files have a function `matches(files)`.
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
    "table": ("table (Parquet, JSON Lines or CSV)", "table", "TableChatLoader"),
    "thread": (
        *("Messenger thread file", "facebook_messenger"),
        "SingleFileFacebookMessengerChatLoader",
    ),
}
_PATH_FORMATS = ("imessage", "table", "thread")
# Exports in these formats can consist of several zips or folders, or a file per chat.
_MULTI_PART_FORMATS = frozenset({"facebook_messenger", "telegram", "whatsapp"})
_SUFFIXES = (".json", ".jsonl", ".html", ".htm", ".txt", ".csv")
_TABLE_SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl", ".ndjson")
# Folders in the first file names of Meta's zips.
_META_FOLDERS = (b"your_facebook_activity/", b"your_instagram_activity/")
_ATTACHMENTS = "Attachments"
_SQLITE_MAGIC = b"SQLite format 3\x00"
_HEAD_BYTES = 4096
# The files of a dataset; mlx-lm names the second one `valid`.
_SPLITS = ("train", "validation", "test")
_HELD_OUT_SPLITS = frozenset({"validation", "valid", "test"})
# Limit for the first line when checking for examples.
_MAX_LINE_BYTES = 64 * 1024 * 1024
_MAX_LISTED = 5
# Files that are often mistaken for exports, by the first folder in a zip and media
# type.
_OTHER_ZIPS = {
    "Takeout": "a Google Takeout archive",
    "word": "a Word document",
    "xl": "an Excel workbook",
    "ppt": "a PowerPoint presentation",
}
_OTHER_MEDIA_TYPES = {
    "image": "a picture",
    "video": "a video",
    "audio": "an audio file",
    "application/pdf": "a PDF document",
    "text/plain": "a text file without a recognized chat",
}
_REMEDY = (
    "For ~/Library/Messages: copy chat.db, chat.db-wal and chat.db-shm together in "
    "Finder and pass the copy, or give your terminal Full Disk Access."
)


class ExportOptions(LoaderOptions, total=False):
    """The options of all loaders, plus format-specific ones."""

    timezone: str | None
    date_order: DateOrder | None
    columns: Mapping[str, str] | None


@dataclass(frozen=True)
class Export:
    """A recognized export.

    Attributes:
        path: The path of the export, or of its first part.
        format: The display name of the format.
        loader: The loader.
        other_paths: The paths of the other parts.
    """

    path: Path
    format: str
    loader: ChatExportLoader
    other_paths: tuple[Path, ...] = ()

    @property
    def paths(self) -> tuple[Path, ...]:
        """The paths of all parts."""
        return (self.path, *self.other_paths)

    def __str__(self) -> str:
        """Return the paths and the format for display."""
        return f"{', '.join(map(str, self.paths))}: {self.format}"


_RecognizedPath: TypeAlias = tuple[str, Path]  # A format's key, and a path.


def _get_loader_class(name: str) -> type[ChatExportLoader]:
    _, module, loader = _FORMATS[name]
    loader_class: type[ChatExportLoader] = getattr(_import_module(module), loader)
    return loader_class


def open_exports(
    paths: Iterable[str | Path], **options: Unpack[ExportOptions]
) -> list[Export]:
    """Recognize exports and folders of exports, and join the parts of each.

    The zips of a large export from Meta, and the files that WhatsApp and Telegram write
    per chat, are read as one export. Duplicate paths are read once, as are messages
    that occur in several exports of an app.

    Args:
        paths: Files or folders.
        options: Options of every loader, such as `include`, or of some formats, such
            as `timezone`. Each loader receives those it supports.

    Returns:
        The exports, in order of their first parts.

    Raises:
        ExportNotFoundError: If a path does not exist.
        ExportAccessError: If access is denied.
        ExportFormatError: If a format is unknown.
        MissingExtraError: If there is a table, and the extra `table` is not installed.
    """
    unique = {os.path.realpath(Path(path).expanduser()): path for path in paths}
    recognized = [
        part
        for path in unique.values()
        for part in _recognize(Path(path).expanduser(), options.get("columns"))
    ]
    exports = []
    for (name, path), *others in _group_parts(recognized):
        loader_class = _get_loader_class(name)
        other_paths = tuple(other_path for _, other_path in others)
        supported = {k: options[k] for k in options if has_option(loader_class, k)}  # type: ignore[literal-required]
        loader = loader_class(
            [path, *other_paths] if other_paths else path, **supported
        )
        exports.append(Export(path, _FORMATS[name][0], loader, other_paths))
    _share_seen_messages(exports)
    return exports


def _group_parts(parts: Collection[_RecognizedPath]) -> list[list[_RecognizedPath]]:
    groups: dict[object, list[_RecognizedPath]] = {}
    for index, (name, path) in enumerate(dict.fromkeys(parts)):
        key: object = name if name in _MULTI_PART_FORMATS else index
        groups.setdefault(key, []).append((name, path))
    return [part for group in groups.values() for part in _group_by_owner(group)]


def _group_by_owner(group: list[_RecognizedPath]) -> Iterator[list[_RecognizedPath]]:
    """Group Messenger exports by owner.

    Parts without an owner join the others if these have the same owner.
    """
    if group[0][0] != "facebook_messenger" or len(group) == 1:
        yield group
        return
    by_owner: dict[str | None, list[_RecognizedPath]] = {}
    for name, path in group:
        owner = _get_loader_class(name)(path).find_owner()  # type: ignore[attr-defined]
        by_owner.setdefault(owner, []).append((name, path))
    parts_without_owner = by_owner.pop(None, [])
    if len(by_owner) == 1:
        parts = {*next(iter(by_owner.values())), *parts_without_owner}
        yield [part for part in group if part in parts]
    else:
        yield from by_owner.values()
        yield from ([part] for part in parts_without_owner)


def _share_seen_messages(exports: Collection[Export]) -> None:
    seen: dict[str, dict[int, int]] = defaultdict(dict)
    platforms = Counter(export.loader.platform for export in exports)
    for export in exports:
        if platforms[export.loader.platform] > 1:
            export.loader.share_seen_messages(seen[export.loader.platform])


def has_option(loader: type[ChatExportLoader], name: str) -> bool:
    """Return whether a loader supports an option."""
    parameters = signature(loader).parameters
    return name in parameters or name in LoaderOptions.__annotations__


def estimate_message_count(exports: Iterable[Export]) -> int | None:
    """Estimate the number of messages; `None` if a loader has no estimate."""
    counts = [export.loader.estimate_message_count() for export in exports]
    if None in counts:
        return None
    return sum(filter(None, counts)) or None


def is_examples_file(path: str | Path) -> bool:
    """Return whether a file contains training examples (JSON Lines with `messages`)."""
    path = Path(path).expanduser()
    with translate_os_errors(path, _REMEDY):
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


def find_splits(path: str | Path) -> dict[str, Path]:
    """Return the files of a dataset, as written by `prepare --split`, by split.

    The splits are `train`, `validation` and `test`. Empty if the folder has no `train`
    file, which means that it is not a dataset.
    """
    folder = Path(path).expanduser()
    files = {split: folder / f"{split}.jsonl" for split in _SPLITS}
    existing = {split: file for split, file in files.items() if file.is_file()}
    return (
        existing if "train" in existing and is_examples_file(existing["train"]) else {}
    )


def _import_module(name: str) -> Any:
    return import_module(f"langchain_chatexports.chat_loaders.{name}")


def _recognize(path: Path, columns: Mapping[str, str] | None) -> list[_RecognizedPath]:
    """Return the exports at a path, or raise an error if there are none."""
    with translate_os_errors(path, _REMEDY):
        parts = (
            _recognize_folder(path, columns)
            if path.is_dir()
            else _recognize_file(path, columns)
        )
    if not parts:
        raise _unknown_format_error(path)
    return parts


def _recognize_file(
    path: Path, columns: Mapping[str, str] | None
) -> list[_RecognizedPath]:
    with open_regular_file(path) as file:
        head = file.read(_HEAD_BYTES)
    # Also recognize empty and encrypted databases, since the loader's error is better.
    if head.startswith(_SQLITE_MAGIC) or _import_module("imessage").is_database_name(
        path
    ):
        return [("imessage", path)]
    with open_files([path], _SUFFIXES, is_quiet=True) as files:
        names = _detect_formats(files)[:1]
    if not names and any(name in head for name in _META_FOLDERS):
        names = ["facebook_messenger"]  # A part with media only.
    if names == ["facebook_messenger"] and not is_zip(path):
        names = ["thread"]
    if names or is_zip(path):
        return [(name, path) for name in names]
    if _import_module("table").matches_head(path, head, columns):
        return [("table", path)]
    if b'"messages"' in head and is_examples_file(path):
        folders = [path.parent] if find_splits(path.parent) else []
        raise _examples_error(path, [path, *folders])
    return []


def _recognize_folder(
    path: Path, columns: Mapping[str, str] | None
) -> list[_RecognizedPath]:
    imessage = _import_module("imessage")
    has_database = imessage.is_messages_folder(path)
    # In the system's folder, ignore exports that were sent as attachments.
    if has_database and (imessage.is_backup(path) or (path / _ATTACHMENTS).is_dir()):
        return [("imessage", path)]
    with open_files([path], _SUFFIXES, is_quiet=True) as files:
        names = _detect_formats(files)
    children = sorted(path.iterdir())
    others = [child for child in children if _is_other_export(child, columns)]
    if len(names) == 1 and not others:
        return [(names[0], path)]
    if has_database and not names and len(others) <= 1:
        return [("imessage", path)]
    if not names and not others:
        if files_of_examples := list(
            filter(is_examples_file, sorted(path.glob("*.jsonl")))
        ):
            raise _examples_error(
                path, [*([path] if find_splits(path) else []), *files_of_examples]
            )
        return []
    recognized: list[_RecognizedPath] = []
    skipped: list[Path] = []
    for child in children:
        if child.name.startswith("."):
            continue
        # Ignore links, which may point outside the folder.
        recognize = _recognize_folder if child.is_dir() else _recognize_file
        parts: list[_RecognizedPath] = []
        with suppress(ChatExportError):
            parts = [] if child.is_symlink() else recognize(child, columns)
        recognized += parts
        skipped += [] if parts else [child]
    if skipped:
        listed = ", ".join(child.name for child in skipped[:_MAX_LISTED])
        unlisted = len(skipped) - _MAX_LISTED
        ending = f" and {unlisted} more" if unlisted > 0 else ""
        msg = f"Skipped in {path} (not exports): {listed}{ending}."
        names = [child.name for child in skipped]
        warnings.warn(SkippedFilesWarning(msg, names), stacklevel=5)
    return recognized


def _is_other_export(child: Path, columns: Mapping[str, str] | None) -> bool:
    """Return whether a folder entry is an export of its own: a database or a table."""
    if child.is_symlink():
        return False
    if child.is_dir():
        return bool(_import_module("imessage").is_messages_folder(child))
    is_table = child.name.lower().endswith(_TABLE_SUFFIXES)
    if not is_table and not _import_module("imessage").is_database_name(child):
        return False
    with suppress(ChatExportError, OSError):
        return any(name in _PATH_FORMATS for name, _ in _recognize_file(child, columns))
    return False


def _detect_formats(files: ExportFiles) -> list[str]:
    """Return the formats that match the names and first bytes of an export's files."""
    names = [name for name in _FORMATS if name not in _PATH_FORMATS]
    return [name for name in names if _import_module(name).matches(files)]


def _examples_error(path: Path, candidates: Iterable[Path]) -> ExportFormatError:
    """Create the error for training examples in place of an export.

    It suggests training on the first of `candidates` that is not held out.
    """
    suggested = next(
        (file for file in candidates if file.stem not in _HELD_OUT_SPLITS), None
    )
    msg = f"{path} is not an export: it contains training examples."
    if suggested is not None:
        msg += f" Train on them with: chatexports finetune {suggested}"
    return ExportFormatError(msg, path=path)


def _unknown_format_error(path: Path) -> ExportFormatError:
    description = _describe_file(path)
    msg = (
        f"{path}{f' ({description})' if description else ''} is not a supported "
        "export. Supported are an iMessage database (chat.db) or its folder; JSON "
        "exports of Messenger, Instagram, Discord, Signal, Slack and Telegram (zip, "
        "folder or file); WhatsApp chats (zip, folder or text file); and tables "
        "(Parquet, JSON Lines or CSV with columns for sender and text)."
    )
    return ExportFormatError(msg, path=path)


def _describe_file(path: Path) -> str | None:
    """Describe a file by its content or name, if possible."""
    with suppress(OSError):
        if path.is_dir() and not any(path.iterdir()):
            return "an empty folder"
        if path.is_file() and not path.stat().st_size:
            return "an empty file"
    with suppress(OSError, BadZipFile), ZipFile(path) as archive:
        folders = {name.partition("/")[0] for name in archive.namelist()}
        descriptions = (text for name, text in _OTHER_ZIPS.items() if name in folders)
        return next(descriptions, "a zip of other files")
    media_type, _ = guess_type(path.name)
    group = str(media_type).partition("/")[0]
    description = _OTHER_MEDIA_TYPES.get(str(media_type), media_type)
    return _OTHER_MEDIA_TYPES.get(group, description)
