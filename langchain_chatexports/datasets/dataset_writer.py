"""Write prepared examples as a set with a data card and a trace."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from langchain_chatexports._files import is_pipe
from langchain_chatexports.chat_loaders.counts import Counts
from langchain_chatexports.chat_loaders.reading import Reading
from langchain_chatexports.datasets.card import (
    EXAMPLES,
    CardNotes,
    SourceFile,
    hash_source,
)
from langchain_chatexports.datasets.formats import (
    FORMATS,
    PARQUET,
    SPLIT_NAMES,
    FormatName,
    require_duckdb,
)
from langchain_chatexports.datasets.jsonl import write_jsonl
from langchain_chatexports.datasets.preparation import Preparation, PrepareOptions
from langchain_chatexports.datasets.splits import split_examples
from langchain_chatexports.datasets.write import WrittenDataset, write_dataset
from langchain_chatexports.exceptions import ExportFormatError


@dataclass(frozen=True)
class DatasetOptions:
    """Options for writing a set."""

    format: FormatName = "openai"
    split: bool = False
    """Whether to split into train, validation and test."""

    def check_extras(self) -> None:
        """Raise an error if the format needs an extra that is not installed."""
        if FORMATS[self.format].suffix == PARQUET:
            require_duckdb()

    def adapt(self, options: PrepareOptions) -> PrepareOptions:
        """Adapt prepare options: a split keeps the last messages of conversations."""
        if not self.split or options.keep_tail is not None:
            return options
        return replace(options, keep_tail=True)


class PreparedDataset(NamedTuple):
    """The result of `write_prepared`."""

    preparation: Preparation
    dataset: WrittenDataset | None
    """The written set; `None` if it was written to a pipe."""

    empty_splits: tuple[str, ...] = ()
    """The names of held-out splits without examples."""

    repeated: int = 0
    """The number of examples skipped because they repeat older text."""

    @property
    def training_file(self) -> Path | None:
        """The file for local fine-tuning, if the set has one."""
        if self.dataset is None or self.dataset.format != "openai":
            return None
        path = self.dataset.path
        return path / next(iter(self.dataset.files)) if path.is_dir() else path


def write_prepared(
    preparation: Preparation, output: Path, options: DatasetOptions
) -> PreparedDataset:
    """Write the examples to a file, a folder or a pipe."""
    counts: list[Counts] = []
    examples = preparation.iter_examples(counts)
    # Pass generators, since the exports are read while the set is written.
    notes = CardNotes(_hash_sources(preparation), _iter_passes(preparation), counts)
    empty_splits: list[str] = []
    repeated = 0
    dataset: WrittenDataset | None = None
    if is_pipe(output):
        if options.split or options.format != "openai":
            msg = (
                f"{output} is a pipe, which only supports JSON Lines. Omit --split and "
                "--format."
            )
            raise ExportFormatError(msg)
        write_jsonl((item.example for item in examples), output)
    elif options.split:
        splits = split_examples(examples)
        dataset = write_dataset(splits, output, format=options.format, notes=notes)
        empty_splits = [
            name for name in SPLIT_NAMES[1:] if name not in splits.non_empty()
        ]
        repeated = splits.skipped.total()
    else:
        dataset = write_dataset(examples, output, format=options.format, notes=notes)
    if preparation.options.redaction:
        preparation.options.redaction.write_key_file()
    return PreparedDataset(preparation, dataset, tuple(empty_splits), repeated)


def _hash_sources(preparation: Preparation) -> Iterator[SourceFile]:
    if preparation.has_example_files:
        yield from (hash_source(p, platform=EXAMPLES) for p in preparation.paths)
    for export, reading in preparation.passes:
        platform = reading.summary().platform
        yield from (hash_source(path, platform=platform) for path in export.paths)


def _iter_passes(preparation: Preparation) -> Iterator[Reading]:
    # Evaluated lazily, since `passes` is replaced when reading begins.
    yield from preparation.readings
