"""The chats among the files of an export."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from langchain_chatexports.chat_loaders.whatsapp.chat_names import (
    UNNAMED_FILES,
    is_framed,
)
from langchain_chatexports.chat_loaders.whatsapp.headers import (
    learn_layouts,
    parse_header,
)
from langchain_chatexports.chat_loaders.whatsapp.text_lines import decode_head
from langchain_chatexports.exceptions import ChatExportError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from langchain_chatexports.chat_loaders.export_files import ExportFile

__all__ = ["SUFFIXES", "chat_files", "estimate_records", "is_whatsapp_export"]

SUFFIXES = (".txt",)
"""What the names of chats end in."""

_HEAD_BYTES = 4096
_ESTIMATE_BYTES = 1 << 16
_FIRST_LINES = 4  # Web's first line has no date; a first message can have several.


def chat_files(files: Iterable[ExportFile]) -> tuple[list[ExportFile], int]:
    """Choose the chats among text files.

    In a zip the chat lies beside its attachments, and these may be texts, too.

    Args:
        files: The text files of an export.

    Returns:
        The chats, and how many texts are none.
    """
    places: dict[tuple[int, tuple[str, ...]], list[ExportFile]] = defaultdict(list)
    total = 0
    for file in files:
        places[file.part, file.folders].append(file)
        total += 1
    chosen = [file for group in places.values() for file in _chats_of_place(group)]
    return chosen, total - len(chosen)


def is_whatsapp_export(files: Sequence[ExportFile]) -> bool:
    """Return whether files are of an export of WhatsApp chats.

    Args:
        files: The files, or the one that the user named; their names and first bytes
            decide.
    """
    texts = [
        file
        for file in files
        if file.name.lower().endswith(SUFFIXES) or is_framed(file.name)
    ]
    is_mixed = len(texts) < len(files)
    # Among files of another app a text that looks like a chat may be anything.
    return any(
        _looks_like_chat(file) for file in texts if is_framed(file.name) or not is_mixed
    )


def estimate_records(file: ExportFile) -> int:
    """Estimate how many messages a chat has, from its beginning."""
    head = file.read(_ESTIMATE_BYTES)
    lines = decode_head(head)
    layouts = learn_layouts(lines)
    if not layouts.layouts:
        return 0
    patterns = layouts.compiled()
    count = sum(any(one.match(line) for one in patterns) for line in lines)
    return max(1, round(count * file.size / max(1, len(head))))


def _chats_of_place(files: Sequence[ExportFile]) -> list[ExportFile]:
    unnamed = [file for file in files if file.name.lower() in UNNAMED_FILES]
    framed = [file for file in files if is_framed(file.name)]
    is_in_zip = files[0].given == 0
    if unnamed or (framed and is_in_zip):
        return framed
    return [file for file in files if is_framed(file.name) or _looks_like_chat(file)]


def _looks_like_chat(file: ExportFile) -> bool:
    try:
        lines = decode_head(file.read(_HEAD_BYTES))
    except ChatExportError:
        return False
    first = [line for line in lines if line.strip()][:_FIRST_LINES]
    found = [like for line in first if (like := _is_like_a_chats(line)) is not None]
    return bool(found) and (is_framed(file.name) or all(found))


def _is_like_a_chats(line: str) -> bool | None:
    """Return whether a header is of a chat and not of a log; `None` for other lines."""
    layout = parse_header(line)
    found = layout.compiled(has_marks=True).match(line) if layout else None
    if layout is None or found is None:
        return None
    if layout.frame == "-":
        # Android phones write no seconds, and most logs do.
        return not found[layout.groups[3]]
    rest = line[found.end() :]
    return rest.startswith("- ") or ": " in f"{rest} "
