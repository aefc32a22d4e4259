"""Write examples as a set with its data card and trace."""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from langchain_chatexports._files import is_pipe, translate_write_errors
from langchain_chatexports._parts import part_folder
from langchain_chatexports._terminal import plural
from langchain_chatexports._translation import _, ngettext, number
from langchain_chatexports.chat_loaders.counts import MERGED, Counts, sum_counts
from langchain_chatexports.datasets.card import (
    CardNotes,
    FileMetadata,
    card_markdown,
    describe_reason,
    hash_files,
)
from langchain_chatexports.datasets.formats import (
    DatasetFormat,
    FormatName,
    UnsupportedExampleError,
    count_trainable,
    dataset_format,
)
from langchain_chatexports.datasets.jsonl import json_line
from langchain_chatexports.datasets.splits import ExampleSplits
from langchain_chatexports.datasets.trace import UNKNOWN_ORIGIN, ExampleOrigin
from langchain_chatexports.datasets.trace_file import (
    TraceHeader,
    TraceRow,
    card_path,
    read_header,
    row_digest,
    trace_line,
    trace_path,
)
from langchain_chatexports.exceptions import ExportFormatError, TrainingDataError

AnyRecord: TypeAlias = Mapping[str, Any] | tuple[Mapping[str, Any], ExampleOrigin]
"""An example, with or without its origin."""

_BUFFER_BYTES = 1 << 20
# In the summary; the card lists all reasons.
_MAX_REASONS = 5
_NO_PROMPT = "no_prompt"


@dataclass(frozen=True)
class WrittenDataset:
    """Paths and counts of a written set.

    If the format requires a user message before an answer, answers without one are
    skipped with the reason `no_prompt`.
    """

    path: Path
    format: str
    files: Mapping[str, int]
    """Row counts by file name."""

    card: Path
    trace: Path
    examples: Counts
    """Counts of examples found and written."""

    answers: Counts
    """Counts of answers found and written, excluding those with weight 0."""

    stages: tuple[Counts, ...]
    """Counts of messages, sessions and examples at each stage, from the exports on."""

    @property
    def total(self) -> Counts | None:
        """Message totals; `None` if the stages were counted in different passes."""
        return sum_counts(self.stages)

    def to_dict(self) -> dict[str, Any]:
        """Return the paths and counts as JSON types."""
        return {
            "path": str(self.path),
            "format": self.format,
            "files": dict(self.files),
            "card": str(self.card),
            "trace": str(self.trace),
            "examples": self.examples.found,
            "examples_written": self.examples.kept,
            "examples_skipped": dict(self.examples.skipped),
            "answers": self.answers.found,
            "answers_written": self.answers.kept,
            "answers_skipped": dict(self.answers.skipped),
            "stages": [stage.to_dict() for stage in self.stages],
        }

    def __str__(self) -> str:
        """Format the paths and counts for a terminal."""
        total = self.total
        stages = [s for s in self.stages if s.unit != "messages" or not total]
        lines = [
            f"{self.path} ({self.format}): {plural(sum(self.files.values()), 'row')}",
            *map(str, [total, *stages] if total else stages),
            f"card: {self.card}",
            f"trace: {self.trace}",
        ]
        return "\n".join(lines)

    def summary(self, *, dialogues: int = 0) -> str:
        """Return a one-sentence summary of examples and skipped messages."""
        text = _example_count(self.examples.kept)
        if len(self.files) > 1:
            files = (f"{name} {number(rows)}" for name, rows in self.files.items())
            text += f" ({', '.join(files)})"
        skipped: list[str] = []
        if (total := self.total) is None:
            stages = (stage for stage in self.stages if stage.unit == "examples")
            examples = sum((stage.skipped for stage in stages), Counter[str]())
            skipped += _format_counts(examples, _example_count)
        else:
            parts = [ngettext("{count} message", "{count} messages", total.found)]
            if dialogues:
                talks = ngettext("{count} dialogue", "{count} dialogues", dialogues)
                parts.append(talks)
            text = _("{examples} from {source}", examples=text, source=", ".join(parts))
            # Merged messages keep their text.
            reasons = {key: n for key, n in total.skipped.items() if key != MERGED}
            skipped += _format_counts(reasons)
        skipped += _format_counts(self.answers.skipped, _answer_count)
        if not skipped:
            return f"{text}."
        return _(
            "{examples}; skipped: {reasons}.",
            examples=text,
            reasons=", ".join(skipped),
        )


