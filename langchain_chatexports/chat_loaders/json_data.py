"""Parse the JSON of exports, and repair text that is not valid UTF-8."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from langchain_chatexports.exceptions import ExportFormatError

NOT_DECODED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""The errors of msgspec for damaged or unexpected JSON."""

_T = TypeVar("_T")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MESSAGES_KEY = re.compile(rb'"messages"\s*:')
_SURROGATE = re.compile("[\ud800-\udfff]")


def decode_record(decoder: msgspec.json.Decoder[_T], raw: msgspec.Raw) -> _T | None:
    """Decode a record; `None` if it is damaged or has another shape."""
    try:
        return decoder.decode(raw)
    except NOT_DECODED:
        return None


def decode_json(
    data: bytes,
    decoder: msgspec.json.Decoder[_T],
    label: str,
    path: Path | None = None,
) -> _T:
    """Decode a JSON file into a format's types; errors name it by `label`.

    Declare lists of records as `list[msgspec.Raw]` and decode the records one by one,
    so that a bad record does not affect the others.
    """
    try:
        return decoder.decode(data)
    except msgspec.ValidationError:
        raise
    except NOT_DECODED:
        return decoder.decode(_repaired(data, label, path))


def decode_head(head: bytes, decoder: msgspec.json.Decoder[_T]) -> _T | None:
    """Decode the keys of an object before its `messages`; `None` if it has none."""
    head = head.removeprefix(_BYTE_ORDER_MARK).lstrip()
    found = _MESSAGES_KEY.search(head) if head.startswith(b"{") else None
    if found is None:
        return None
    before = head[: found.start()].rstrip().removesuffix(b",") + b"}"
    for repair in (bytes, _repaired):
        with suppress(*NOT_DECODED, ExportFormatError):
            return decoder.decode(repair(before))
    return None


def _repaired(data: bytes, label: str = "", path: Path | None = None) -> bytes:
    """Return JSON in UTF-8 without NaN and lone surrogates."""
    try:
        value = json.loads(data, parse_constant=lambda _: None)
        text = json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError) as error:
        raise not_json(error, label, path) from None
    return without_lone_surrogates(text).encode()


def not_json(error: Exception, label: str, path: Path | None) -> ExportFormatError:
    """Return the error for a file that is not JSON."""
    # The error quotes nothing from the file; it has a position only.
    where = f"line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
    msg = (
        f"{label} is not valid JSON ({where or type(error).__name__}). It was probably "
        "truncated or edited. Download the export again."
    )
    return ExportFormatError(msg, path=path)


def without_lone_surrogates(text: str) -> str:
    """Return a string that can be encoded as UTF-8, with U+FFFD where needed."""
    if text.isascii() or not _SURROGATE.search(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def clean_text(value: object) -> str:
    """Return a string stripped and valid as UTF-8; empty for any other value."""
    return without_lone_surrogates(value).strip() if isinstance(value, str) else ""


def dicts_of(values: object) -> Iterator[dict[str, Any]]:
    """Yield the objects in a list; nothing for any other JSON value."""
    for value in values if isinstance(values, list) else ():
        if isinstance(value, dict):
            yield value
