"""The rows of a set on their way into its files, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from langchain_chatexports.datasets.formats.containers import (
    RowFile,
    new_private_file,
    row_digest,
)
from langchain_chatexports.datasets.formats.trace_file import TraceRow, trace_line
from langchain_chatexports.datasets.formats.trainers import (
    UnfitError,
    answers_in,
    messages_in,
)
from langchain_chatexports.datasets.jsonl import json_line
from langchain_chatexports.datasets.stages import Stage
from langchain_chatexports.datasets.trace import UNKNOWN_ORIGIN, ExampleOrigin
from langchain_chatexports.datasets.validation import TrainingProblem
from langchain_chatexports.exceptions import TrainingDataError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from typing_extensions import Self

    from langchain_chatexports.datasets.formats.trainers import (
        DatasetFormat,
        EncodedRow,
    )

__all__ = ["AnyRecord", "RowCounts", "RowWriter"]

AnyRecord: TypeAlias = Mapping[str, Any] | tuple[Mapping[str, Any], ExampleOrigin]
"""An example, a pair or a label, plain or with its origin."""

_MAX_PROBLEMS = 1_000
_NO_PROMPT = "no_prompt"


@dataclass
class RowCounts:
    """What went into a set's files, and what did not."""

    files: dict[str, int] = field(default_factory=dict)
    """Rows by file."""

    examples: int = 0
    written: int = 0
    """Examples of which there is a row."""

    answers: int = 0
    taught: int = 0
    """Answers that a row teaches."""

    messages: int = 0
    kept: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    """Messages that are in no row, by reason."""

    problems: list[TrainingProblem] = field(default_factory=list)
    """What the format has no place for; its lines are those of the examples."""

    def check(self, format_name: str) -> None:
        """Make sure that there is something to publish.

        Raises:
            TrainingDataError: If the format could not hold it all, or there is nothing.
        """
        if self.problems:
            msg = f"The format {format_name!r} cannot hold all of the examples:"
            raise TrainingDataError(msg, self.problems)
        if not self.written:
            msg = (
                f"There is nothing to write: {self.examples} examples were given, and "
                f"none gives a row in the format {format_name!r}."
            )
            raise TrainingDataError(msg)

    def stages(self, format_name: str) -> list[Stage]:
        """Return what became of the examples in the files."""
        name = f"Written ({format_name})"
        examples_left = _no_prompt(self.examples - self.written)
        answers_left = _no_prompt(self.answers - self.taught)
        return [
            Stage(name, "examples", self.examples, self.written, examples_left),
            Stage(name, "answers", self.answers, self.taught, answers_left),
            Stage(name, "messages", self.messages, self.kept, dict(self.left_out)),
        ]


class RowWriter:
    """Writes rows into the files of a staging folder, with a trace beside them."""

    def __init__(self, kind: DatasetFormat, staging: Path) -> None:
        """Make the folder of the files, and the trace."""
        self.folder = staging / "set"
        self.folder.mkdir(mode=0o700)
        self.trace = staging / "trace"
        self.counts = RowCounts()
        self._kind = kind
        self._trace: BinaryIO = new_private_file(self.trace)

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the trace."""
        self._trace.close()

    def write(self, name: str, records: Iterable[AnyRecord]) -> None:
        """Write a file.

        Args:
            name: The file's name.
            records: Examples, pairs or labels, plain or with their origins.
        """
        counts = self.counts
        with RowFile(self.folder / name, self._kind.suffix) as file:
            for record, origin in map(_with_origin, records):
                counts.examples += 1
                last: EncodedRow | None = None
                for last in self._encoded(record):
                    line = json_line(last.row)
                    file.write_line(line)
                    trace = TraceRow(name, row_digest(line), origin)
                    self._trace.write(trace_line(trace))
                    counts.taught += last.answers
                self._count(record, last)
        counts.files[name] = file.rows

    def _count(self, record: Mapping[str, Any], row: EncodedRow | None) -> None:
        """Count what an example brought, and what of it its last row holds."""
        counts = self.counts
        if row is not None and self._kind.row_is_example:
            # The most frequent case, which leaves nothing out.
            counts.written += 1
            counts.answers += row.answers
            counts.messages += row.messages
            counts.kept += row.messages
            return
        messages = messages_in(record)
        kept, before = (row.messages, row.before) if row else (0, messages)
        counts.written += row is not None
        counts.answers += answers_in(record)
        counts.messages += messages
        counts.kept += kept
        for reason, count in (
            (_NO_PROMPT, before),
            ("trailing", messages - kept - before),
        ):
            if count:
                counts.left_out[reason] += count

    def _encoded(self, record: Mapping[str, Any]) -> Iterator[EncodedRow]:
        try:
            yield from self._kind.encode(record)
        except UnfitError as error:
            counts = self.counts
            if len(counts.problems) < _MAX_PROBLEMS:
                problem = TrainingProblem(str(error), line=counts.examples)
                counts.problems.append(problem)


def _with_origin(record: AnyRecord) -> tuple[Mapping[str, Any], ExampleOrigin]:
    return record if isinstance(record, tuple) else (record, UNKNOWN_ORIGIN)


def _no_prompt(count: int) -> dict[str, int]:
    return {_NO_PROMPT: count} if count else {}
