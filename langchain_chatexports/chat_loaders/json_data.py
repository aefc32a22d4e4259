"""JSON of exports: parse it, and repair what cannot be written as UTF-8."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import orjson

from langchain_chatexports.exceptions import ExportFormatError

NOT_DECODED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""The errors of msgspec for a record that is damaged or of another shape."""

_T = TypeVar("_T")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MESSAGES_KEY = re.compile(rb'"messages"\s*:')
_SURROGATE = re.compile("[\ud800-\udfff]")
# An undecoded item of a list takes up 64 bytes, and real ones have at least 20.
_MIN_BYTES_PER_VALUE = 12
_MAX_VALUES = 1_000_000


def decode_record(decoder: msgspec.json.Decoder[_T], raw: msgspec.Raw) -> _T | None:
    """Decode a record; `None` if it is damaged, or of another shape."""
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
    """Decode a JSON file into the types of a format; `label` names it in errors.

    Lists of records are best declared as `list[msgspec.Raw]`, and decoded one by one: a
    bad record then costs itself only.
    """
    check_value_count(data, label, path)
    try:
        return decoder.decode(data)
    except msgspec.ValidationError:
        raise
    except NOT_DECODED:
        return decoder.decode(_repaired(data, label, path))


def decode_head(head: bytes, decoder: msgspec.json.Decoder[_T]) -> _T | None:
    """Decode the head of an object, up to its `messages`; `None` if it is another."""
    head = head.removeprefix(_BYTE_ORDER_MARK).lstrip()
    found = _MESSAGES_KEY.search(head) if head.startswith(b"{") else None
    if found is None:
        return None
    before = head[: found.start()].rstrip().removesuffix(b",") + b"}"
    for repair in (bytes, _repaired):
        with suppress(*NOT_DECODED, ExportFormatError):
            return decoder.decode(repair(before))
    return None


def check_value_count(data: bytes, label: str, path: Path | None = None) -> None:
    """Raise an `ExportFormatError` if a file has more values than an export's can."""
    if data.count(b",") > max(_MAX_VALUES, len(data) // _MIN_BYTES_PER_VALUE):
        msg = f"{label} has more values than an export's file can. Download it again."
        raise ExportFormatError(msg, path=path)


def _repaired(data: bytes, label: str = "", path: Path | None = None) -> bytes:
    """Return the JSON without halves of emoji, NaN, and other encodings than UTF-8."""
    try:
        value = json.loads(data, parse_constant=lambda _: None)
        text = json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError) as error:
        raise not_json(error, label, path) from None
    return without_lone_surrogates(text).encode()


def read_json(data: bytes, label: str, path: Path | None = None) -> Any:
    """Parse a JSON file; an `ExportFormatError` names it by `label`."""
    with suppress(orjson.JSONDecodeError):
        return orjson.loads(data)
    # Halves of emoji, another encoding than UTF-8, NaN: it takes more, in twice the
    # time, and says where the error is.
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise not_json(error, label, path) from None


def not_json(error: Exception, label: str, path: Path | None) -> ExportFormatError:
    """Return the error for a file that is not JSON."""
    # The error's own text shows nothing of the file but a position.
    where = f"line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
    msg = (
        f"{label} is not readable as JSON ({where or type(error).__name__}); it is "
        "probably cut off or was edited. Download the export again."
    )
    return ExportFormatError(msg, path=path)


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
