"""Recognize exports by content, and create loaders for them."""

import os
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from inspect import signature
from mimetypes import guess_type
from pathlib import Path
from typing import TypeAlias, Unpack
from zipfile import BadZipFile, ZipFile

from langchain_chatexports._regular_files import open_regular_file, translate_os_errors
from langchain_chatexports._terminal import listing
from langchain_chatexports._translation import Sentence, _
from langchain_chatexports.chat_loaders.base import ChatExportLoader, LoaderOptions
from langchain_chatexports.chat_loaders.chatlab import ChatLabChatLoader
from langchain_chatexports.chat_loaders.date_order import DateOrder
from langchain_chatexports.chat_loaders.discord import DiscordChatLoader
from langchain_chatexports.chat_loaders.facebook_messenger import (
    FolderFacebookMessengerChatLoader,
    SingleFileFacebookMessengerChatLoader,
)
from langchain_chatexports.chat_loaders.files import ExportFiles, SkippedFilesWarning
from langchain_chatexports.chat_loaders.imessage import (
    IMessageChatLoader,
    is_backup,
    is_database_name,
    is_messages_folder,
)
from langchain_chatexports.chat_loaders.kakaotalk import KakaoTalkChatLoader
from langchain_chatexports.chat_loaders.line import LineChatLoader
from langchain_chatexports.chat_loaders.mail import EmailChatLoader
from langchain_chatexports.chat_loaders.signal import SignalChatLoader
from langchain_chatexports.chat_loaders.skype import SkypeChatLoader
from langchain_chatexports.chat_loaders.slack import SlackChatLoader
from langchain_chatexports.chat_loaders.sms import SmsChatLoader
from langchain_chatexports.chat_loaders.table import TableChatLoader, matches_head
from langchain_chatexports.chat_loaders.telegram import TelegramChatLoader
from langchain_chatexports.chat_loaders.whatsapp import WhatsAppChatLoader
from langchain_chatexports.chat_loaders.zip_files import is_zip
from langchain_chatexports.exceptions import ChatExportError, UnknownFormatError

PLATFORM_NAMES = {
    "chatlab": "ChatLab",
    "discord": "Discord",
    "email": "E-mail",
    "facebook_messenger": "Messenger",
    "imessage": "iMessage",
    "instagram": "Instagram",
    "kakaotalk": "KakaoTalk",
    "line": "LINE",
    "signal": "Signal",
    "skype": "Skype",
    "slack": "Slack",
    "sms": "SMS (Android)",
    "telegram": "Telegram",
    "whatsapp": "WhatsApp",
}
"""Display names of platforms."""

