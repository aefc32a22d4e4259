"""Write a set of examples: its files, its data card and its trace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from typing_extensions import Self

from langchain_chatexports._files import explained_writing
from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.counts import Counts, total_of
from langchain_chatexports.datasets.card import CardNotes, card_markdown
from langchain_chatexports.datasets.formats.containers import (
    RowFile,
    file_sha256,
    new_private_file,
    place_beside,
    place_file,
    place_folder,
    refuse_other_files,
    row_digest,
    staging_folder,
)
from langchain_chatexports.datasets.formats.trace_file import (
    TraceHeader,
    TraceRow,
    card_path,
    read_header,
    trace_line,
    trace_path,
    write_trace,
)
from langchain_chatexports.datasets.formats.trainer_formats import (
    DatasetFormat,
    EncodedRow,
    FormatName,
    UnfitError,
    answers_in,
    dataset_format,
    messages_in,
)
from langchain_chatexports.datasets.jsonl import json_line
from langchain_chatexports.datasets.splits import ExampleSplits
from langchain_chatexports.datasets.trace import UNKNOWN_ORIGIN, ExampleOrigin
from langchain_chatexports.datasets.validation import TrainingProblem
from langchain_chatexports.exceptions import TrainingDataError

AnyRecord: TypeAlias = Mapping[str, Any] | tuple[Mapping[str, Any], ExampleOrigin]
"""An example, plain or with its origin."""

_MAX_PROBLEMS = 1_000
_NO_PROMPT = "no_prompt"


@dataclass(frozen=True)
class WrittenSet:
    """A written set: where it is, and what was skipped.

    `examples` = `examples_written` + the sum of `examples_skipped`, and `answers` =
    `answers_written` + the sum of `answers_skipped`. The reason: `no_prompt` (an
    answer before the first message of a user, for which the format has no room).
    """

    path: Path
    format: str
    files: Mapping[str, int]
    """Rows by file."""

    card: Path
    trace: Path
    stages: tuple[Counts, ...] = ()
    """What became of messages, sessions and examples, from the exports on, as far as
    they were counted; each one adds up."""

    @property
    def examples(self) -> int:
        """Examples that were given."""
        return self._last("examples").found

    @property
    def examples_written(self) -> int:
        """Examples of which there is a row."""
        return self._last("examples").kept

    @property
    def examples_skipped(self) -> Mapping[str, int]:
        """Examples of which there is no row, by reason."""
        return self._last("examples").skipped

    @property
    def answers(self) -> int:
        """Answers that are there to be learned (of weight 0 they are not)."""
        return self._last("answers").found

    @property
    def answers_written(self) -> int:
        """Answers that a row teaches."""
        return self._last("answers").kept

    @property
    def answers_skipped(self) -> Mapping[str, int]:
        """Answers that no row teaches, by reason."""
        return self._last("answers").skipped

    @property
    def total(self) -> Counts | None:
        """What became of all messages; `None` if not all were counted in one pass."""
        return total_of(self.stages)

    def _last(self, unit: str) -> Counts:
        return next(stage for stage in reversed(self.stages) if stage.unit == unit)

    def to_dict(self) -> dict[str, Any]:
        """Return it in JSON types."""
        return {
            "path": str(self.path),
            "format": self.format,
            "files": dict(self.files),
            "card": str(self.card),
            "trace": str(self.trace),
            "examples": self.examples,
            "examples_written": self.examples_written,
            "examples_skipped": dict(self.examples_skipped),
            "answers": self.answers,
            "answers_written": self.answers_written,
            "answers_skipped": dict(self.answers_skipped),
            "stages": [stage.to_dict() for stage in self.stages],
        }

    def __str__(self) -> str:
        """Return it as lines for a terminal."""
        rows = [f"{name}: {plural(count, 'row')}" for name, count in self.files.items()]
        if list(self.files) == [self.path.name]:
            rows = [plural(self.files[self.path.name], "row")]
        total = self.total
        lines = [
            f"{self.path} ({self.format}): {', '.join(rows)}",
            *([str(total)] if total else ()),
            *(str(s) for s in self.stages if s.unit != "messages" or not total),
        ]
        return "\n".join([*lines, f"card: {self.card}", f"trace: {self.trace}"])


def write_dataset(
    examples: Iterable[AnyRecord] | ExampleSplits,
    path: str | Path,
    *,
    format: FormatName = "openai",
    notes: CardNotes | None = None,
) -> WrittenSet:
    """Write examples as a set, with a data card and a trace beside them.

    One part becomes a file, several a folder. The set appears whole or not at all,
    readable by its owner only; an earlier set at the same path is replaced. Beside it
    lie `<path>.card.md`, which holds no text, and `<path>.trace.jsonl`, which ties
    each row to its session and messages and is not to be given away.

    Args:
        examples: Traced examples (`trace_examples`), so that they can be found again;
            plain ones; or the parts that `split_examples` made. An iterable is read
            once.
        path: The file or folder to write.
        format: `openai`, `trl-prompt-completion` or `parquet`.
        notes: What the card says of sources, counts and consent.

    Returns:
        What was written, with counts that add up.

    Raises:
        ExportAccessError: If the system refuses to write there.
        ExportFormatError: If something else is at the path, or the disk is full.
        ExportNotFoundError: If the path's folder does not exist.
        MissingExtraError: If the format needs an extra that is not installed.
        TrainingDataError: If there is nothing to write, or examples hold what the
            format has no place for; all of them are listed.
        ValueError: If the format is not known.
    """
    kind = dataset_format(format)
    path = Path(path).expanduser()
    notes = notes if notes is not None else CardNotes()
    if isinstance(examples, ExampleSplits):
        parts: Mapping[str, Iterable[AnyRecord]] = examples.parts()
        split = examples.stages
    else:
        parts, split = {"train": examples}, ()
    is_folder = isinstance(examples, ExampleSplits)
    names = {part: kind.file_of(part) if is_folder else path.name for part in parts}
    header = TraceHeader(kind.name, is_folder, list(names.values()))
    with explained_writing(path) as watched:
        refuse_other_files(path, is_folder=is_folder, known=_replaceable(path, header))
        with staging_folder(path) as staging:
            with RowWriter(kind, staging) as rows:
                for part, records in parts.items():
                    rows.write(names[part], watched(records))
            rows.check()
            # Sources are hashed while the card is made; their errors are not writing's.
            notes = replace(notes, sources=watched(notes.sources))
            facts = notes.to_dict()
            counted = [stage.to_dict() for stage in (*split, *rows.stages)]
            facts["stages"] += counted
            return _publish(path, staging, rows, header, facts)


def _publish(
    path: Path,
    staging: Path,
    rows: RowWriter,
    header: TraceHeader,
    facts: dict[str, Any],
) -> WrittenSet:
    facts["format"] = header.format
    facts["files"] = describe_files(rows.folder, rows.files)
    header.facts = facts
    header.hashes = [file["sha256"] for file in facts["files"].values()]
    with rows.trace.open("rb") as lines:
        write_trace(staging / "header", header, lines)
    with new_private_file(staging / "card") as file:
        file.write(card_markdown(facts).encode())
    # The set last: it is never there without its trace.
    place_beside(staging / "header", trace_path(path))
    place_beside(staging / "card", card_path(path))
    if header.is_folder:
        place_folder(rows.folder, path, staging / "before")
    else:
        place_file(rows.folder / path.name, path)
    return WrittenSet(
        path=path,
        format=header.format,
        files=rows.files,
        card=card_path(path),
        trace=trace_path(path),
        stages=tuple(map(Counts.from_dict, facts["stages"])),
    )


def describe_files(folder: Path, rows: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """Return size and hash of a folder's files, for the card."""
    return {
        name: {
            "rows": count,
            "bytes": (folder / name).stat().st_size,
            "sha256": file_sha256(folder / name),
        }
        for name, count in rows.items()
    }


