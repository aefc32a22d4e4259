"""Write a set of examples: its files, its data card and its trace."""

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from langchain_chatexports._files import explained_writing, is_pipe
from langchain_chatexports._regular_files import open_regular_file
from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.counts import MERGED, Counts, total_of
from langchain_chatexports.datasets.card import (
    CardNotes,
    FileFacts,
    card_markdown,
    hash_files,
    short_reason,
)
from langchain_chatexports.datasets.formats import (
    PARQUET,
    DatasetFormat,
    FormatName,
    UnfitError,
    dataset_format,
    is_learned,
    lines_to_parquet,
    parquet_to_lines,
    require_duckdb,
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
from langchain_chatexports.datasets.validation import TrainingProblem
from langchain_chatexports.exceptions import ExportFormatError, TrainingDataError

AnyRecord: TypeAlias = Mapping[str, Any] | tuple[Mapping[str, Any], ExampleOrigin]
"""An example, plain or with its origin."""

_MAX_PROBLEMS = 1_000
_BUFFER_BYTES = 1 << 20
# The card has all of them.
_MAX_REASONS = 5
_NO_PROMPT = "no_prompt"


@dataclass(frozen=True)
class WrittenSet:
    """A written set: its paths and counts.

    Examples and answers are skipped as `no_prompt` if the format needs a user's message
    before the first answer.
    """

    path: Path
    format: str
    files: Mapping[str, int]
    """Rows by file."""

    card: Path
    trace: Path
    examples: Counts
    """The given examples, and those written as rows."""

    answers: Counts
    """The answers in the examples (without those of weight 0), and in the rows."""

    stages: tuple[Counts, ...]
    """The counts of messages, sessions and examples in all counted stages, from the
    exports on."""

    @property
    def total(self) -> Counts | None:
        """The totals of all messages; `None` if they were not counted in one pass."""
        return total_of(self.stages)

    def to_dict(self) -> dict[str, Any]:
        """Return the paths and counts in JSON types."""
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
        """Return the paths and counts as lines for a terminal."""
        rows = [f"{name}: {plural(count, 'row')}" for name, count in self.files.items()]
        if list(self.files) == [self.path.name]:
            rows = [plural(self.files[self.path.name], "row")]
        total = self.total
        stages = [s for s in self.stages if s.unit != "messages" or not total]
        lines = [
            f"{self.path} ({self.format}): {', '.join(rows)}",
            *map(str, [total, *stages] if total else stages),
            f"card: {self.card}",
            f"trace: {self.trace}",
        ]
        return "\n".join(lines)

    def accounting(self, *, conversations: int = 0) -> str:
        """Return a sentence with the numbers of examples, messages and skipped ones."""
        text = plural(self.examples.kept, "example")
        if len(self.files) > 1:
            parts = (f"{name} {rows:,}" for name, rows in self.files.items())
            text += f" ({', '.join(parts)})"
        skipped: list[str] = []
        if (total := self.total) is None:
            stages = (stage for stage in self.stages if stage.unit == "examples")
            examples = sum((stage.skipped for stage in stages), Counter[str]())
            skipped += _counted(examples, "example")
        else:
            text += f" from {plural(total.found, 'message')}"
            if conversations:
                text += f" in {plural(conversations, 'conversation')}"
            # The texts of merged messages are kept.
            lost = {why: n for why, n in total.skipped.items() if why != MERGED}
            skipped += _counted(lost)
        skipped += _counted(self.answers.skipped, "answer")
        return f"{text}; skipped: {', '.join(skipped)}." if skipped else f"{text}."


def _counted(counts: Mapping[str, int], what: str | None = None) -> Iterator[str]:
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    for why, count in ordered[:_MAX_REASONS]:
        number = plural(count, what) if what else f"{count:,}"
        yield f"{number} {short_reason(why)}"
    if rest := sum(count for _, count in ordered[_MAX_REASONS:]):
        yield f"{rest:,} for other reasons"


def write_dataset(
    examples: Iterable[AnyRecord] | ExampleSplits,
    path: str | Path,
    *,
    format: FormatName = "openai",
    notes: CardNotes | None = None,
) -> WrittenSet:
    """Write examples as a set, with a data card and a trace beside them.

    Examples are written to a file, the parts of a split to a folder. The set is written
    completely or not at all, readable by its owner only, and replaces an earlier set at
    the path. Next to it are `<path>.card.md`, which contains no text, and
    `<path>.trace.jsonl`, which links each row to its session and messages: do not share
    it.

    Args:
        examples: Traced examples (`trace_examples`), plain examples, or the result of
            `split_examples`. An iterable is read once.
        path: The file or folder to write.
        format: `openai`, `trl-prompt-completion` or `parquet`.
        notes: Sources, counts and consent for the card.

    Returns:
        The paths and counts.

    Raises:
        ExportAccessError: If the system refuses to write there.
        ExportFormatError: If something else is at the path, or the disk is full.
        ExportNotFoundError: If the path's folder does not exist.
        MissingExtraError: If the format needs an extra that is not installed.
        TrainingDataError: If there is nothing to write, or if the format does not
            support some examples, which are listed.
        ValueError: If the format is unknown.
    """
    kind = dataset_format(format)
    path = Path(path).expanduser()
    notes = notes if notes is not None else CardNotes()
    is_folder = isinstance(examples, ExampleSplits)
    if isinstance(examples, ExampleSplits):
        parts: Mapping[str, Iterable[AnyRecord]] = examples.parts()
        split = examples.stages
    else:
        parts, split = {"train": examples}, ()
    names = {part: kind.file_of(part) if is_folder else path.name for part in parts}
    header = TraceHeader(format=format, is_folder=is_folder, files=list(names.values()))
    with explained_writing(path) as watched:
        _refuse_other_files(path, header)
        encoder = _Encoder(kind)
        with staged_set(path, header) as staged:
            for part, records in parts.items():
                staged.write(names[part], encoder.rows(watched(records)))
            encoder.check()
            # Sources are hashed here; `watched` passes their errors on unchanged.
            header.facts = replace(notes, sources=watched(notes.sources)).facts()
            header.facts.stages += [*split, *encoder.stages]
            staged.publish()
    return WrittenSet(
        path=path,
        format=format,
        files=staged.files,
        card=card_path(path),
        trace=trace_path(path),
        examples=encoder.examples,
        answers=encoder.answers,
        stages=tuple(header.facts.stages),
    )


class _Encoder:
    """Turns examples into the rows of a format, and counts them."""

    def __init__(self, kind: DatasetFormat) -> None:
        name = f"Written ({kind.name})"
        self.examples = Counts(name, "examples")
        self.answers = Counts(name, "answers")
        self.messages = Counts(name)
        self.stages = (self.examples, self.answers, self.messages)
        self._problems: list[TrainingProblem] = []
        self._kind = kind

    def rows(
        self, records: Iterable[AnyRecord]
    ) -> Iterator[tuple[bytes, ExampleOrigin]]:
        """Yield the rows of examples, plain or with their origins."""
        for record in records:
            example, origin = (
                record if isinstance(record, tuple) else (record, UNKNOWN_ORIGIN)
            )
            self.examples.found += 1
            try:
                encoded = [*self._kind.encode(example)]
            except UnfitError as error:
                if len(self._problems) < _MAX_PROBLEMS:
                    number = self.examples.found
                    self._problems.append(TrainingProblem(str(error), line=number))
                continue
            for one in encoded:
                yield json_line(one.row), origin
            answers = sum(one.answers for one in encoded)
            self._count(example, answers, encoded[-1].messages if encoded else 0)

    def check(self) -> None:
        """Raise an error if examples do not fit the format, or if there are none."""
        if self._problems:
            msg = f"The format {self._kind.name!r} does not support all examples:"
            raise TrainingDataError(msg, self._problems)
        if not self.examples.kept:
            msg = (
                f"There is nothing to write: none of {self.examples.found} examples "
                f"becomes a row in the format {self._kind.name!r}."
            )
            raise TrainingDataError(msg)

    def _count(self, example: Mapping[str, Any], answers: int, kept: int) -> None:
        messages = example["messages"]  # Validated by the format.
        is_whole = self._kind.row_is_example
        learned = answers if is_whole else sum(map(is_learned, messages))
        self.answers.found += learned
        self.answers.kept += answers
        self.answers.skip(_NO_PROMPT, learned - answers)
        self.messages.found += len(messages)
        self.messages.kept += kept
        if kept:
            self.examples.kept += 1
            self.messages.skip("trailing", len(messages) - kept)
        else:
            self.examples.skip(_NO_PROMPT)
            self.messages.skip(_NO_PROMPT, len(messages))


@contextmanager
def staged_set(path: Path, header: TraceHeader) -> "Iterator[StagedSet]":
    """Create a set in a private folder next to its path, until it is published."""
    if dataset_format(header.format).suffix == PARQUET:
        require_duckdb()
    # The target's name with a suffix may be too long.
    with (
        tempfile.TemporaryDirectory(
            dir=path.parent,
            prefix=".chatexports-",
            suffix=".part",
            ignore_cleanup_errors=True,
        ) as folder,
        _private_file(Path(folder, "rows")) as trace,
    ):
        yield StagedSet(path, header, Path(folder), trace)


class StagedSet:
    """A set in a private folder, until `publish` moves it to its path."""

    def __init__(
        self, path: Path, header: TraceHeader, staging: Path, trace: BinaryIO
    ) -> None:
        self.files: dict[str, int] = {}
        """Rows by file."""

        self._path = path
        self._header = header
        self._suffix = dataset_format(header.format).suffix
        self._staging = staging
        self._folder = staging / "set"
        self._folder.mkdir(mode=0o700)
        self._trace = trace

    def write(self, name: str, rows: Iterable[tuple[bytes, ExampleOrigin]]) -> None:
        """Write a file of rows, each a line of JSON with its origin."""
        is_parquet = self._suffix == PARQUET
        lines = self._staging / "lines" if is_parquet else self._folder / name
        count = 0
        with _private_file(lines) as file:
            for count, (line, origin) in enumerate(rows, 1):  # noqa: B007 - used below
                file.write(line)
                self._trace.write(trace_line(TraceRow(name, row_digest(line), origin)))
            file.flush()
            os.fsync(file.fileno())
        if is_parquet:
            lines_to_parquet(lines, self._folder / name)
            lines.unlink()
        self.files[name] = count

    def publish(self, *, rewrites: bool = False) -> None:
        """Move the set, its card and its trace to their paths."""
        header, path = self._header, self._path
        files = {name: self._folder / name for name in self.files}
        header.facts.files = {
            name: FileFacts(self.files[name], file.stat().st_size, hash_files([file]))
            for name, file in files.items()
        }
        new = [facts.sha256 for facts in header.facts.files.values()]
        header.hashes = list(dict.fromkeys([*header.hashes, *new]))
        self._trace.close()
        trace, card = self._staging / "trace", self._staging / "card"
        with _private_file(trace) as file, (self._staging / "rows").open("rb") as rows:
            file.write(trace_line(header))
            shutil.copyfileobj(rows, file)
        with _private_file(card) as file:
            file.write(card_markdown(header.facts, header.format).encode())
        if rewrites:
            for name, rewritten in files.items():
                place = path / name if header.is_folder else path
                rewritten.replace(os.path.realpath(place))
        # Replace links, since the user did not choose these names.
        trace.replace(trace_path(path))
        card.replace(card_path(path))
        if rewrites:
            return
        if not header.is_folder:
            files[path.name].replace(os.path.realpath(path))
            return
        earlier = path.rename(self._staging / "earlier") if path.exists() else None
        try:
            self._folder.rename(path)
        except OSError:
            if earlier:
                earlier.rename(path)
            raise


def read_rows(path: Path, format_name: str) -> Iterator[bytes]:
    """Yield the rows of a set's file, each as its line of JSON."""
    if dataset_format(format_name).suffix == PARQUET:
        yield from parquet_to_lines(path)
        return
    with open_regular_file(path) as file:
        yield from file


def _private_file(path: Path) -> BinaryIO:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(path, flags, 0o600), "wb", buffering=_BUFFER_BYTES)


def _refuse_other_files(path: Path, header: TraceHeader) -> None:
    """Raise an error if writing would replace anything other than a set."""
    if not path.exists():
        return
    if is_pipe(path):
        msg = f"{path} is not a file: a set needs a card and a trace next to it."
        raise ExportFormatError(msg)
    if path.is_dir() != header.is_folder:
        kind, wanted = ("folder", "file") if path.is_dir() else ("file", "folder")
        msg = f"{path} is a {kind}, and the set is a {wanted}. Name another path."
        raise ExportFormatError(msg)
    if not header.is_folder:
        return
    known = {*header.files}
    if trace_path(path).exists():
        known.update(read_header(path).files)
    if others := {entry.name for entry in path.iterdir()} - known:
        msg = (
            f"{path} holds {plural(len(others), 'other file')}, which would be lost. "
            "Name a new folder."
        )
        raise ExportFormatError(msg)
