"""Writing and counting the rows of a set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from langchain_chatexports.chat_loaders.counts import Counts
from langchain_chatexports.datasets.formats.containers import (
    RowFile,
    new_private_file,
    row_digest,
)
from langchain_chatexports.datasets.formats.trace_file import TraceRow, trace_line
from langchain_chatexports.datasets.formats.trainer_formats import (
    UnfitError,
    answers_in,
    messages_in,
)
from langchain_chatexports.datasets.jsonl import json_line
from langchain_chatexports.datasets.trace import UNKNOWN_ORIGIN, ExampleOrigin
from langchain_chatexports.datasets.validation import TrainingProblem
from langchain_chatexports.exceptions import TrainingDataError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from typing_extensions import Self

    from langchain_chatexports.datasets.formats.trainer_formats import (
        DatasetFormat,
        EncodedRow,
    )

__all__ = ["AnyRecord", "RowWriter"]

AnyRecord: TypeAlias = Mapping[str, Any] | tuple[Mapping[str, Any], ExampleOrigin]
"""An example, a pair or a label, plain or with its origin."""

_MAX_PROBLEMS = 1_000
_NO_PROMPT = "no_prompt"


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
        """Write a file.

        Args:
            name: The file's name.
            records: Examples, pairs or labels, plain or with their origins.
        """
        with RowFile(self.folder / name, self._kind.suffix) as file:
            for record, origin in map(_with_origin, records):
                self.examples.found += 1
                last: EncodedRow | None = None
                learned = 0
                for last in self._encoded(record):
                    line = json_line(last.row)
                    file.write_line(line)
                    trace = TraceRow(name, row_digest(line), origin)
                    self._trace.write(trace_line(trace))
                    learned += last.answers
                self._count(record, last, learned)
        self.files[name] = file.rows

    def check(self) -> None:
        """Raise an error if the set must not be published.

        Raises:
            TrainingDataError: If examples do not fit the format, or there are none.
        """
        if self._problems:
            msg = f"The format {self._kind.name!r} cannot hold all of the examples:"
            raise TrainingDataError(msg, self._problems)
        if not self.examples.kept:
            msg = (
                f"There is nothing to write: none of {self.examples.found} examples "
                f"becomes a row in the format {self._kind.name!r}."
            )
            raise TrainingDataError(msg)

    def _count(
        self, record: Mapping[str, Any], row: EncodedRow | None, learned: int
    ) -> None:
        """Count what an example had, and what of it is in its last row."""
        messages, answers = self.messages, self.answers
        answers.kept += learned
        if row is not None and self._kind.row_is_example:
            # The most frequent case, which leaves nothing out.
            self.examples.kept += 1
            answers.found += learned
            messages.found += row.messages
            messages.kept += row.messages
            return
        answers_before, messages_before = answers_in(record), messages_in(record)
        kept, before = (row.messages, row.before) if row else (0, messages_before)
        if row is None:
            self.examples.skip(_NO_PROMPT)
        else:
            self.examples.kept += 1
        answers.found += answers_before
        answers.skip(_NO_PROMPT, answers_before - learned)
        messages.found += messages_before
        messages.kept += kept
        messages.skip(_NO_PROMPT, before)
        messages.skip("trailing", messages_before - kept - before)

    def _encoded(self, record: Mapping[str, Any]) -> Iterator[EncodedRow]:
        try:
            yield from self._kind.encode(record)
        except UnfitError as error:
            if len(self._problems) < _MAX_PROBLEMS:
                number = self.examples.found
                self._problems.append(TrainingProblem(str(error), line=number))


def _with_origin(record: AnyRecord) -> tuple[Mapping[str, Any], ExampleOrigin]:
    return record if isinstance(record, tuple) else (record, UNKNOWN_ORIGIN)
