"""Which existing files this package has written, and may replace without asking."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from langchain_chatexports._files import is_pipe
from langchain_chatexports._regular_files import open_regular_file
from langchain_chatexports.datasets.formats.trace_file import (
    card_path,
    read_header,
    trace_path,
)
from langchain_chatexports.exceptions import ChatExportError

__all__ = ["foreign_files"]

_CARD_TITLE = b"# Data card\n"
_PAGE_START = b"<!doctype html>"
# In the footer of `report/templates/base.html`.
_PAGE_MARK = b"<p>Made on this machine by langchain-chatexports "
_FOOTER_BYTES = 4096
_MAX_ROW_BYTES = 1 << 20
# As `redaction.pseudonyms` writes the ids of conversations.
_STAND_IN_ID = re.compile(r"chat-[0-9a-f]+(?:#\d+)*")


def foreign_files(output: str | Path) -> list[Path]:
    """Return the files that writing an output would replace, and others have written.

    Its own are recognized by their content: a set has its trace beside it, a page the
    line of this package in its footer, a redacted table the stand-ins of conversations
    as ids. Key files are never replaced. Nothing is lost with an empty file or folder,
    and nothing is replaced by writing to a pipe or a device.

    Args:
        output: The file or folder to write; `~` is expanded.

    Returns:
        Those of the output, its data card and its trace that somebody else has written.
    """
    path = Path(output).expanduser()
    if not path.name:
        return []  # `.` or the root: writing there fails.
    places = {
        path: _has_trace(path) or _is_page(path) or _is_redacted_table(path),
        card_path(path): _starts_with(card_path(path), _CARD_TITLE),
        trace_path(path): _has_trace(path),
    }
    return [place for place, is_own in places.items() if not (is_own or _empty(place))]


def _empty(path: Path) -> bool:
    # Of a name that is too long `Path.exists` raises, below Python 3.12.
    if not os.path.exists(path) or is_pipe(path):  # noqa: PTH110 - see above
        return True
    return not any(path.iterdir()) if path.is_dir() else path.stat().st_size == 0


def _has_trace(path: Path) -> bool:
    try:
        return read_header(path).is_folder == path.is_dir() or not path.exists()
    except (ChatExportError, OSError):
        return False


def _is_page(path: Path) -> bool:
    try:
        with open_regular_file(path) as file:
            start = file.read(len(_PAGE_START))
            file.seek(max(0, path.stat().st_size - _FOOTER_BYTES))
            return start == _PAGE_START and _PAGE_MARK in file.read()
    except (ChatExportError, OSError):
        return False


def _is_redacted_table(path: Path) -> bool:
    try:
        with open_regular_file(path) as file:
            row = json.loads(file.readline(_MAX_ROW_BYTES))
    except (ChatExportError, OSError, ValueError, RecursionError):
        return False
    found = row.get("conversation_id") if isinstance(row, dict) else None
    return isinstance(found, str) and _STAND_IN_ID.fullmatch(found) is not None


def _starts_with(path: Path, start: bytes) -> bool:
    try:
        with open_regular_file(path) as file:
            return file.read(len(start)) == start
    except (ChatExportError, OSError):
        return False