def _format_counts(
    counts: Mapping[str, int], amount: Callable[[int], str] = number
) -> Iterator[str]:
    sorted_counts = sorted(counts.items(), key=lambda item: -item[1])
    for reason, count in sorted_counts[:_MAX_REASONS]:
        yield f"{amount(count)} {_(describe_reason(reason))}"
    if other_count := sum(count for _reason, count in sorted_counts[_MAX_REASONS:]):
        yield _("{count} for other reasons", count=other_count)


def _example_count(count: int) -> str:
    return ngettext("{count} example", "{count} examples", count)


def _answer_count(count: int) -> str:
    return ngettext("{count} answer", "{count} answers", count)


def write_dataset(
    examples: Iterable[AnyRecord] | ExampleSplits,
    path: str | Path,
    *,
    format: FormatName = "openai",
    notes: CardNotes | None = None,
) -> WrittenDataset:
    """Write examples as a set, with a data card and a trace.

    Examples are written to a file, splits to a folder. Nothing is written if an example
    cannot be read or written. The files are readable only by their owner, and replace
    an earlier set at the path. The data card, `<path>.card.md`, contains no message
    text. The trace, `<path>.trace.jsonl`, links each row to its session and messages:
    do not share it.

    Args:
        examples: Examples with or without their origins (`trace_examples`), or the
            result of `split_examples`. An iterable is read once.
        path: The file or folder to write.
        format: `openai` or `trl-prompt-completion`.
        notes: Sources and counts for the card.

    Returns:
        The paths and counts.

    Raises:
        ExportAccessError: If writing there is not permitted.
        ExportFormatError: If the path is a folder and the set is a file or the other
            way around, or the disk is full.
        ExportNotFoundError: If the path's folder does not exist.
        TrainingDataError: If there is nothing to write, or the format does not support
            some examples; the error lists them.
        ValueError: If the format is unknown.
    """
    row_format = dataset_format(format)
    path = Path(path).expanduser()
    notes = notes if notes is not None else CardNotes()
    is_folder = isinstance(examples, ExampleSplits)
    if isinstance(examples, ExampleSplits):
        splits: Mapping[str, Iterable[AnyRecord]] = examples.non_empty()
        split_stages = examples.stages
    else:
        splits, split_stages = {"train": examples}, ()
    names = {split: f"{split}.jsonl" if is_folder else path.name for split in splits}
    header = TraceHeader(format=format, is_folder=is_folder, files=list(names.values()))
    with translate_write_errors(path) as pass_errors:
        _check_target(path, is_folder=is_folder)
        encoder = _Encoder(row_format)
        with stage_dataset(path, header) as staged:
            for split, records in splits.items():
                staged.write(names[split], encoder.encode_rows(pass_errors(records)))
            encoder.check()
            # Iterating hashes the sources.
            sources = pass_errors(notes.sources)
            header.metadata = replace(notes, sources=sources).metadata()
            header.metadata.stages += [*split_stages, encoder.examples, encoder.answers]
            staged.publish()
    return WrittenDataset(
        path=path,
        format=format,
        files=staged.files,
        card=card_path(path),
        trace=trace_path(path),
        examples=encoder.examples,
        answers=encoder.answers,
        stages=tuple(header.metadata.stages),
    )


