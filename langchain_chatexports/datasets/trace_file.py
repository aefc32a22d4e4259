"""The trace: a private file next to a set with the origin of each row.

It is a separate file, since it contains names and ids that must not be uploaded with
the set. It is a JSON Lines file: a header, then one line per row, in file order.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

import msgspec

from langchain_chatexports._regular_files import open_regular_file
from langchain_chatexports._translation import Sentence
from langchain_chatexports.datasets.card import CardMetadata
from langchain_chatexports.datasets.examples import TrainingExample
from langchain_chatexports.datasets.formats import FORMATS, SPLIT_NAMES
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
    """The header of a trace file: metadata of the set."""

    format: str
    is_folder: bool
    files: list[str]
    hashes: list[str] = []
    """The SHA-256 of each file version, to find the jobs that used it."""

    metadata: CardMetadata = msgspec.field(name="facts", default_factory=CardMetadata)

    @property
    def is_valid(self) -> bool:
        """Whether these are the file names of a set, which may be replaced."""
        if self.format not in FORMATS:
            return False
        if not self.is_folder:
            return len(self.files) == 1
        return {f"{name}.jsonl" for name in SPLIT_NAMES}.issuperset(self.files)


class TraceRow(msgspec.Struct, frozen=True):
    """The origin of a row in a set."""

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
    """Return the digest that identifies a row, given as a JSON line."""
    return hashlib.blake2b(line.rstrip(b"\n"), digest_size=_DIGEST_BYTES).hexdigest()


def trace_line(values: TraceHeader | TraceRow) -> bytes:
    """Encode the header or a row as a JSON line."""
    try:
        return msgspec.json.encode(values) + b"\n"
    except (UnicodeEncodeError, OverflowError):  # Lone surrogates, huge integers.
        return json.dumps(msgspec.to_builtins(values)).encode("ascii") + b"\n"


def read_header(path: Path) -> TraceHeader:
    """Read the trace header of the set at a path."""
    with _open(path) as file:
        return _read_header(file, path)


def read_trace(path: Path) -> Iterator[TraceRow]:
    """Yield the origins of a set's rows, in file order."""
    with _open(path) as file:
        _read_header(file, path)
        for line in file:
            yield _decode(line, TraceRow, path)


def _open(path: Path) -> BinaryIO:
    try:
        return open_regular_file(trace_path(path))
    except FileNotFoundError as error:
        msg = Sentence(
            "There is no trace next to {path} ({trace}), so the people in its rows are "
            "unknown. Write the set again with `chatexports prepare` or "
            "`write_dataset`.",
            path=path,
            trace=trace_path(path).name,
        )
        raise ExportNotFoundError(msg) from error


def _read_header(file: BinaryIO, path: Path) -> TraceHeader:
    header = _decode(file.readline(), TraceHeader, path)
    if not header.is_valid:
        raise _trace_error(path)
    return header


def _decode(line: bytes, kind: type[_T], path: Path) -> _T:
    try:
        # Unlike msgspec, the standard library reads lone surrogates.
        return msgspec.convert(json.loads(line), kind, dec_hook=_decode_counter)
    except (ValueError, RecursionError):
        raise _trace_error(path) from None


def _decode_counter(_: type, value: Any) -> Counter[str]:
    return Counter(msgspec.convert(value, dict[str, int]))


def _trace_error(path: Path) -> ExportFormatError:
    msg = f"{trace_path(path)} is not the trace of a set. Write the set again."
    return ExportFormatError(msg)


# Example files


def read_prepared(path: str | Path) -> Iterator[TracedExample]:
    """Read an example file, with origins if there is a trace."""
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
        matches = origins.get(row_digest(json_line(example))) if origins else None
        origin = matches.pop(0) if matches else UNKNOWN_ORIGIN
        # Formats and the tuner validate it.
        yield TracedExample(cast("TrainingExample", example), origin)
