"""Put back what was replaced, with the map that stays on this machine."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from langchain_chatexports.redaction.pseudonyms import in_case_of
from langchain_chatexports.redaction.spans import KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["restore", "write_undo_map"]

_STAND_IN = re.compile(rf"\[(?:{'|'.join(KINDS)})-[0-9a-f]{{10}}\]|[A-Za-z]+")


def restore(text: str, undo_map: Mapping[str, str]) -> str:
    """Put back what was replaced in a text, such as a model's answer.

    Args:
        text: The text.
        undo_map: What `Redact.undo_map` gave.

    Returns:
        The text with the original names and numbers. A number that occurs in several
        spellings comes back in the first one that was met.
    """

    def original(match: re.Match[str]) -> str:
        found = match[0]
        if found.startswith("["):
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
        undo_map: What `Redact.undo_map` gave.
        path: The file to write, whole or not at all. Keep it where the key is: whoever
            has it can undo the redaction.
    """
    path = Path(path).expanduser()
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        with os.fdopen(
            os.open(unfinished, flags, 0o600), "w", encoding="utf-8"
        ) as file:
            json.dump(dict(sorted(undo_map.items())), file, ensure_ascii=True, indent=1)
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
