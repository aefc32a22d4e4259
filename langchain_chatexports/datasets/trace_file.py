"""The trace: a private file next to a set with the origin of each row.

It is a separate file because it contains names and ids, and must not be uploaded with
the set. Its JSON lines are a header, then one line per row, in the order of the files.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

import msgspec

from langchain_chatexports._regular_files import open_regular_file
from langchain_chatexports.datasets.card import CardFacts
from langchain_chatexports.datasets.examples import TrainingExample
from langchain_chatexports.datasets.formats import FORMATS, PARTS
from langchain_chatexports.datasets.jsonl import json_line, read_jsonl
from langchain_chatexports.datasets.trace import (
    UNKNOWN_ORIGIN,
    ExampleOrigin,
    TracedExample,
)
from langchain_chatexports.exceptions import ExportFormatError, ExportNotFoundError

_DIGEST_BYTES = 12
_T = TypeVar("_T")


class TraceHeader(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The header of a trace: facts of the set as a whole."""

    format: str
    is_folder: bool
    files: list[str]
    # The SHA-256 of all versions of the files, to find the jobs that used them.
    hashes: list[str] = []
    facts: CardFacts = msgspec.field(default_factory=CardFacts)

    @property
    def is_sound(self) -> bool:
        """Whether its file names are those of a set, and so safe to replace."""
        known = FORMATS.get(self.format)
        if known is None:
            return False
        if not self.is_folder:
            return len(self.files) == 1
        return {f"{part}{known.suffix}" for part in PARTS}.issuperset(self.files)


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
    """Return the line of the header or of a row."""
    try:
        return msgspec.json.encode(values) + b"\n"
    except (UnicodeEncodeError, OverflowError):  # For example a lone surrogate.
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


def _opened(path: Path) -> BinaryIO:
    try:
        return open_regular_file(trace_path(path))
    except FileNotFoundError as error:
        msg = (
            f"There is no trace next to {path} ({trace_path(path).name}), so the "
            "people of its rows are unknown. Write the set again with its trace: "
            "chatexports prepare, or write_dataset."
        )
        raise ExportNotFoundError(msg) from error


def _header(file: BinaryIO, path: Path) -> TraceHeader:
    header = _decoded(file.readline(), TraceHeader, path)
    if not header.is_sound:
        raise _unreadable(path)
    return header


def _decoded(line: bytes, kind: type[_T], path: Path) -> _T:
    try:
        # The standard library also reads lone surrogates.
        return msgspec.convert(json.loads(line), kind, dec_hook=_counter)
    except (ValueError, RecursionError):
        raise _unreadable(path) from None


def _counter(_: type, value: Any) -> Counter[str]:
    return Counter(msgspec.convert(value, dict[str, int]))


def _unreadable(path: Path) -> ExportFormatError:
    msg = f"{trace_path(path)} is not the trace of a set. Write the set again."
    return ExportFormatError(msg)


# Files of examples


def read_prepared(path: str | Path) -> Iterator[TracedExample]:
    """Read a file of examples, with their origins if there is a trace."""
    path = Path(path).expanduser()
    origins: defaultdict[str, list[ExampleOrigin]] = defaultdict(list)
    folder = path.absolute().parent
    if trace_path(path).is_file():
        rows = read_trace(path)
    elif trace_path(folder).is_file():
        rows = (row for row in read_trace(folder) if row.file == path.name)
    else:
        rows = iter(())
    for row in rows:
        origins[row.digest].append(row.origin)
    for example in read_jsonl(path):
        listed = origins.get(row_digest(json_line(example))) if origins else None
        origin = listed.pop(0) if listed else UNKNOWN_ORIGIN
        # Not validated here, but by formats and the tuner.
        yield TracedExample(cast("TrainingExample", example), origin)
