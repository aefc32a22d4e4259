"""Find the chats among the files of an export, and their names."""

import io
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice

from langchain_chatexports.chat_loaders.files import ExportFile
from langchain_chatexports.chat_loaders.whatsapp.chats import clean_name
from langchain_chatexports.chat_loaders.whatsapp.headers import (
    learn_layouts,
    parse_header,
)
from langchain_chatexports.chat_loaders.whatsapp.phrases import FILE_NAMES
from langchain_chatexports.chat_loaders.whatsapp.records import read_lines
from langchain_chatexports.exceptions import ChatExportError

SUFFIXES = (".txt",)
_HEAD_BYTES = 4096
_ESTIMATE_BYTES = 1 << 16
_FIRST_LINES = 4  # The first line may have no date, and a message several lines.
# Files of iPhones and WhatsApp Web that are not named after their chat.
_UNNAMED = frozenset({"_chat.txt", "chat.txt"})
_COPY = re.compile(r" ?\(\d{1,3}\)$")


def matches(files: Iterable[ExportFile]) -> bool:
    """Return whether files are an export of WhatsApp, by names and first bytes."""
    listed = list(files)
    texts = [
        file
        for file in listed
        if file.name.lower().endswith(SUFFIXES) or is_framed(file)
    ]
    # Next to files of another app, a text that looks like a chat may be anything.
    is_mixed = len(texts) < len(listed)
    return any(
        _looks_like_chat(file) for file in texts if is_framed(file) or not is_mixed
    )


def chat_files(files: Iterable[ExportFile]) -> Iterator[ExportFile]:
    """Yield the chats among text files.

    A zip contains the attachments of a chat as well, which may also be texts.
    """
    by_folder: dict[tuple[int, tuple[str, ...]], list[ExportFile]] = defaultdict(list)
    for file in files:
        by_folder[file.part, file.folders].append(file)
    for group in by_folder.values():
        framed = [file for file in group if is_framed(file)]
        is_unpacked = any(file.name.lower() in _UNNAMED for file in framed)
        has_attachments = is_unpacked or (framed and is_in_zip(framed[0]))
        others = [] if has_attachments else [one for one in group if not is_framed(one)]
        yield from framed
        yield from filter(_looks_like_chat, others)


def chat_name(file: ExportFile) -> str | None:
    """Return the name of the chat in a file, if the file name contains it."""
    name = file.name
    if name.lower() in _UNNAMED:
        # It is in a zip, or in the folder of an unpacked zip.
        if file.folders:
            return _unframed(file.folders[-1])
        if not is_in_zip(file):
            return None
        name = file.part_name
    stem = _stem(name)
    return _unframed(stem) or _cleaned(stem)


def chat_id(file: ExportFile) -> str:
    """Return a chat's id: its relative path, the same on any computer."""
    if not is_in_zip(file):
        return file.inner_path
    if not file.folders and file.name.lower() in _UNNAMED:
        return file.part_name
    return f"{file.part_name}/{file.inner_path}"


def is_in_zip(file: ExportFile) -> bool:
    """Return whether a file is in a zip."""
    return file.given == 0


def head_lines(file: ExportFile, limit: int) -> list[str]:
    """Return the lines in the first bytes of a file; the last may be incomplete."""
    return list(read_lines(io.BytesIO(file.read(limit))))


def estimate_messages(file: ExportFile) -> int:
    """Estimate the number of messages in a chat from its beginning."""
    lines = head_lines(file, _ESTIMATE_BYTES)
    patterns = [layout.pattern for layout in learn_layouts(lines)]
    count = sum(any(one.match(line) for one in patterns) for line in lines)
    share = min(file.size, _ESTIMATE_BYTES) / max(1, file.size)
    return max(1, round(count / share)) if count else 0


def _looks_like_chat(file: ExportFile) -> bool:
    try:
        lines = head_lines(file, _HEAD_BYTES)
    except ChatExportError:
        return False
    first = list(islice(filter(str.strip, lines), _FIRST_LINES))
    found = list(_are_of_chat(first))
    return bool(found) and (is_framed(file) or all(found))


def _are_of_chat(lines: Iterable[str]) -> Iterator[bool]:
    """Yield for each header whether it looks like a chat's, not like a log's."""
    for line in lines:
        layout = parse_header(line)
        found = layout.pattern.match(line) if layout else None
        if layout is None or found is None:
            continue
        if layout.frame == "-":
            # Android phones write no seconds, and most logs do.
            yield not layout.has_seconds
        else:
            rest = line[found.end() :]
            yield rest.startswith("- ") or ": " in f"{rest} "


def is_framed(file: ExportFile) -> bool:
    """Return whether a file has a name that WhatsApp gives to chats."""
    return file.name.lower() in _UNNAMED or _unframed(_stem(file.name)) is not None


def _stem(name: str) -> str:
    base, dot, suffix = name.rpartition(".")
    return base if dot and suffix.lower() in {"txt", "zip"} else name


def _cleaned(name: str) -> str:
    return _COPY.sub("", clean_name(unicodedata.normalize("NFC", name)))


def _unframed(name: str) -> str | None:
    plain = _cleaned(name)
    # Some systems replace spaces by underscores.
    for shown in (plain, plain.replace("_", " ")):
        for prefix, suffix in FILE_NAMES:
            is_longer = len(shown) > len(prefix) + len(suffix)
            if is_longer and shown.startswith(prefix) and shown.endswith(suffix):
                return shown[len(prefix) : len(shown) - len(suffix)].strip() or None
    return None