# Formats that are recognized by their files; the others by the path.
_FORMATS: tuple[type[ChatExportLoader], ...] = (
    ChatLabChatLoader,
    DiscordChatLoader,
    EmailChatLoader,
    FolderFacebookMessengerChatLoader,
    KakaoTalkChatLoader,
    LineChatLoader,
    SignalChatLoader,
    SkypeChatLoader,
    SlackChatLoader,
    SmsChatLoader,
    TelegramChatLoader,
    WhatsAppChatLoader,
)
_PATH_FORMATS = (
    IMessageChatLoader,
    TableChatLoader,
    SingleFileFacebookMessengerChatLoader,
)
_SUFFIXES = tuple({suffix for loader in _FORMATS for suffix in loader.suffixes})
# Folders in the first file names of Meta's zips.
_META_FOLDERS = (b"your_facebook_activity/", b"your_instagram_activity/")
_ATTACHMENTS = "Attachments"
_SQLITE_MAGIC = b"SQLite format 3\x00"
_HEAD_BYTES = 4096
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
    "application/x-tar": "an archive: unpack it, and pass the folder",
    "text/plain": "a text file without a recognized chat",
}
_REMEDY = Sentence(
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
    """A recognized export."""

    path: Path
    """The path of the export, or of its first part."""

    loader: ChatExportLoader
    """The loader."""

    other_paths: tuple[Path, ...] = ()
    """The paths of the other parts."""

    @property
    def format(self) -> str:
        """The display name of the format."""
        return self.loader.label

    @property
    def paths(self) -> tuple[Path, ...]:
        """The paths of all parts."""
        return (self.path, *self.other_paths)

    def __str__(self) -> str:
        """Return the paths and the format for display."""
        return f"{', '.join(map(str, self.paths))}: {_(self.format)}"


_RecognizedPath: TypeAlias = tuple[type[ChatExportLoader], Path]


def open_exports(
    paths: Iterable[str | Path], **options: Unpack[ExportOptions]
) -> list[Export]:
    """Recognize exports and folders of exports, and join the parts of each.

    The zips of a large export from Meta, and the files that WhatsApp and Telegram write
    per chat, are read as one export. Duplicate paths are read once. To read messages
    once that occur in several exports of an app, use `read_loaders`.

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
    for (loader_class, path), *others in _group_parts(recognized):
        other_paths = tuple(other_path for _, other_path in others)
        supported = {k: options[k] for k in options if has_option(loader_class, k)}  # type: ignore[literal-required]
        loader = loader_class(
            [path, *other_paths] if other_paths else path, **supported
        )
        exports.append(Export(path, loader, other_paths))
    return exports


def _group_parts(parts: Collection[_RecognizedPath]) -> list[list[_RecognizedPath]]:
    groups: dict[object, list[_RecognizedPath]] = {}
    for index, (loader_class, path) in enumerate(dict.fromkeys(parts)):
        key: object = loader_class if loader_class.has_parts else index
        groups.setdefault(key, []).append((loader_class, path))
    return [part for group in groups.values() for part in _group_by_owner(group)]


def _group_by_owner(group: list[_RecognizedPath]) -> Iterator[list[_RecognizedPath]]:
    """Group Messenger exports by owner.

    Parts without an owner join the others if these have the same owner.
    """
    if group[0][0] is not FolderFacebookMessengerChatLoader or len(group) == 1:
        yield group
        return
    by_owner: dict[str | None, list[_RecognizedPath]] = {}
    for loader_class, path in group:
        owner = FolderFacebookMessengerChatLoader(path).find_owner()
        by_owner.setdefault(owner, []).append((loader_class, path))
    parts_without_owner = by_owner.pop(None, [])
    if len(by_owner) == 1:
        parts = {*next(iter(by_owner.values())), *parts_without_owner}
        yield [part for part in group if part in parts]
    else:
        yield from by_owner.values()
        yield from ([part] for part in parts_without_owner)


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
    if head.startswith(_SQLITE_MAGIC) or is_database_name(path):
        return [(IMessageChatLoader, path)]
    with ExportFiles([path], _SUFFIXES, is_quiet=True) as files:
        loader_class = next(iter(_detect_formats(files)), None)
    if loader_class is None and any(name in head for name in _META_FOLDERS):
        loader_class = FolderFacebookMessengerChatLoader  # A part with media only.
    if loader_class is FolderFacebookMessengerChatLoader and not is_zip(path):
        loader_class = SingleFileFacebookMessengerChatLoader
    if loader_class is not None:
        return [(loader_class, path)]
    if not is_zip(path) and matches_head(path, head, columns):
        return [(TableChatLoader, path)]
    return []


def _recognize_folder(
    path: Path, columns: Mapping[str, str] | None
) -> list[_RecognizedPath]:
    has_database = is_messages_folder(path)
    # In the system's folder, ignore exports that were sent as attachments.
    if has_database and (is_backup(path) or (path / _ATTACHMENTS).is_dir()):
        return [(IMessageChatLoader, path)]
    with ExportFiles([path], _SUFFIXES, is_quiet=True) as files:
        formats = _detect_formats(files)
    children = sorted(path.iterdir())
    others = [child for child in children if _is_other_export(child, columns)]
    if len(formats) == 1 and not others:
        return [(formats[0], path)]
    if has_database and not formats and len(others) <= 1:
        return [(IMessageChatLoader, path)]
    if not formats and not others:
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
        names = [child.name for child in skipped]
        msg = f"Skipped in {path} (not exports): {listing(names)}."
        warnings.warn(SkippedFilesWarning(msg, names), stacklevel=5)
    return recognized


def _is_other_export(child: Path, columns: Mapping[str, str] | None) -> bool:
    """Return whether a folder entry is an export of its own: a database or a table."""
    if child.is_symlink():
        return False
    if child.is_dir():
        return is_messages_folder(child)
    is_table = child.name.lower().endswith(TableChatLoader.suffixes)
    if not is_table and not is_database_name(child):
        return False
    with suppress(ChatExportError, OSError):
        parts = _recognize_file(child, columns)
        return any(loader_class in _PATH_FORMATS for loader_class, _ in parts)
    return False


def _detect_formats(files: ExportFiles) -> list[type[ChatExportLoader]]:
    """Return the formats that match the names and first bytes of an export's files."""
    return [loader_class for loader_class in _FORMATS if loader_class.matches(files)]


def _unknown_format_error(path: Path) -> UnknownFormatError:
    description = _describe_file(path)
    msg = Sentence(
        "{path} is not a supported "
        "export. Supported are an iMessage database (chat.db) or its folder; JSON "
        "exports of Messenger, Instagram, Discord, Signal, Skype, Slack, Telegram and "
        "ChatLab (zip, folder or file); chats of WhatsApp, KakaoTalk and LINE (zip, "
        "folder or text file); backups of Android's SMS (XML); e-mail (mbox); and "
        "tables (Parquet, JSON Lines or CSV with columns for sender and text).",
        path=f"{path} ({description})" if description else path,
    )
    return UnknownFormatError(msg, path=path)


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
