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
    count_learned,
    dataset_format,
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
from langchain_chatexports.exceptions import ExportFormatError, TrainingDataError

AnyRecord: TypeAlias = Mapping[str, Any] | tuple[Mapping[str, Any], ExampleOrigin]
"""An example, plain or with its origin."""

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
        total = self.total
        stages = [s for s in self.stages if s.unit != "messages" or not total]
        lines = [
            f"{self.path} ({self.format}): {plural(sum(self.files.values()), 'row')}",
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

    Examples are written to a file, the parts of a split to a folder. Nothing is
    written if an example cannot be read or written. Only the owner can read the files,
    which replace an earlier set at the path. Next to it are `<path>.card.md`, which
    contains no text, and `<path>.trace.jsonl`, which links each row to its session and
    messages: do not share it.

    Args:
        examples: Traced examples (`trace_examples`), plain examples, or the result of
            `split_examples`. An iterable is read once.
        path: The file or folder to write.
        format: `openai`, `trl-prompt-completion` or `parquet`.
        notes: Sources and counts for the card.

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
    names = {p: f"{p}{kind.suffix}" if is_folder else path.name for p in parts}
    header = TraceHeader(format=format, is_folder=is_folder, files=list(names.values()))
    with explained_writing(path) as watched:
        _check_place(path, is_folder=is_folder)
        encoder = _Encoder(kind)
        with staged_set(path, header) as staged:
            for part, records in parts.items():
                staged.write(names[part], encoder.rows(watched(records)))
            encoder.check()
            # Sources are hashed here; `watched` passes their errors on unchanged.
            header.facts = replace(notes, sources=watched(notes.sources)).facts()
            header.facts.stages += [*split, encoder.examples, encoder.answers]
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
        self.examples = Counts(f"Written ({kind.name})", "examples")
        self.answers = Counts(f"Written ({kind.name})", "answers")
        self._problems: list[str] = []
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
                self._problems.append(f"line {self.examples.found}: {error}")
                continue
            for one in encoded:
                yield json_line(one.row), origin
            learned = count_learned(example)
            answers = sum(one.answers for one in encoded)
            self.answers.found += learned
            self.answers.kept += answers
            self.answers.skip(_NO_PROMPT, learned - answers)
            self.examples.kept += bool(encoded)
            self.examples.skip(_NO_PROMPT, not encoded)

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
        _private_file(Path(folder, "trace")) as trace,
    ):
        yield StagedSet(path, header, Path(folder), trace)


class StagedSet:
    """A set in a private folder, until `publish` moves it to its path."""

    def __init__(
        self, path: Path, header: TraceHeader, folder: Path, trace: BinaryIO
    ) -> None:
        self.files: dict[str, int] = {}
        """Rows by file."""

        self._path = path
        self._header = header
        self._folder = folder
        self._trace = trace
        self._staged: dict[str, Path] = {}

    def write(self, name: str, rows: Iterable[tuple[bytes, ExampleOrigin]]) -> None:
        """Write a file of rows, each a line of JSON with its origin."""
        staged = self._folder / f"rows-{len(self.files)}"
        count = 0
        with _private_file(staged) as file:
            for count, (line, origin) in enumerate(rows, 1):  # noqa: B007 - used below
                file.write(line)
                self._trace.write(trace_line(TraceRow(name, row_digest(line), origin)))
            file.flush()
            os.fsync(file.fileno())
        if dataset_format(self._header.format).suffix == PARQUET:
            lines, staged = staged, staged.with_suffix(PARQUET)
            lines_to_parquet(lines, staged)
        self.files[name] = count
        self._staged[name] = staged

    def publish(self) -> None:
        """Move the set's files, its trace and its card to their paths."""
        header, path = self._header, self._path
        header.facts.files = {
            name: FileFacts(self.files[name], file.stat().st_size, hash_files([file]))
            for name, file in self._staged.items()
        }
        new = [facts.sha256 for facts in header.facts.files.values()]
        header.hashes = list(dict.fromkeys([*header.hashes, *new]))
        self._trace.close()
        trace, card = self._folder / "whole-trace", self._folder / "card"
        with (
            _private_file(trace) as file,
            (self._folder / "trace").open("rb") as rows,
        ):
            file.write(trace_line(header))
            shutil.copyfileobj(rows, file)
        with _private_file(card) as file:
            file.write(card_markdown(header.facts, header.format).encode())
        outdated: list[str] = []
        if header.is_folder:
            path.mkdir(mode=0o700, exist_ok=True)
            earlier = read_header(path).files if trace_path(path).exists() else []
            outdated = [name for name in earlier if name not in self.files]
        for name, staged in self._staged.items():
            place = path / name if header.is_folder else path
            staged.replace(place if header.is_folder else os.path.realpath(place))
        # Replace links, since the user did not choose these names.
        trace.replace(trace_path(path))
        card.replace(card_path(path))
        for name in outdated:
            (path / name).unlink(missing_ok=True)


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


def _check_place(path: Path, *, is_folder: bool) -> None:
    """Raise an error if there is something other than a set of this kind."""
    if not path.exists():
        return
    if is_pipe(path):
        msg = f"{path} is not a file: a set needs a card and a trace next to it."
        raise ExportFormatError(msg)
    if path.is_dir() != is_folder:
        kind, wanted = ("folder", "file") if path.is_dir() else ("file", "folder")
        msg = f"{path} is a {kind}, and the set is a {wanted}. Name another path."
        raise ExportFormatError(msg)
