"""An estimate of how many messages an export's files hold, from their first bytes."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from langchain_chatexports.chat_loaders.archives import (
    open_parts,
    readable_files,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["estimate_records"]

# Each message has one of them, in Meta's two formats.
_SENDER_KEYS = (b'"sender_name"', b'"senderName"')


def estimate_records(paths: Sequence[Path]) -> int:
    """Count the records at the beginning of each JSON file and extrapolate.

    Args:
        paths: A file, or the parts of an export. What is broken counts as empty.

    Raises:
        ChatExportError: If a path cannot be opened.
    """
    with ExitStack() as stack:
        parts = open_parts(paths, stack, lambda _: None, (".json",))
        files = readable_files(parts, lambda _: None)
        return sum(file.estimate_count(*_SENDER_KEYS) for file in files)
