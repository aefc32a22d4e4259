"""The trace: a private file beside a set with the origin of each row.

It is beside the set and not in it, because a set may be uploaded, and the trace, which
holds names and ids, must not be. JSON lines: a header, then a line for each row in the
order of the files.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import orjson
from pydantic import TypeAdapter
from typing_extensions import TypedDict

from langchain_chatexports._regular_files import open_regular_file
from langchain_chatexports.datasets.formats.containers import new_private_file
from langchain_chatexports.datasets.formats.trainer_formats import FORMATS
from langchain_chatexports.datasets.trace import ExampleOrigin
from langchain_chatexports.exceptions import ExportFormatError, ExportNotFoundError

_KIND = "chatexports_trace"
_NO_NAMES = frozenset({"", ".."})
_VERSION = 1


class TraceRow(NamedTuple):
    """The origin of one row of a set."""

    file: str
    digest: str
    origin: ExampleOrigin


class _SourceFacts(TypedDict):
    platform: str
    sha256: str
    bytes: int


class _FileFacts(TypedDict):
    rows: int
    bytes: int
    sha256: str


class _StageFacts(TypedDict):
    name: str
    unit: str
    found: int
    kept: int
    skipped: dict[str, int]
    added: dict[str, int]
    replaced: dict[str, int]
    sessions_found: int
    sessions_kept: int


class _CardFacts(TypedDict, total=False):
    sources: list[_SourceFacts]
    people: int
    first: str | None
    last: str | None
    steps: list[str]
    redacted: bool
    replaced: dict[str, int]
    consent: str | None
    stages: list[_StageFacts]
    format: str
    files: dict[str, _FileFacts]
    forgotten: int
    forgotten_names: list[str]


_FACTS = TypeAdapter(_CardFacts)


@dataclass
class TraceHeader:
    """The header of a trace: facts of the set as a whole."""

    format: str
    is_folder: bool
    files: list[str]
    """The files of rows."""

    hashes: list[str] = field(default_factory=list)
    """SHA-256 of each version of each file: what fine-tuning jobs may have used."""

    facts: dict[str, Any] = field(default_factory=dict)
    """The data card's facts."""


def trace_path(path: Path) -> Path:
    """Return the path of a set's trace."""
    return path.with_name(f"{path.name}.trace.jsonl")


def card_path(path: Path) -> Path:
    """Return the path of a set's data card."""
    return path.with_name(f"{path.name}.card.md")


def trace_line(row: TraceRow) -> bytes:
    """Return a row's line."""
    values = {"file": row.file, "digest": row.digest, **row.origin.to_dict()}
    try:
        return orjson.dumps(values, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # A name with half of a surrogate pair, for example.
        return json.dumps(values).encode("ascii") + b"\n"


def write_trace(path: Path, header: TraceHeader, rows: BinaryIO) -> None:
    """Write a trace: the header, and the lines of the rows."""
    first = {_KIND: _VERSION, **vars(header)}
    with new_private_file(path) as file:
        file.write(json.dumps(first).encode("ascii") + b"\n")
        shutil.copyfileobj(rows, file)


def read_header(path: Path) -> TraceHeader:
    """Read the header of the trace of a set, given by the set's path."""
    with _opened(path) as file:
        return _header(file, path)


def read_trace(path: Path) -> Iterator[TraceRow]:
    """Yield the origins of a set's rows, in the order of the files."""
    with _opened(path) as file:
        _header(file, path)
        for line in file:
            yield _row(line, path)


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
    try:
        values = json.loads(file.readline())
        if values.pop(_KIND) != _VERSION:
            raise ValueError  # noqa: TRY301 - one message for all that can be wrong
        header = TraceHeader(**values)
        _FACTS.validate_python(header.facts, strict=True)
        if not _is_sound(header):
            raise ValueError  # noqa: TRY301 - as above
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise _no_trace(path) from None
    return header


def _is_sound(header: TraceHeader) -> bool:
    """Return whether a header is one that `write_trace` could have written."""
    names = header.files
    return (
        all(map(_is_file_name, names))
        and len(set(names)) == len(names)
        and isinstance(header.is_folder, bool)
        and header.format in FORMATS
        and (
            # Whatever a trace names is replaced with the folder.
            FORMATS[header.format].files().issuperset(names)
            if header.is_folder
            else len(header.files) == 1
        )
        and all(isinstance(digest, str) for digest in header.hashes)
    )


def _is_file_name(name: object) -> bool:
    """Return whether a name is that of a file in the set's own folder."""
    # Folders, drives and `.` are no part of a path's name.
    return (
        isinstance(name, str)
        and Path(name).name == name
        and name not in _NO_NAMES
        and "\0" not in name
    )


def _row(line: bytes, path: Path) -> TraceRow:
    try:
        values = json.loads(line)
        row = TraceRow(
            values["file"], values["digest"], ExampleOrigin.from_dict(values)
        )
        people = row.origin.senders + row.origin.participants
        if not all(isinstance(text, str) for text in (row.file, row.digest, *people)):
            raise TypeError  # noqa: TRY301 - one message for all that can be wrong
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise _no_trace(path) from None
    return row


def _no_trace(path: Path) -> ExportFormatError:
    msg = (
        f"{trace_path(path)} is not a trace that this version can read. "
        "Write the set again."
    )
    return ExportFormatError(msg)
