"""The trace: a private file beside a set with the origin of each row.

It is beside the set and not in it, because a set may be uploaded, and the trace, which
holds names and ids, must not be. JSON lines: a header, then a line for each row in the
order of the files.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import msgspec

from langchain_chatexports._regular_files import open_regular_file
from langchain_chatexports.datasets.card import CardFacts
from langchain_chatexports.datasets.formats import FORMATS, PARTS
from langchain_chatexports.datasets.trace import ExampleOrigin
from langchain_chatexports.exceptions import ExportFormatError, ExportNotFoundError

_VERSION = 1
_DIGEST_BYTES = 12
_T = TypeVar("_T")


class TraceHeader(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The header of a trace: facts of the set as a whole."""

    chatexports_trace: int = _VERSION
    format: str
    is_folder: bool
    files: list[str]
    """The files of rows."""

    hashes: list[str] = []
    """SHA-256 of each version of each file: what fine-tuning jobs may have used."""

    facts: CardFacts = msgspec.field(default_factory=CardFacts)


class TraceRow(msgspec.Struct, frozen=True):
    """The origin of one row of a set."""

    file: str
    digest: str
    origin: ExampleOrigin


def trace_path(path: Path) -> Path:
    """Return the path of a set's trace."""
    return path.with_name(f"{path.name}.trace.jsonl")


def card_path(path: Path) -> Path:
    """Return the path of a set's data card."""
    return path.with_name(f"{path.name}.card.md")


def row_digest(line: bytes) -> str:
    """Return the digest that identifies a row, from its line of JSON."""
    return hashlib.blake2b(line.rstrip(b"\n"), digest_size=_DIGEST_BYTES).hexdigest()


def trace_line(values: TraceHeader | TraceRow) -> bytes:
    """Return the line of a row, or of the header."""
    try:
        return msgspec.json.encode(values) + b"\n"
    except (
        UnicodeEncodeError,
        OverflowError,
    ):  # Half of a surrogate pair, for example.
        return json.dumps(msgspec.to_builtins(values)).encode("ascii") + b"\n"


def read_header(path: Path) -> TraceHeader:
    """Read the header of the trace of a set, given by the set's path."""
    with _opened(path) as file:
        return _header(file, path)


def read_trace(path: Path) -> Iterator[TraceRow]:
    """Yield the origins of a set's rows, in the order of the files."""
    with _opened(path) as file:
        _header(file, path)
        for line in file:
            yield _decoded(line, TraceRow, path)


def unreadable_trace(path: Path) -> ExportFormatError:
    """Return the error of a trace that another program has changed."""
    msg = (
        f"{trace_path(path)} is not a trace that this version can read. "
        "Write the set again."
    )
    return ExportFormatError(msg)


def _opened(path: Path) -> BinaryIO:
    try:
        return open_regular_file(trace_path(path))
    except FileNotFoundError as error:
        msg = (
            f"There is no trace beside {path} ({trace_path(path).name}), so it is "
            "unknown which rows come from whom. Write the set again, with its trace: "
            "chatexports prepare, or write_dataset."
        )
        raise ExportNotFoundError(msg) from error


def _header(file: BinaryIO, path: Path) -> TraceHeader:
    header = _decoded(file.readline(), TraceHeader, path)
    names = header.files
    known = FORMATS.get(header.format)
    # Whatever a trace names is replaced with the set.
    is_sound = header.chatexports_trace == _VERSION and known is not None
    if is_sound and known is not None and header.is_folder:
        files = {known.file_of(part) for part in PARTS}
        is_sound = files.issuperset(names) and len(set(names)) == len(names)
    elif is_sound:
        is_sound = len(names) == 1 and _is_file_name(names[0])
    if not is_sound:
        raise unreadable_trace(path)
    return header


def _is_file_name(name: str) -> bool:
    # Folders, drives and `.` are no part of a path's name.
    return Path(name).name == name and name not in {"", ".."} and "\0" not in name


def _decoded(line: bytes, kind: type[_T], path: Path) -> _T:
    try:
        # The standard library reads halves of surrogate pairs, too.
        return msgspec.convert(json.loads(line), kind, dec_hook=_counter)
    except (ValueError, RecursionError):
        raise unreadable_trace(path) from None


def _counter(_: type, value: Any) -> Counter[str]:
    return Counter(msgspec.convert(value, dict[str, int]))
