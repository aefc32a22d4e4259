"""Exports as a Ray dataset: a row a conversation, or a row an example."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from langchain_core.messages import message_to_dict, messages_from_dict

from langchain_chatexports.chat_loaders.base import ChatExportLoader, counted_pass
from langchain_chatexports.chat_loaders.recognition import open_export
from langchain_chatexports.chat_loaders.shares import changed_meanwhile
from langchain_chatexports.cluster.counts import RunCounts
from langchain_chatexports.cluster.fetching import (
    absolute,
    fetched,
    is_url,
    state_of_url,
)
from langchain_chatexports.exceptions import (
    ChatExportError,
    MissingExtraError,
    SenderNotFoundError,
)
from langchain_chatexports.finetuning.examples import ExampleCounts
from langchain_chatexports.finetuning.provenance import trace_examples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from types import ModuleType

    from langchain_core.chat_loaders import BaseChatLoader
    from langchain_core.chat_sessions import ChatSession
    from ray.data import Dataset
    from typing_extensions import Self

    from langchain_chatexports.chat_loaders.accounting import CountedPass
    from langchain_chatexports.steps.base import SessionTransform

__all__ = ["read_examples", "read_exports", "session_of_row", "through"]

_MOST_TASKS = 10_000
# The errors of a bad export; the system's own come from disks and stores that fail.
_UNREADABLE = (ChatExportError, OSError)


def read_exports(
    paths: str | Path | Iterable[str | Path],
    steps: SessionTransform | None = None,
    *,
    open_loader: Callable[[Path], BaseChatLoader] | None = None,
    parts: int = 1,
    tasks: int | None = None,
    counts: str | Path | None = None,
    ray_remote_args: Mapping[str, Any] | None = None,
) -> Dataset:
    """Read exports as a Ray dataset, a row a conversation.

    Nothing is read before the dataset is used. A task reads one export, or one part of
    it, as a loader does on one machine: one conversation at a time. An export that
    cannot be read is counted and left out; without `counts` it is an error.

    Args:
        paths: Databases, zips, folders and tables: paths that all machines see, or URLs
            that fsspec knows, which a task copies to its own disk first and removes
            afterwards. One that is named twice is read once.
        steps: Steps for the sessions to pass through in the same task.
        open_loader: Gives the loader for a path; by default the format is recognised
            by its content. For tables with columns of other names:
            `functools.partial(TableChatLoader, columns=...)`.
        parts: In how many parts each export is read. More than one is worth it for few
            large exports, since each task finds out first what is in the whole.
        tasks: How many tasks share the parts; by default there is one for each, and at
            most 10,000. Fewer are worth it for many small exports, since a task takes
            a while to start.
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
        ValueError: If there are no paths, or fsspec does not know a URL's protocol.
    """
    plan = _Plan.of(paths, parts=parts, tasks=tasks)
    reader = _Reader(steps, open_loader, plan.begin_counts(counts))
    return plan.dataset(reader).flat_map(reader.sessions, **(ray_remote_args or {}))


def read_examples(
    paths: str | Path | Iterable[str | Path],
    steps: SessionTransform,
    *,
    system: str | None = None,
    keep_leading: bool = True,
    keep_trailing: bool = False,
    open_loader: Callable[[Path], BaseChatLoader] | None = None,
    parts: int = 1,
    tasks: int | None = None,
    counts: str | Path | None = None,
    ray_remote_args: Mapping[str, Any] | None = None,
) -> Dataset:
    """Read exports and make training examples of them, as a Ray dataset.

    The same examples as `to_training_examples` makes of the same loaders and steps, in
    one task from the export to the example.

    Args:
        paths: As for `read_exports`.
        steps: Steps for the sessions to pass through; `MapAIMessages` among them.
        system: As for `to_training_examples`.
        keep_leading: As for `to_training_examples`.
        keep_trailing: As for `to_training_examples`.
        open_loader: As for `read_exports`.
        parts: As for `read_exports`.
        tasks: As for `read_exports`.
        counts: As for `read_exports`.
        ray_remote_args: As for `read_exports`.

    Returns:
        A dataset with the columns `messages`, `conversation` (an id, for `part_of`),
        `first` and `last` (times of the oldest and the newest message, in Unix
        seconds).

    Raises:
        ExportFormatError: As for `read_exports`.
        ImportError: As for `read_exports`.
        MissingExtraError: If Ray is not installed.
        ValueError: As for `read_exports`.
    """
    plan = _Plan.of(paths, parts=parts, tasks=tasks)
    options = (system, keep_leading, keep_trailing)
    reader = _Reader(steps, open_loader, plan.begin_counts(counts), options)
    return plan.dataset(reader).flat_map(reader.examples, **(ray_remote_args or {}))


def session_of_row(row: dict[str, Any]) -> ChatSession:
    """Give the session of a row of `read_exports`.

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
    """Give a function for `Dataset.flat_map` that passes rows through steps.

    Args:
        steps: A step or a pipeline of steps.

    Returns:
        A function from a row of `read_exports` to such rows.
    """

    def rows(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for session in steps.lazy_transform([session_of_row(row)]):
            yield _row(session)

    return rows


@dataclass(frozen=True)
class _Plan:
    """What is read, in how many parts, by how many tasks."""

    paths: Sequence[str]
    parts: int
    tasks: int

    @classmethod
    def of(
        cls, paths: str | Path | Iterable[str | Path], *, parts: int, tasks: int | None
    ) -> Self:
        """Check what was asked for."""
        _ray_data()  # Without it there is no run.
        given = [paths] if isinstance(paths, (str, Path)) else paths
        listed = list(dict.fromkeys(map(absolute, given)))
        if not listed or parts < 1 or (tasks is not None and tasks < 1):
            msg = "There must be at least one path, one part and one task."
            raise ValueError(msg)
        most = _MOST_TASKS if tasks is None else tasks
        return cls(listed, parts, min(most, len(listed) * parts))

    def begin_counts(self, folder: str | Path | None) -> RunCounts | None:
        """Make the folder of the counts, if they are wanted."""
        if folder is None:
            return None
        return RunCounts.begin(
            absolute(folder), exports=len(self.paths), parts=self.parts
        )

    def dataset(self, reader: _Reader) -> Dataset:
        """Give a dataset with a row for each part of each export, a block a task."""
        data = _ray_data()
        if self.parts == 1:
            units = [{"path": path, "index": 0, "count": 1} for path in self.paths]
            return data.from_items(units, override_num_blocks=self.tasks)
        # The state of each export is looked at once, when the run begins, and every
        # part is held against it.
        exports = [{"path": path, "count": self.parts} for path in self.paths]
        blocks = min(self.tasks, len(exports))
        return (
            data.from_items(exports, override_num_blocks=blocks)
            .flat_map(reader.parts)
            .repartition(self.tasks)
        )


@dataclass(frozen=True)
class _Reader:
    """What a task does with its export."""

    steps: SessionTransform | None
    open_loader: Callable[[Path], BaseChatLoader] | None
    counts: RunCounts | None
    example_options: tuple[str | None, bool, bool] = (None, True, False)

    def parts(self, export: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Give the parts of an export, with its state."""
        try:
            state = self._state(export["path"])
        except _UNREADABLE:
            state = ""  # Whoever reads a part finds out why.
        for index in range(export["count"]):
            yield {**export, "index": index, "state": state}

    def sessions(self, unit: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Give the sessions of an export as rows."""
        yield from self._counted(unit, self._session_rows)

    def examples(self, unit: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Give the examples of an export as rows."""
        yield from self._counted(unit, self._example_rows)

    def _counted(
        self,
        unit: dict[str, Any],
        rows: Callable[[CountedPass, ExampleCounts], Iterable[dict[str, Any]]],
    ) -> Iterator[dict[str, Any]]:
        """Read an export, and write its counts when it was read to its end."""
        made = ExampleCounts()
        counted: CountedPass | None = None
        reason = None
        try:
            with fetched(unit["path"]) as path:
                loader = self._loader(path, unit)
                if loader is not None:
                    steps = [self.steps] if self.steps is not None else []
                    counted = counted_pass(loader, steps)
                    yield from rows(counted, made)
                self._check_state(unit)
        except _UNREADABLE as error:
            if self.counts is None:
                raise
            reason = type(error).__name__
        if self.counts is not None:
            summary = counted.summary() if counted is not None else None
            self.counts.write(unit, summary=summary, examples=made, error=reason)

    def _check_state(self, unit: dict[str, Any]) -> None:
        """Make sure that an export in parts is what it was when the run began."""
        if unit["count"] > 1 and self._state(unit["path"]) != unit["state"]:
            raise changed_meanwhile()

    def _state(self, path: str) -> str:
        if is_url(path):
            return state_of_url(path)
        loader = self._open(Path(path))
        return repr(loader.stamp()) if isinstance(loader, ChatExportLoader) else ""

    def _open(self, path: Path) -> BaseChatLoader:
        if self.open_loader is not None:
            return self.open_loader(path)
        return open_export(path).loader

    def _loader(self, path: Path, unit: dict[str, Any]) -> BaseChatLoader | None:
        """Give the loader of the unit's part, if the format can be read in parts."""
        loader = self._open(path)
        if isinstance(loader, ChatExportLoader) and unit["count"] > 1:
            shares: list[BaseChatLoader] = [*loader.shares(unit["count"])]
        else:
            shares = [loader]
        return shares[unit["index"]] if unit["index"] < len(shares) else None

    @staticmethod
    def _session_rows(
        counted: CountedPass, _made: ExampleCounts
    ) -> Iterator[dict[str, Any]]:
        for session in counted:
            yield _row(session)

    def _example_rows(
        self, counted: CountedPass, made: ExampleCounts
    ) -> Iterator[dict[str, Any]]:
        system, keep_leading, keep_trailing = self.example_options
        examples = trace_examples(
            counted,
            system=system,
            keep_leading=keep_leading,
            keep_trailing=keep_trailing,
            counts=made,
        )
        try:
            for example, origin in examples:
                yield {
                    "messages": example["messages"],
                    "conversation": origin.thread_id or origin.session_id,
                    "first": origin.first,
                    "last": origin.last,
                }
        except SenderNotFoundError:
            # The AI may speak in other exports; the counts tell of this one.
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
