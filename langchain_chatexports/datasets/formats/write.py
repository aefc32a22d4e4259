"""Write a set of examples: its files, its data card and its trace."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_chatexports._files import explained_writing
from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.counts import Counts, total_of
from langchain_chatexports.datasets.card import CardNotes, card_markdown
from langchain_chatexports.datasets.formats.containers import (
    file_sha256,
    new_private_file,
)
from langchain_chatexports.datasets.formats.rows import AnyRecord, RowWriter
from langchain_chatexports.datasets.formats.staging import (
    place_beside,
    place_file,
    place_folder,
    refuse_other_files,
    staging_folder,
)
from langchain_chatexports.datasets.formats.trace_file import (
    TraceHeader,
    card_path,
    read_header,
    trace_path,
    write_trace,
)
from langchain_chatexports.datasets.formats.trainer_formats import dataset_format
from langchain_chatexports.datasets.jsonl import json_line
from langchain_chatexports.datasets.splits import ExampleSplits
from langchain_chatexports.exceptions import TrainingDataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from langchain_chatexports.datasets.formats.trainer_formats import (
        FormatName,
    )

__all__ = ["AnyRecord", "WrittenSet", "write_dataset"]


@dataclass(frozen=True)
class WrittenSet:
    """A written set: where it is, and what was left out.

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
            *([f"messages: {total}"] if total else ()),
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
    """Write examples for a trainer, with a data card and a trace beside them.

    One part becomes a file, several a folder. The set appears whole or not at all,
    readable by its owner only; an earlier set at the same path is replaced. Beside it
    lie `<path>.card.md`, which holds no text, and `<path>.trace.jsonl`, which ties
    each row to its session and messages and is not to be given away.

    Args:
        examples: Traced examples (`trace_examples`), so that they can be found again;
            plain ones; the parts that `split_examples` made; or, for the formats that
            end in `dpo` and `kto`, pairs and labels. An iterable is read once.
        path: The file or folder to write.
        format: The trainer's format.
        notes: What the card says of sources, counts and consent.

    Returns:
        What was written, with counts that add up.

    Raises:
        ExportAccessError: If the system refuses to write there.
        ExportFormatError: If something else is at the path, or the disk is full.
        ExportNotFoundError: If the path's folder does not exist.
        MissingExtraError: If the format needs an extra that is not installed.
        TrainingDataError: If there is nothing to write, the format needs a validation
            part and there is none, or examples hold what it has no place for; all of
            them are listed.
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
    if kind.needs_validation and "validation" not in parts:
        msg = f"The format {format!r} needs a validation part: use split_examples."
        raise TrainingDataError(msg)
    is_folder = kind.is_folder or isinstance(examples, ExampleSplits)
    names = {part: kind.file_of(part) if is_folder else path.name for part in parts}
    header = TraceHeader(kind.name, is_folder, list(names.values()))
    index = kind.index(names) if kind.index else None
    header.others = [index[0]] if index else []
    with explained_writing(path) as watched:
        refuse_other_files(path, is_folder=is_folder, known=_replaceable(path, header))
        with staging_folder(path) as staging:
            with RowWriter(kind, staging) as rows:
                for part, records in parts.items():
                    rows.write(names[part], watched(records))
            rows.check()
            if index:
                with new_private_file(rows.folder / index[0]) as file:
                    file.write(json_line(index[1]))
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
    """Return size and hash of files, for the card.

    Args:
        folder: Their folder.
        rows: Their rows by name.
    """
    return {
        name: {
            "rows": count,
            "bytes": (folder / name).stat().st_size,
            "sha256": file_sha256(folder / name),
        }
        for name, count in rows.items()
    }


def _replaceable(path: Path, header: TraceHeader) -> set[str]:
    known = {*header.files, *header.others}
    if trace_path(path).exists():
        earlier = read_header(path)
        known |= {*earlier.files, *earlier.others}
    return known
