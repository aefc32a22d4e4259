"""Read files of examples, each example with its origin."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from langchain_chatexports.datasets.card import CardFacts, hash_source
from langchain_chatexports.datasets.examples import TrainingExample
from langchain_chatexports.datasets.jsonl import json_line, read_jsonl
from langchain_chatexports.datasets.trace import (
    UNKNOWN_ORIGIN,
    ExampleOrigin,
    TracedExample,
)
from langchain_chatexports.datasets.trace_file import (
    read_header,
    read_trace,
    row_digest,
    trace_path,
)


def read_prepared(path: str | Path) -> Iterator[TracedExample]:
    """Read a file of examples, each with its origin if a trace has it."""
    path = Path(path).expanduser()
    origins: defaultdict[str, list[ExampleOrigin]] = defaultdict(list)
    if (found := _set_of(path)) is not None:
        for row in read_trace(found):
            if row.file == path.name:
                origins[row.digest].append(row.origin)
    for example in read_jsonl(path):
        listed = origins.get(row_digest(json_line(example))) if origins else None
        origin = listed.pop(0) if listed else UNKNOWN_ORIGIN
        # Not checked here: validation, formats and the tuner do it.
        yield TracedExample(cast("TrainingExample", example), origin)


def facts_of_prepared(path: str | Path) -> CardFacts:
    """Return the facts of the data card of a file of examples, or the file's hash."""
    path = Path(path).expanduser()
    found = _set_of(path)
    if found is None:
        return CardFacts(sources=[hash_source(path, platform="examples")])
    facts = read_header(found).facts
    if found != path:
        facts.stages = []  # They are those of the whole set.
    return facts


def _set_of(path: Path) -> Path | None:
    """Return the set that a file of rows is, or is a part of, if there is a trace."""
    if trace_path(path).is_file():
        return path
    folder = path.absolute().parent
    if trace_path(folder).is_file() and path.name in read_header(folder).files:
        return folder
    return None