class _Encoder:
    """Encodes examples as rows of a format and counts them."""

    def __init__(self, row_format: DatasetFormat) -> None:
        self.examples = Counts(f"Written ({row_format.name})", "examples")
        self.answers = Counts(f"Written ({row_format.name})", "answers")
        self._problems: list[str] = []
        self._format = row_format

    def encode_rows(
        self, records: Iterable[AnyRecord]
    ) -> Iterator[tuple[bytes, ExampleOrigin]]:
        """Yield rows as JSON Lines with their origins."""
        for record in records:
            example, origin = (
                record if isinstance(record, tuple) else (record, UNKNOWN_ORIGIN)
            )
            self.examples.found += 1
            try:
                rows = [*self._format.encode(example)]
            except UnsupportedExampleError as error:
                self._problems.append(f"line {self.examples.found}: {error}")
                continue
            for row, _origin in rows:
                yield json_line(row), origin
            found = count_trainable(example)
            kept = sum(row.answers for row in rows)
            self.answers.found += found
            self.answers.kept += kept
            self.answers.skip(_NO_PROMPT, found - kept)
            self.examples.kept += bool(rows)
            self.examples.skip(_NO_PROMPT, not rows)

    def check(self) -> None:
        """Raise an error if examples are unsupported or there is nothing to write."""
        if self._problems:
            msg = f"The format {self._format.name!r} does not support all examples:"
            raise TrainingDataError(msg, self._problems)
        if not self.examples.kept:
            msg = (
                f"There is nothing to write: none of {self.examples.found} examples "
                f"can be encoded in the format {self._format.name!r}."
            )
            raise TrainingDataError(msg)


@contextmanager
def stage_dataset(path: Path, header: TraceHeader) -> "Iterator[StagedDataset]":
    """Create a set in a private folder next to its path."""
    with part_folder(path.parent) as folder, _open_private(folder / "trace") as trace:
        yield StagedDataset(path, header, folder, trace)


class StagedDataset:
    """A set in a private folder; `publish` moves it to its path."""

    def __init__(
        self, path: Path, header: TraceHeader, folder: Path, trace: BinaryIO
    ) -> None:
        self.files: dict[str, int] = {}
        """Row counts by file name."""

        self._path = path
        self._header = header
        self._folder = folder
        self._trace = trace
        self._staged: dict[str, Path] = {}

    def write(self, name: str, rows: Iterable[tuple[bytes, ExampleOrigin]]) -> None:
        """Write rows, given as JSON Lines with their origins, to a file."""
        staged = self._folder / f"rows-{len(self.files)}"
        count = 0
        with _open_private(staged) as file:
            for count, (line, origin) in enumerate(rows, 1):  # noqa: B007 - used below
                file.write(line)
                self._trace.write(trace_line(TraceRow(name, row_digest(line), origin)))
            file.flush()
            os.fsync(file.fileno())
        self.files[name] = count
        self._staged[name] = staged

    def publish(self) -> None:
        """Move the set's files, its trace and its card to their paths."""
        header, path = self._header, self._path
        header.metadata.files = {
            name: FileMetadata(
                self.files[name], file.stat().st_size, hash_files([file])
            )
            for name, file in self._staged.items()
        }
        new_hashes = [file.sha256 for file in header.metadata.files.values()]
        header.hashes = list(dict.fromkeys([*header.hashes, *new_hashes]))
        self._trace.close()
        trace, card = self._folder / "trace-with-header", self._folder / "card"
        with _open_private(trace) as file, (self._folder / "trace").open("rb") as rows:
            file.write(trace_line(header))
            shutil.copyfileobj(rows, file)
        with _open_private(card) as file:
            file.write(card_markdown(header.metadata, header.format).encode())
        outdated: list[str] = []
        if header.is_folder:
            path.mkdir(mode=0o700, exist_ok=True)
            old_files = read_header(path).files if trace_path(path).exists() else []
            outdated = [name for name in old_files if name not in self.files]
        for name, staged in self._staged.items():
            staged.replace(path / name if header.is_folder else os.path.realpath(path))
        # Replace links instead of following them: the user did not choose these names.
        trace.replace(trace_path(path))
        card.replace(card_path(path))
        for name in outdated:
            (path / name).unlink(missing_ok=True)


def _open_private(path: Path) -> BinaryIO:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(path, flags, 0o600), "wb", buffering=_BUFFER_BYTES)


def _check_target(path: Path, *, is_folder: bool) -> None:
    """Raise an error if the set cannot replace what exists at the path."""
    if not path.exists():
        return
    if is_pipe(path):
        msg = (
            f"{path} is a pipe or a device, and a set needs its card and trace next to "
            "it. Pass the path to a file."
        )
        raise ExportFormatError(msg)
    if path.is_dir() != is_folder:
        actual, expected = ("folder", "file") if path.is_dir() else ("file", "folder")
        msg = f"{path} is a {actual}, but the set is a {expected}. Choose another path."
        raise ExportFormatError(msg)
