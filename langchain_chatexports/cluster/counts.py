"""What each task found and left out, added up after the run.

A task writes its counts into a file of its own, named after what it read. A task that
Ray runs again, because its worker died, writes the same file again: nothing is counted
twice.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_chatexports.chat_loaders.accounting import ExportSummary
from langchain_chatexports.chat_loaders.shares import add_summaries
from langchain_chatexports.exceptions import ExportFormatError, ExportNotFoundError
from langchain_chatexports.finetuning.examples import ExampleCounts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["ClusterCounts", "add_counts", "write_counts"]

_VERSION = 1
_MAX_SENDERS = 1000
_OTHERS = "(further senders)"


@dataclass(frozen=True)
class ClusterCounts:
    """The counts of a whole run.

    Attributes:
        exports: Exports that were read, each once however many parts it was read in.
        summary: What was found, kept and left out, with a row a step; `None` if not
            one export could be read.
        examples: What became of the sessions; zero where no examples were made.
        failed: The error's kind by the path of each export that could not be read.
    """

    exports: int
    summary: ExportSummary | None
    examples: ExampleCounts
    failed: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Give the counts as a table for a terminal."""
        lines = [f"exports   {self.exports:,} read, {len(self.failed):,} not readable"]
        lines += [f"          {path}: {why}" for path, why in self.failed.items()]
        if self.summary is not None:
            lines.append(str(self.summary))
        lines.append(f"examples  {self.examples.examples:,}")
        return "\n".join(lines)


def write_counts(
    folder: str,
    unit: Mapping[str, Any],
    *,
    summary: ExportSummary | None = None,
    examples: ExampleCounts | None = None,
    error: str | None = None,
) -> None:
    """Write the counts of one task.

    Args:
        folder: A folder that all machines can write to; any URL that fsspec knows.
        unit: The export's `path`, the part's `index`, and the `count` of parts.
        summary: What the loader and the steps counted.
        examples: What the examples were made from.
        error: Why the export could not be read.
    """
    name = hashlib.sha256(unit["path"].encode()).hexdigest()[:32]
    values = {
        "version": _VERSION,
        **unit,
        "summary": summary and _summary_to_dict(summary),
        "examples": examples and _counts_to_dict(examples),
        "error": error,
    }
    from fsspec.implementations.local import LocalFileSystem

    system, root = _file_system(folder)
    if isinstance(system, LocalFileSystem):  # Names of people are in the counts.
        Path(root).mkdir(mode=0o700, parents=True, exist_ok=True)
    else:
        system.makedirs(root, exist_ok=True)
    with system.open(
        f"{root}/{name}-{unit['index']}-of-{unit['count']}.json", "w"
    ) as file:
        json.dump(values, file)


def add_counts(folder: str | Path) -> ClusterCounts:
    """Add up what the tasks of a run counted.

    Args:
        folder: The `counts` folder that the run was given.

    Returns:
        The sums. Of each task's senders the thousand with the most messages are named,
        and the rest counted together.

    Raises:
        ExportNotFoundError: If there are no counts in the folder.
        ExportFormatError: If a file there holds something else, or not all parts of an
            export have been counted: the run did not end.
    """
    summaries: list[ExportSummary] = []
    examples = ExampleCounts()
    failed: dict[str, str] = {}
    seen: Counter[tuple[str, int]] = Counter()
    for values in _read_all(folder):
        seen[values["path"], values["count"]] += 1
        if values["error"]:
            failed[values["path"]] = values["error"]
        # What was read of an export before the damage is in the dataset too.
        if values["summary"] and (values["summary"]["found"] or not values["error"]):
            summaries.append(ExportSummary.from_dict(values["summary"]))
        if values["examples"]:
            examples.add(_counts_from_dict(values["examples"]))
    if not seen:
        msg = f"There are no counts in {folder}. Give the run this folder as `counts`."
        raise ExportNotFoundError(msg)
    missing = [path for (path, count), found in seen.items() if found < count]
    if missing:
        msg = (
            f"{len(missing)} of the exports counted in {folder} were not read to their "
            f"end, {missing[0]} among them. Run it again into an empty folder."
        )
        raise ExportFormatError(msg)
    return ClusterCounts(
        exports=len({path for path, _ in seen} - set(failed)),
        summary=add_summaries(summaries) if summaries else None,
        examples=examples,
        failed=dict(sorted(failed.items())),
    )


def _read_all(folder: str | Path) -> Iterator[dict[str, Any]]:
    system, root = _file_system(folder)
    for path in sorted(system.glob(f"{root}/*-of-*.json")):
        with system.open(path, "r") as file:
            try:
                values = json.load(file)
            except ValueError:
                values = None
        if not isinstance(values, dict) or values.get("version") != _VERSION:
            msg = f"{path} holds no counts of this version. Empty {folder} and run it."
            raise ExportFormatError(msg)
        yield values


def _file_system(folder: str | Path) -> tuple[Any, str]:
    import fsspec

    system, root = fsspec.core.url_to_fs(str(folder))
    return system, root.rstrip("/")


def _summary_to_dict(summary: ExportSummary) -> dict[str, Any]:
    values = summary.to_dict()
    senders = Counter(values["senders"])
    values["senders"] = dict(senders.most_common(_MAX_SENDERS))
    rest = senders.total() - sum(values["senders"].values())
    if rest:
        values["senders"][_OTHERS] = rest
    return values


def _counts_to_dict(counts: ExampleCounts) -> dict[str, Any]:
    return {
        name: dict(value) if isinstance(value, Counter) else value
        for name, value in vars(counts).items()
        if name != "senders"  # They are in the summary.
    }


def _counts_from_dict(values: Mapping[str, Any]) -> ExampleCounts:
    named: dict[str, Any] = {
        name: Counter(value) if isinstance(value, dict) else value
        for name, value in values.items()
    }
    return ExampleCounts(**named)
