"""Find the chats among an export's files, and their names."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice

from langchain_chatexports.chat_loaders.export_file import ExportFile
from langchain_chatexports.chat_loaders.whatsapp.headers import (
    learn_layouts,
    parse_header,
)
from langchain_chatexports.chat_loaders.whatsapp.phrases import FILE_NAMES
from langchain_chatexports.chat_loaders.whatsapp.records import split_lines
from langchain_chatexports.chat_loaders.whatsapp.senders import clean_name
from langchain_chatexports.exceptions import ChatExportError

SUFFIXES = (".txt",)
_HEAD_BYTES = 4096
_ESTIMATE_BYTES = 1 << 16
_FIRST_LINES = 4  # Enough for a first line without a date, and a multi-line message.
# File names from iPhones and WhatsApp Web, which do not contain the chat's name.
_GENERIC_FILE_NAMES = frozenset({"_chat.txt", "chat.txt"})
_COPY_NUMBER = re.compile(r" ?\(\d{1,3}\)$")


def is_whatsapp(files: Iterable[ExportFile]) -> bool:
    """Return whether files are a WhatsApp export, by name and first bytes."""
    files = list(files)
    candidates = [
        file
        for file in files
        if file.name.lower().endswith(SUFFIXES) or has_chat_file_name(file)
    ]
    # Among other apps' files, require a WhatsApp file name.
    is_mixed = len(candidates) < len(files)
    return any(
        _looks_like_chat(file)
        for file in candidates
        if has_chat_file_name(file) or not is_mixed
    )


def find_chat_files(files: Iterable[ExportFile]) -> Iterator[ExportFile]:
    """Yield the chats among text files.

    A zip also contains the chat's attachments, which may also be text files.
    """
    by_folder: dict[tuple[int, tuple[str, ...]], list[ExportFile]] = defaultdict(list)
    for file in files:
        by_folder[file.part, file.folders].append(file)
    for group in by_folder.values():
        chats = [file for file in group if has_chat_file_name(file)]
        is_unpacked = any(file.name.lower() in _GENERIC_FILE_NAMES for file in chats)
        has_attachments = is_unpacked or (chats and is_in_zip(chats[0]))
        yield from chats
        if not has_attachments:
            other_files = [file for file in group if not has_chat_file_name(file)]
            yield from filter(_looks_like_chat, other_files)


def get_chat_name(file: ExportFile) -> str | None:
    """Return the name of a chat, if the file name contains it."""
    name = file.name
    if name.lower() in _GENERIC_FILE_NAMES:
        # The zip, or the folder of an unpacked zip, is named after the chat.
        if file.folders:
            return _extract_chat_name(file.folders[-1])
        if not is_in_zip(file):
            return None
        name = file.part_name
    stem = _remove_suffix(name)
    return _extract_chat_name(stem) or _clean(stem)


def get_chat_id(file: ExportFile) -> str:
    """Return the id of a chat: its relative path, which is stable across computers."""
    if not is_in_zip(file):
        return file.inner_path
    if not file.folders and file.name.lower() in _GENERIC_FILE_NAMES:
        return file.part_name
    return f"{file.part_name}/{file.inner_path}"


def is_in_zip(file: ExportFile) -> bool:
    """Return whether a file is in a zip."""
    return file.given_depth == 0


def estimate_messages(file: ExportFile) -> int:
    """Estimate the number of messages in a chat from its beginning."""
    lines, _ = split_lines(file.read(_ESTIMATE_BYTES), is_cut=True)
    patterns = [layout.pattern for layout in learn_layouts(lines)]
    count = sum(any(pattern.match(line) for pattern in patterns) for line in lines)
    fraction = min(file.size, _ESTIMATE_BYTES) / max(1, file.size)
    return max(1, round(count / fraction)) if count else 0


def _looks_like_chat(file: ExportFile) -> bool:
    try:
        lines, _ = split_lines(file.read(_HEAD_BYTES), is_cut=True)
    except ChatExportError:
        return False
    first_lines = list(islice(filter(str.strip, lines), _FIRST_LINES))
    results = list(_check_headers(first_lines))
    return bool(results) and (has_chat_file_name(file) or all(results))


def _check_headers(lines: Iterable[str]) -> Iterator[bool]:
    """Yield whether each header looks like a chat header, not a log line."""
    for line in lines:
        layout = parse_header(line)
        match = layout.pattern.match(line) if layout else None
        if layout is None or match is None:
            continue
        if layout.frame == "-":
            # Unlike most logs, Android exports have no seconds.
            yield not layout.has_seconds
        else:
            rest = line[match.end() :]
            yield rest.startswith("- ") or ": " in f"{rest} "


def has_chat_file_name(file: ExportFile) -> bool:
    """Return whether a file name matches a name used by WhatsApp."""
    return (
        file.name.lower() in _GENERIC_FILE_NAMES
        or _extract_chat_name(_remove_suffix(file.name)) is not None
    )


def _remove_suffix(name: str) -> str:
    base, dot, suffix = name.rpartition(".")
    return base if dot and suffix.lower() in {"txt", "zip"} else name


def _clean(name: str) -> str:
    return _COPY_NUMBER.sub("", clean_name(unicodedata.normalize("NFC", name)))


def _extract_chat_name(name: str) -> str | None:
    name = _clean(name)
    # Some systems replace spaces with underscores.
    for text in (name, name.replace("_", " ")):
        for prefix, suffix in FILE_NAMES:
            has_name = len(text) > len(prefix) + len(suffix)
            if has_name and text.startswith(prefix) and text.endswith(suffix):
                return text[len(prefix) : len(text) - len(suffix)].strip() or None
    return None
