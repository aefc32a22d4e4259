"""Counts of a cluster run, one file for each export, added up after the run.

A file is named after its export, so a task that Ray repeats because its worker died
overwrites its own counts. The number of exports and the id of the run are written
before the run, so that missing exports and the counts of another run are noticed.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from langchain_chatexports.chat_loaders.counts import (
    Counts,
    ExportSummary,
    add_summaries,
    sum_of,
)
from langchain_chatexports.cluster.fetching import shown
from langchain_chatexports.exceptions import ExportFormatError, ExportNotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self

__all__ = ["ClusterCounts", "RunCounts", "add_counts"]

_VERSION = 2
_UNITS = ("messages", "sessions")
_RUN, _EXPORT = "run.json", "export-"
_MAX_SENDERS = 1000
_OTHERS = "(further senders)"
_MAX_SHOWN = 20


@dataclass(frozen=True)
class ClusterCounts:
    """The counts of a whole run.

    Attributes:
        exports: Exports that were read.
        summary: What was found, kept and left out, with a row a step; `None` if not
            one export could be read.
        ledger: What became of the sessions on the way to examples, as `Examples`; zero
            where no examples were made.
        failed: The error's kind by the path of each export that could not be read; of
            a URL without user and query.
    """

    exports: int
    summary: ExportSummary | None
    ledger: list[Counts]
    failed: Mapping[str, str] = field(default_factory=dict)

    @property
    def examples(self) -> int:
        """The examples that were made."""
        return sum_of(self.ledger, "Examples", "sessions").kept

    @property
    def reasons(self) -> dict[str, int]:
        """How many exports could not be read, by the error's kind."""
        return dict(sorted(Counter(self.failed.values()).items()))

    def __str__(self) -> str:
        """Return the counts as a table for a terminal, with the first bad exports."""
        lines = [f"exports   {self.exports:,} read, {len(self.failed):,} not readable"]
        lines += [f"          {count:,} {why}" for why, count in self.reasons.items()]
        named = islice(self.failed.items(), _MAX_SHOWN)
        lines += [f"          {path}: {why}" for path, why in named]
        if len(self.failed) > _MAX_SHOWN:
            lines.append("          ... and more in `failed`")
        if self.summary is not None:
            lines.append(str(self.summary))
        lines.append(f"examples  {self.examples:,}")
        return "\n".join(lines)


@dataclass(frozen=True)
class RunCounts:
    """The folder in which the tasks of one run write their counts."""

    folder: str
    run: str

    @classmethod
    def begin(cls, folder: str, *, exports: int) -> Self:
        """Create the folder of a run's counts.

        Args:
            folder: A folder that all machines can write to; any URL that fsspec knows.
            exports: How many exports will be read.

        Raises:
            ExportFormatError: If it holds the counts of another run.
        """
        store = _Store(folder)
        if store.names():
            msg = (
                f"{store.shown} holds the counts of another run, which would be added "
                "up with these. Empty it, or name another folder."
            )
            raise ExportFormatError(msg)
        run = uuid4().hex
        store.write(_RUN, {"run": run, "exports": exports})
        return cls(folder, run)

    def write(
        self,
        path: str,
        summary: ExportSummary | None,
        ledger: list[Counts],
        *,
        error: str | None = None,
    ) -> None:
        """Write the counts of one export.

        Args:
            path: The export.
            summary: What the loader and the steps counted.
            ledger: What became of the sessions on the way to examples.
            error: Why the export could not be read.
        """
        values = {
            "run": self.run,
            "path": shown(path),
            "summary": summary and _summary_to_dict(summary),
            "stages": ledger.to_list(),
            "error": error,
        }
        name = hashlib.sha256(path.encode()).hexdigest()[:32]
        _Store(self.folder).write(f"{_EXPORT}{name}.json", values)


