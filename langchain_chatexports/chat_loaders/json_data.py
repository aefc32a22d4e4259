"""JSON of exports: parse it, and repair what cannot be written as UTF-8."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import orjson

from langchain_chatexports.exceptions import ExportFormatError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["clean_text", "dicts_of", "read_json", "without_lone_surrogates"]

_SURROGATE = re.compile("[\ud800-\udfff]")


def read_json(data: bytes, label: str, path: Path | None = None) -> Any:
    """Parse a JSON file.

    Args:
        data: What it holds.
        label: What to call it in an error.
        path: The file, or the zip that holds it.

    Raises:
        ExportFormatError: If it is not JSON, or cut off.
    """
    with suppress(orjson.JSONDecodeError):
        return orjson.loads(data)
    # Halves of emoji, another encoding than UTF-8, NaN: it takes more, in twice the
    # time, and says where the error is.
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        # The error's own text shows nothing of the file but a position.
        where = (
            f"line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        )
        msg = (
            f"{label} is not readable as JSON ({where or type(error).__name__}); it is "
            "probably cut off or was edited. Download the export again."
        )
        raise ExportFormatError(msg, path=path) from None


def without_lone_surrogates(text: str) -> str:
    """Return a string that can be written as UTF-8: pairs joined, the rest replaced."""
    if text.isascii() or not _SURROGATE.search(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def clean_text(value: object) -> str:
    """Return a text that can be written, without space around it; else an empty one."""
    return without_lone_surrogates(value).strip() if isinstance(value, str) else ""


def dicts_of(values: object) -> Iterator[dict[str, Any]]:
    """Yield the objects of a list; nothing for any other JSON value."""
    for value in values if isinstance(values, list) else ():
        if isinstance(value, dict):
            yield value