def _replaceable(path: Path, header: TraceHeader) -> set[str]:
    known = {*header.files}
    if trace_path(path).exists():
        known.update(read_header(path).files)
    return known


class RowWriter:
    """Writes rows into the files of a staging folder, with a trace beside them."""

    def __init__(self, kind: DatasetFormat, staging: Path) -> None:
        self.folder = staging / "set"
        self.folder.mkdir(mode=0o700)
        self.trace = staging / "trace"
        self.files: dict[str, int] = {}
        """Rows by file."""

        name = f"Written ({kind.name})"
        self.examples = Counts(name, "examples")
        self.answers = Counts(name, "answers")
        self.messages = Counts(name)
        self._problems: list[TrainingProblem] = []
        self._kind = kind
        self._trace: BinaryIO = new_private_file(self.trace)

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the trace."""
        self._trace.close()

    @property
    def stages(self) -> tuple[Counts, ...]:
        """What became of the examples, and of the answers and messages in them."""
        return self.examples, self.answers, self.messages

    def write(self, name: str, records: Iterable[AnyRecord]) -> None:
        """Write a file of examples, plain or with their origins."""
        with RowFile(self.folder / name, self._kind.suffix) as file:
            for record in records:
                example, origin = (
                    record if isinstance(record, tuple) else (record, UNKNOWN_ORIGIN)
                )
                self.examples.found += 1
                encoded = self._encoded(example)
                for one in encoded:
                    line = json_line(one.row)
                    file.write_line(line)
                    trace = TraceRow(name, row_digest(line), origin)
                    self._trace.write(trace_line(trace))
                self._count(example, encoded)
        self.files[name] = file.rows

    def check(self) -> None:
        """Raise an error if examples do not fit the format, or there are none."""
        if self._problems:
            msg = f"The format {self._kind.name!r} cannot hold all of the examples:"
            raise TrainingDataError(msg, self._problems)
        if not self.examples.kept:
            msg = (
                f"There is nothing to write: none of {self.examples.found} examples "
                f"becomes a row in the format {self._kind.name!r}."
            )
            raise TrainingDataError(msg)

    def _encoded(self, example: Mapping[str, Any]) -> list[EncodedRow]:
        try:
            return [*self._kind.encode(example)]
        except UnfitError as error:
            if len(self._problems) < _MAX_PROBLEMS:
                number = self.examples.found
                self._problems.append(TrainingProblem(str(error), line=number))
            return []

    def _count(self, example: Mapping[str, Any], encoded: list[EncodedRow]) -> None:
        answers, messages = self.answers, self.messages
        learned = sum(one.answers for one in encoded)
        answers.kept += learned
        if encoded and self._kind.row_is_example:
            # The most frequent case, in which nothing is skipped.
            self.examples.kept += 1
            answers.found += learned
            messages.found += encoded[0].messages
            messages.kept += encoded[0].messages
            return
        answers_before, messages_before = answers_in(example), messages_in(example)
        answers.found += answers_before
        answers.skip(_NO_PROMPT, answers_before - learned)
        messages.found += messages_before
        if encoded:
            self.examples.kept += 1
            messages.kept += encoded[-1].messages
            messages.skip("trailing", messages_before - encoded[-1].messages)
        else:
            self.examples.skip(_NO_PROMPT)
            messages.skip(_NO_PROMPT, messages_before)
