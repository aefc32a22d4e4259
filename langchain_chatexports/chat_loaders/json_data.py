"""Parse the JSON of exports, and repair invalid UTF-8."""

import json
import re
from codecs import BOM_UTF8
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from langchain_chatexports.exceptions import ExportFormatError

DECODE_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""The errors that msgspec raises for damaged or unexpected JSON."""

_T = TypeVar("_T")
_MESSAGES_KEY = re.compile(rb'"messages"\s*:')
_MIN_DENSE_BYTES, _MIN_BYTES_PER_VALUE = 1 << 20, 8
_MIN_DENSE_RECORD_BYTES, _MAX_RECORD_VALUES = 1 << 16, 20_000
_SURROGATE = re.compile("[\ud800-\udfff]")


def check_density(data: bytes, label: str, path: Path | None = None) -> None:
    """Raise an error if a file has far more values than text, before it is split.

    A few bytes of JSON become an object of a hundred.
    """
    if len(data) > _MIN_DENSE_BYTES:
        values = data.count(b",")
        if values * _MIN_BYTES_PER_VALUE > len(data):
            msg = (
                f"{label} has {values:,} values in {len(data):,} bytes, which is not "
                "plausible for a chat. Download the export again."
            )
            raise ExportFormatError(msg, path=path)


def is_dense_record(raw: msgspec.Raw | bytes) -> bool:
    """Return whether a record has more objects than any message, such as reactions."""
    if len(raw) < _MIN_DENSE_RECORD_BYTES:
        return False
    data = bytes(raw)
    return data.count(b"{") + data.count(b"[") > _MAX_RECORD_VALUES


def decode_record(decoder: msgspec.json.Decoder[_T], raw: msgspec.Raw) -> _T | None:
    """Decode a record; `None` if it is damaged, too large or has another type."""
    if is_dense_record(raw):
        return None
    try:
        return decoder.decode(raw)
    except DECODE_ERRORS:
        return None


def decode_json(
    data: bytes, decoder: msgspec.json.Decoder[_T], label: str, path: Path | None = None
) -> _T:
    """Decode a JSON file; errors refer to it by `label`.

    To isolate damaged records, declare lists of records as `list[msgspec.Raw]` and
    decode each with `decode_record`.
    """
    data = data.removeprefix(BOM_UTF8)
    check_density(data, label, path)
    try:
        return decoder.decode(data)
    except msgspec.ValidationError:
        raise
    except DECODE_ERRORS:
        repaired = _repair(data, label, path)
    try:
        return decoder.decode(repaired)
    except msgspec.ValidationError:
        raise
    except DECODE_ERRORS as error:  # Such as the number 1e400.
        raise invalid_json_error(error, label, path) from None


def decode_head(head: bytes, decoder: msgspec.json.Decoder[_T]) -> _T | None:
    """Decode the keys that precede `messages`, from the beginning of a file.

    `None` if the file has no such keys.
    """
    head = head.removeprefix(BOM_UTF8).lstrip()
    match = _MESSAGES_KEY.search(head) if head.startswith(b"{") else None
    if match is None:
        return None
    preceding = head[: match.start()].rstrip().removesuffix(b",") + b"}"
    for repair in (bytes, _repair):
        with suppress(*DECODE_ERRORS, ExportFormatError):
            return decoder.decode(repair(preceding))
    return None


def _repair(data: bytes, label: str = "", path: Path | None = None) -> bytes:
    """Rewrite JSON as valid UTF-8, without NaN and lone surrogates."""
    try:
        value = json.loads(data, parse_constant=lambda _: None)
        text = json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError) as error:
        raise invalid_json_error(error, label, path) from None
    return replace_lone_surrogates(text).encode()


def invalid_json_error(
    error: Exception, label: str, path: Path | None
) -> ExportFormatError:
    """Create the error for invalid JSON."""
    # Report the position, but not the text.
    position = f"line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
    msg = (
        f"{label} is not valid JSON ({position or type(error).__name__}). It was "
        "probably truncated or edited. Download the export again."
    )
    return ExportFormatError(msg, path=path)


def replace_lone_surrogates(text: str) -> str:
    """Replace lone surrogates, which UTF-8 cannot encode, with U+FFFD."""
    if text.isascii() or not _SURROGATE.search(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def clean_text(value: object) -> str:
    """Strip a string and replace lone surrogates; empty for any other value."""
    return replace_lone_surrogates(value).strip() if isinstance(value, str) else ""


def iter_dicts(values: object) -> Iterator[dict[str, Any]]:
    """Yield the objects in a list, and nothing for any other value."""
    for value in values if isinstance(values, list) else ():
        if isinstance(value, dict):
            yield value
