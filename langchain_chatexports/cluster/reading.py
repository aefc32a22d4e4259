"""Exports as a Ray dataset, with one row per conversation or example."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from langchain_core.messages import message_to_dict, messages_from_dict

from langchain_chatexports.chat_loaders.counts import Counts, Reading
from langchain_chatexports.chat_loaders.recognition import open_export
from langchain_chatexports.cluster.counts import RunCounts
from langchain_chatexports.cluster.fetching import absolute, fetched
from langchain_chatexports.datasets.trace import trace_examples
from langchain_chatexports.exceptions import (
    ChatExportError,
    MissingExtraError,
    SenderNotFoundError,
)
from langchain_chatexports.steps.pipe import read_loader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import ModuleType

    from langchain_core.chat_loaders import BaseChatLoader
    from langchain_core.chat_sessions import ChatSession
    from ray.data import Dataset

    from langchain_chatexports.steps.base import SessionTransform

__all__ = ["read_examples", "read_exports", "session_of_row", "through"]

_MAX_TASKS = 10_000
# Errors of bad exports, and of failing disks and stores.
_UNREADABLE = (ChatExportError, OSError)


def read_exports(
    paths: str | Path | Iterable[str | Path],
    steps: SessionTransform | None = None,
    *,
    open_loader: Callable[[Path], BaseChatLoader] | None = None,
    tasks: int | None = None,
    counts: str | Path | None = None,
    ray_remote_args: Mapping[str, Any] | None = None,
) -> Dataset:
    """Read exports as a Ray dataset, one row per conversation.

    Nothing is read before the dataset is used. A task reads a path as a loader does on
    one machine: one conversation at a time. An export that cannot be read is counted
    and left out; without `counts` it is an error.

    Args:
        paths: Databases, zips, folders (of exports, or of single Messenger threads) and
            tables: paths that all machines see, or URLs that fsspec knows, which a task
            copies to its own disk first and removes afterwards. One that is named twice
            is read once.
        steps: Steps for the sessions to pass through in the same task.
        open_loader: Returns the loader for a path; by default the format is recognized
            by its content. For tables with columns of other names:
            `functools.partial(TableChatLoader, columns=...)`.
        tasks: How many tasks share the paths; by default there is one for each, and at
            most 10,000. Use fewer for many small exports, because tasks start slowly.
        counts: An empty folder that all machines can write to, for `add_counts`.
        ray_remote_args: Ray's options for the tasks, such as `memory`, and
            `max_retries` (Ray Data runs a task whose worker died again without end).

    Returns:
        A dataset with the columns `id`, `platform` and `session`; `session_of_row`
        turns a row into a `ChatSession`, and `through` passes rows through steps.

    Raises:
        ExportFormatError: If there are the counts of another run in the folder.
        ImportError: If a URL's protocol needs a package that is not installed.
        MissingExtraError: If Ray is not installed.
        ValueError: If there are no paths, fsspec does not know a URL's protocol, or
            would keep a copy of the export.
    """
    reader = _Reader(_session_rows, steps, open_loader)
    return _dataset(reader, paths, tasks, counts, ray_remote_args or {})


def read_examples(
    paths: str | Path | Iterable[str | Path],
    steps: SessionTransform,
    *,
    system: str | None = None,
    keep_leading: bool = True,
    keep_trailing: bool = False,
    open_loader: Callable[[Path], BaseChatLoader] | None = None,
    tasks: int | None = None,
    counts: str | Path | None = None,
    ray_remote_args: Mapping[str, Any] | None = None,
) -> Dataset:
    """Read exports and make training examples of them, as a Ray dataset.

    The examples are those that `to_training_examples` makes of the same loaders and
    steps. For everything else, see `read_exports`.

    Args:
        paths: The exports.
        steps: Steps for the sessions to pass through; `MapAIMessages` among them.
        system: As for `to_training_examples`.
        keep_leading: As for `to_training_examples`.
        keep_trailing: As for `to_training_examples`.
        open_loader: Returns the loader for a path.
        tasks: How many tasks share the paths.
        counts: An empty folder for `add_counts`.
        ray_remote_args: Ray's options for the tasks.

    Returns:
        A dataset with the columns `messages`, `conversation` (an id, for `part_of`),
        `first` and `last` (times of the oldest and the newest message, in Unix
        seconds).
    """
    rows = partial(
        _example_rows,
        system=system,
        keep_leading=keep_leading,
        keep_trailing=keep_trailing,
    )
    reader = _Reader(rows, steps, open_loader)
    return _dataset(reader, paths, tasks, counts, ray_remote_args or {})


def session_of_row(row: dict[str, Any]) -> ChatSession:
    """Return the session of a row of `read_exports`.

    Args:
        row: The row.

    Returns:
        The session, with messages of the classes that it had.
    """
    values = json.loads(row["session"])
    values["messages"] = messages_from_dict(values["messages"])
    return cast("ChatSession", values)


def through(
    steps: SessionTransform,
) -> Callable[[dict[str, Any]], Iterator[dict[str, Any]]]:
    """Return a function for `Dataset.flat_map` that passes rows through steps.

    Args:
        steps: A step or a pipeline of steps.

    Returns:
        A function from a row of `read_exports` to such rows.
    """

    def rows(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for session in steps.lazy_transform([session_of_row(row)]):
            yield _row(session)

    return rows


def _dataset(
    reader: _Reader,
    paths: str | Path | Iterable[str | Path],
    tasks: int | None,
    counts: str | Path | None,
    ray_remote_args: Mapping[str, Any],
) -> Dataset:
    data = _ray_data()
    given = [paths] if isinstance(paths, (str, Path)) else paths
    listed = list(dict.fromkeys(map(absolute, given)))
    if not listed or (tasks is not None and tasks < 1):
        msg = "There must be at least one path and one task."
        raise ValueError(msg)
    if counts is not None:
        run = RunCounts.begin(absolute(counts), exports=len(listed))
        reader = replace(reader, counts=run)
    blocks = min(_MAX_TASKS if tasks is None else tasks, len(listed))
    exports = data.from_items(
        [{"path": path} for path in listed], override_num_blocks=blocks
    )
    return exports.flat_map(reader.read, **ray_remote_args)


@dataclass(frozen=True)
class _Reader:
    """Reads the export of a task."""

    rows: Callable[[Reading, list[Counts]], Iterator[dict[str, Any]]]
    steps: SessionTransform | None
    open_loader: Callable[[Path], BaseChatLoader] | None
    counts: RunCounts | None = None

    def read(self, export: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Read an export as rows, and write its counts when it was read to its end."""
        ledger: list[Counts] = []
        counted: Reading | None = None
        reason = None
        try:
            with fetched(export["path"]) as path:
                loader = (
                    self.open_loader(path)
                    if self.open_loader is not None
                    else open_export(path).loader
                )
                steps = [self.steps] if self.steps is not None else []
                counted = read_loader(loader, steps)
                yield from self.rows(counted, ledger)
        except _UNREADABLE as error:
            if self.counts is None:
                raise
            reason = type(error).__name__
        if self.counts is not None:
            summary = counted.summary() if counted is not None else None
            self.counts.write(export["path"], summary, ledger, error=reason)


def _session_rows(counted: Reading, _ledger: list[Counts]) -> Iterator[dict[str, Any]]:
    return map(_row, counted)


def _example_rows(
    counted: Reading, ledger: list[Counts], **options: Any
) -> Iterator[dict[str, Any]]:
    try:
        for example, origin in trace_examples(counted, ledger=ledger, **options):
            yield {
                "messages": example["messages"],
                "conversation": origin.thread_id or origin.session_id,
                "first": origin.first,
                "last": origin.last,
            }
    except SenderNotFoundError:
        # The AI may speak in other exports; this one is in the counts.
        return


def _ray_data() -> ModuleType:
    try:
        import ray.data
    except ImportError as error:
        feature = "Reading exports with Ray"
        raise MissingExtraError(feature, "ray") from error
    module: ModuleType = ray.data
    return module


def _row(session: ChatSession) -> dict[str, Any]:
    values: dict[str, Any] = {**session}
    values["messages"] = [message_to_dict(message) for message in session["messages"]]
    metadata = values.get("metadata", {})
    return {
        "id": metadata.get("id"),
        "platform": metadata.get("platform"),
        "session": json.dumps(values),
    }
