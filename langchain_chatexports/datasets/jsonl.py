"""Read and write JSON Lines in UTF-8."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from langchain_chatexports._files import atomic_file, translate_write_errors
from langchain_chatexports._regular_files import open_regular_file, translate_os_errors
from langchain_chatexports.exceptions import ExportFormatError

# `json.dumps` with options creates an encoder on each call.
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
# Some readers split lines with `str.splitlines`, which also splits at these.
_ESCAPED_LINE_ENDS = {"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_encode_text = msgspec.json.Encoder().encode
_MESSAGE_PREFIXES = {
    role: f'{{"role": "{role}", "content": '.encode()
    for role in ("system", "user", "assistant")
}


def write_jsonl(
    examples: Iterable[Mapping[str, Any]], path_or_buffer: str | Path | BinaryIO
) -> int:
    """Write examples as JSON Lines, deterministically.

    A file is written atomically and is readable only by its owner. Lone surrogates,
    which UTF-8 cannot encode, become U+FFFD.

    Args:
        examples: The examples; an iterable is read once.
        path_or_buffer: The file to write or replace, or a binary buffer.

    Returns:
        The number of examples written.

    Raises:
        ExportNotFoundError: If the file's folder does not exist.
        ExportAccessError: If writing there is not permitted.
        ExportFormatError: If the path is a folder or inside a file, its name is too
            long, or the disk is full.
        TypeError: If the buffer is a text buffer, or an example has values that JSON
            does not support.
    """
    if isinstance(path_or_buffer, (str, os.PathLike)):
        path = Path(path_or_buffer).expanduser()
        with translate_write_errors(path) as pass_errors, atomic_file(path) as file:
            return _write_lines(pass_errors(examples), file)
    return _write_lines(examples, path_or_buffer)


def read_jsonl(path: str | Path) -> Iterator[dict[str, Any]]:
    r"""Read a JSON Lines file lazily.

    Lines end at `\n` only. A byte order mark, `\r` and empty lines are ignored.

    Args:
        path: The file; `~` is expanded.

    Yields:
        One object per line.

    Raises:
        ExportNotFoundError: If the file does not exist.
        ExportAccessError: If reading it is not permitted.
        ExportFormatError: If it is a folder, or a line is not a JSON object. The
            message contains the line number, but not the line.
    """
    path = Path(path).expanduser()
    with _open(path) as file:
        for number, line in enumerate(file, 1):
            data = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if data.strip():
                yield _parse_line(data, number, path)


def _open(path: Path) -> BinaryIO:
    with translate_os_errors(path, "Check its permissions."):
        if not path.is_dir():
            return open_regular_file(path)
    msg = f"{path} is a folder. Pass the path to a JSON Lines file in it."
    raise ExportFormatError(msg)


def _parse_line(line: bytes, number: int, path: Path) -> dict[str, Any]:
    # `from None`: the decoder's errors contain the line.
    try:
        value = json.loads(line.decode())
    except UnicodeDecodeError:
        msg = f"Line {number} of {path} is not UTF-8. Save the file as UTF-8."
        raise ExportFormatError(msg) from None
    except (ValueError, RecursionError):
        msg = f"Line {number} of {path} is not JSON. Each line must be one JSON object."
        raise ExportFormatError(msg) from None
    if not isinstance(value, dict):
        msg = (
            f"Line {number} of {path} is not a JSON object. "
            "Each line must be one example, such as {'messages': [...]}."
        )
        raise ExportFormatError(msg)
    return value


def _write_lines(examples: Iterable[Mapping[str, Any]], buffer: BinaryIO) -> int:
    count = 0
    for example in examples:
        buffer.write(json_line(example))
        count += 1
    return count


def json_line(example: Mapping[str, Any]) -> bytes:
    """Encode an example as a JSON line, deterministically."""
    try:
        line = _encode_messages(example)
    except (AttributeError, KeyError, TypeError, ValueError):
        # More than roles and text, or a lone surrogate.
        line = _encode_any(example)
    for line_end, escape in () if line.isascii() else _ESCAPED_LINE_ENDS.items():
        line = line.replace(line_end.encode(), escape.encode())
    return line


def _encode_messages(example: Mapping[str, Any]) -> bytes:
    """Encode an example of roles and text, twice as fast as `_encode_any`."""
    messages = example["messages"]
    if len(example) > 1 or not messages:
        raise TypeError
    parts: list[bytes] = []
    for message in messages:
        (role_key, role), (content_key, content) = message.items()
        if (role_key, content_key) != ("role", "content") or type(content) is not str:
            raise TypeError
        parts.append(_MESSAGE_PREFIXES[role] + _encode_text(content))
    body = b"}, ".join(parts)
    return b"".join((b'{"messages": [', body, b"}]}\n"))


def _encode_any(example: Mapping[str, Any]) -> bytes:
    text = _encode(example)
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:
        # A round trip through UTF-16 joins surrogate pairs and replaces lone ones.
        clean_text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return clean_text.encode() + b"\n"
