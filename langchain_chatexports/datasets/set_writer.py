"""Write the examples of a preparation as a set with data card and trace."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from langchain_chatexports._files import is_pipe
from langchain_chatexports.chat_loaders.counts import Counts, Reading
from langchain_chatexports.datasets.card import (
    EXAMPLES,
    CardNotes,
    SourceFile,
    hash_source,
)
from langchain_chatexports.datasets.formats import (
    FORMATS,
    PARQUET,
    FormatName,
    require_duckdb,
)
from langchain_chatexports.datasets.jsonl import write_jsonl
from langchain_chatexports.datasets.preparation import Preparation, PrepareOptions
from langchain_chatexports.datasets.splits import split_examples
from langchain_chatexports.datasets.write import WrittenSet, write_dataset
from langchain_chatexports.exceptions import ExportFormatError


@dataclass(frozen=True)
class SetOptions:
    """The options of a set."""

    format: FormatName = "openai"
    split: bool = False
    """Whether to split into train, validation and test."""

    def check_extras(self) -> None:
        """Raise an error if the format needs an extra that is not installed."""
        if FORMATS[self.format].suffix == PARQUET:
            require_duckdb()

    def adapted(self, options: PrepareOptions) -> PrepareOptions:
        """Return the options for sessions, adapted to the set.

        A split counts complete conversations, so their last messages are kept.
        """
        if not self.split or options.keep_tail is not None:
            return options
        return replace(options, keep_tail=True)


class PreparedSet(NamedTuple):
    """The result of `write_set`."""

    preparation: Preparation
    written: WrittenSet | None
    """The set; `None` if it was written to a pipe."""

    empty_parts: tuple[str, ...] = ()
    """Held-out parts without examples."""

    repeated: int = 0
    """The number of examples skipped because they repeat older texts."""

    @property
    def training_file(self) -> Path | None:
        """The file for local fine-tuning, if the set has one."""
        if self.written is None or self.written.format != "openai":
            return None
        path = self.written.path
        return path / next(iter(self.written.files)) if path.is_dir() else path


def write_set(
    preparation: Preparation, output: Path, options: SetOptions
) -> PreparedSet:
    """Read all examples, and write them to a file, a folder or a pipe."""
    counts: list[Counts] = []
    examples = preparation.traced(counts)
    # Generators, since the exports are read and counted while the set is written.
    notes = CardNotes(_sources(preparation), _passes(preparation), counts)
    empty: list[str] = []
    repeated = 0
    written: WrittenSet | None = None
    if is_pipe(output):
        if options.split or options.format != "openai":
            msg = f"{output} is not a file: leave --split and --format out."
            raise ExportFormatError(msg)
        write_jsonl((item.example for item in examples), output)
    elif options.split:
        splits = split_examples(examples)
        written = write_dataset(splits, output, format=options.format, notes=notes)
        empty = [name for name in ("validation", "test") if name not in splits.parts()]
        repeated = splits.skipped.total()
    else:
        written = write_dataset(examples, output, format=options.format, notes=notes)
    if preparation.options.redaction:
        preparation.options.redaction.write_key_file()
    return PreparedSet(preparation, written, tuple(empty), repeated)


def _sources(preparation: Preparation) -> Iterator[SourceFile]:
    if preparation.reads_examples:
        yield from (hash_source(p, platform=EXAMPLES) for p in preparation.paths)
    for export, counted in preparation.passes:
        platform = counted.summary().platform
        yield from (hash_source(path, platform=platform) for path in export.paths)


def _passes(preparation: Preparation) -> Iterator[Reading]:
    # `passes` is replaced when reading begins.
    for _, counted in preparation.passes:
        yield counted
