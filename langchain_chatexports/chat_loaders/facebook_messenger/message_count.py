"""An estimate of how many messages an export's files hold, from their first bytes."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from langchain_chatexports.chat_loaders.archives import (
    list_files,
    open_parts,
)
from langchain_chatexports.chat_loaders.export_files import ExportFile
from langchain_chatexports.exceptions import ChatExportError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["estimate_records"]

# Each message has one of them, in Meta's two formats.
_SENDER_KEYS = (b'"sender_name"', b'"senderName"')
_HEAD = 1 << 16


def estimate_records(paths: Sequence[Path]) -> int:
    """Count the records at the beginning of each JSON file and extrapolate.

    Args:
        paths: A file, or the parts of an export. What is broken counts as empty.

    Raises:
        ChatExportError: If a path cannot be opened.
    """
    with ExitStack() as stack:
        files = list_files(open_parts(paths, stack, lambda _: None, (".json",)))
        return sum(
            _records_of_file(file) for file in files if isinstance(file, ExportFile)
        )


def _records_of_file(file: ExportFile) -> int:
    try:
        head = file.read(_HEAD)
    except ChatExportError:
        return 0
    count = sum(map(head.count, _SENDER_KEYS))
    return round(count * file.size / len(head)) if count else 0