def add_counts(folder: str | Path) -> ClusterCounts:
    """Add up the counts of a run.

    Args:
        folder: The `counts` folder that the run was given.

    Returns:
        The sums. Of each task's senders the thousand with the most messages are named,
        and the rest counted together.

    Raises:
        ExportNotFoundError: If there are no counts in the folder.
        ExportFormatError: If a file there has no counts, or not all exports have been
            counted, because the run did not end.
    """
    store = _Store(folder)
    run = store.read(_RUN)
    if run is None:
        msg = (
            f"There are no counts in {store.shown}. "
            "Give the run this folder as `counts`."
        )
        raise ExportNotFoundError(msg)
    with ThreadPoolExecutor() as pool:  # A store takes its time over each of them.
        found = [counts for counts in pool.map(store.read, store.names()) if counts]
    if len(found) != run["exports"] or any(c["run"] != run["run"] for c in found):
        msg = (
            f"{store.shown} holds the counts of {len(found)} exports, and the run has "
            f"{run['exports']}: it did not end, or it was not the only one. "
            "Run it again into an empty folder."
        )
        raise ExportFormatError(msg)
    stages = list[Counts].from_list(
        stage for counts in found for stage in counts["stages"]
    )
    failed = {counts["path"]: counts["error"] for counts in found if counts["error"]}
    summaries = [
        ExportSummary.from_dict(counts["summary"])
        for counts in found
        # What was read of an export before the damage is in the dataset too.
        if counts["summary"] and (counts["summary"]["found"] or not counts["error"])
    ]
    return ClusterCounts(
        exports=sum(not counts["error"] for counts in found),
        summary=add_summaries(summaries) if summaries else None,
        ledger=list[Counts]([stages.stage("Examples", unit) for unit in _UNITS]),
        failed=dict(sorted(failed.items())),
    )


class _Store:
    """The JSON files of a folder, on this machine or at a URL."""

    def __init__(self, folder: str | Path) -> None:
        import fsspec
        from fsspec.implementations.local import LocalFileSystem

        self.shown = shown(str(folder))
        self._system, root = fsspec.core.url_to_fs(str(folder))
        self._root = root.rstrip("/")
        self._is_local = isinstance(self._system, LocalFileSystem)

    def names(self) -> list[str]:
        """Return the names of the files with counts."""
        self._system.invalidate_cache()  # Other machines have written since.
        try:
            paths = self._system.ls(self._root, detail=False)
        except FileNotFoundError:
            return []
        names = (path.rstrip("/").rsplit("/", 1)[-1] for path in paths)
        return sorted(name for name in names if name.startswith(_EXPORT))

    def write(self, name: str, values: Mapping[str, Any]) -> None:
        """Write or replace a file, readable by its owner only: it holds names."""
        data = json.dumps({"version": _VERSION, **values}).encode()
        if self._is_local:
            folder = Path(self._root)
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Not `write_whole`: waiting for the disk takes longer than a small export,
            # and after a power cut the run begins again anyway.
            file, aside = tempfile.mkstemp(dir=folder, suffix=".part")  # Mode 0600.
            with os.fdopen(file, "wb") as part:
                part.write(data)
            Path(aside).replace(folder / name)
        else:
            self._system.makedirs(self._root, exist_ok=True)
            self._system.pipe_file(f"{self._root}/{name}", data)

    def read(self, name: str) -> dict[str, Any] | None:
        """Return what a file holds; `None` if it is not there."""
        path = f"{self._root}/{name}"
        try:
            values = json.loads(self._system.cat_file(path))
        except FileNotFoundError:
            return None
        except ValueError:
            values = None
        if not isinstance(values, dict) or values.get("version") != _VERSION:
            msg = (
                f"{name} in {self.shown} holds no counts of this version. "
                "Run it again, elsewhere."
            )
            raise ExportFormatError(msg)
        return values


def _summary_to_dict(summary: ExportSummary) -> dict[str, Any]:
    values = summary.to_dict()
    senders = Counter(values["senders"])
    values["senders"] = dict(senders.most_common(_MAX_SENDERS))
    rest = senders.total() - sum(values["senders"].values())
    if rest:
        values["senders"][_OTHERS] = rest
    return values
