"""Undo a redaction with the local map of originals."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from langchain_chatexports._files import write_whole
from langchain_chatexports.redaction.pseudonyms import in_case_of
from langchain_chatexports.redaction.spans import KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["restore", "write_undo_map"]

_STAND_IN = re.compile(
    rf"\[(?:{'|'.join(KINDS)})-[0-9a-f]{{10}}\]|\bchat-[0-9a-f]{{10}}\b|[A-Za-z]+"
)


def restore(text: str, undo_map: Mapping[str, str]) -> str:
    """Put back what was replaced in a text, such as a model's answer.

    Args:
        text: The text.
        undo_map: What `Redact.undo_map` returned.

    Returns:
        The text with the original names and numbers. A number that occurs in several
        spellings comes back in the first one that was met.
    """

    def original(match: re.Match[str]) -> str:
        found = match[0]
        if not found.isalpha():
            return undo_map.get(found, found)
        name = undo_map.get(in_case_of("Name", found))
        if name is None:
            return found
        # A capitalized stand-in gives the name as the export writes it.
        return name if found.istitle() else in_case_of(found, name)

    return _STAND_IN.sub(original, text)


def write_undo_map(undo_map: Mapping[str, str], path: str | Path) -> None:
    """Write the map as a JSON file that only its owner can read.

    Args:
        undo_map: What `Redact.undo_map` returned.
        path: The file to write, whole or not at all. Keep it where the key is: whoever
            has it can undo the redaction.
    """
    text = json.dumps(dict(sorted(undo_map.items())), indent=1)
    write_whole(path, text.encode("ascii"))
