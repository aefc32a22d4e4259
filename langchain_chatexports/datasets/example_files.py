"""Read files of examples, each example with its origin."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from langchain_chatexports.datasets.card import CardNotes, hash_source
from langchain_chatexports.datasets.examples import TrainingExample
from langchain_chatexports.datasets.formats.containers import row_digest
from langchain_chatexports.datasets.formats.trace_file import (
    read_header,
    read_trace,
    trace_path,
)
from langchain_chatexports.datasets.jsonl import json_line, read_jsonl
from langchain_chatexports.datasets.trace import (
    UNKNOWN_ORIGIN,
    ExampleOrigin,
    TracedExample,
)


def read_prepared(path: str | Path) -> Iterator[TracedExample]:
    """Read a file of examples, each with its origin if a trace has it."""
    path = Path(path).expanduser()
    origins = _origins(path)
    for row in read_jsonl(path):
        # Not checked here: validation, formats and the tuner do it.
        example = cast("TrainingExample", row)
        listed = origins.get(row_digest(json_line(row))) if origins else None
        yield TracedExample(example, listed.pop(0) if listed else UNKNOWN_ORIGIN)


def facts_of_prepared(path: str | Path) -> dict[str, Any]:
    """Return the facts of the data card of a file of examples, or the file's hash."""
    path = Path(path).expanduser()
    found = _set_of(path)
    if found is None:
        return CardNotes(sources=[hash_source(path, platform="examples")]).to_dict()
    facts = read_header(found).facts
    return facts if found == path else {**facts, "stages": []}


def _set_of(path: Path) -> Path | None:
    """Return the set that a file of rows is, or is a part of, if there is a trace."""
    if trace_path(path).is_file():
        return path
    folder = path.absolute().parent
    if trace_path(folder).is_file() and path.name in read_header(folder).files:
        return folder
    return None


def _origins(path: Path) -> dict[str, list[ExampleOrigin]]:
    found = _set_of(path)
    origins: dict[str, list[ExampleOrigin]] = {}
    if found is not None:
        for row in read_trace(found):
            if row.file == path.name:
                origins.setdefault(row.digest, []).append(row.origin)
    return origins
