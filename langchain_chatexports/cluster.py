"""Read many exports with Ray Data: the same loaders and steps on a cluster.

```python
from langchain_chatexports import ChunkSessions, MapAIMessages, MergeChatRuns
from langchain_chatexports.cluster import JsonLines, read_examples

steps = MergeChatRuns() | MapAIMessages() | ChunkSessions(8, 2)
examples = read_examples(["exports/a.zip", "exports/b.zip"], steps)
examples.write_datasink(JsonLines("examples"))
```

If a worker dies, Ray reruns its task, without duplicate rows. Tasks share no state, so
duplicate messages in two exports are only dropped if the same task reads both: put the
exports of one person into a folder, and pass the folder.

For one export, you do not need a cluster: one process reads a million messages in less
than half a minute. This module needs the extra `ray`.
"""

import json
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from langchain_core.chat_loaders import BaseChatLoader
from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import message_to_dict, messages_from_dict

from langchain_chatexports._parts import part_file
from langchain_chatexports.chat_loaders.pipe import read_loaders
from langchain_chatexports.chat_loaders.recognition import open_exports
from langchain_chatexports.datasets.jsonl import json_line
from langchain_chatexports.datasets.trace import trace_examples
from langchain_chatexports.exceptions import (
    ChatExportError,
    MissingExtraError,
    SenderNotFoundError,
)
from langchain_chatexports.steps.base import SessionTransform

if TYPE_CHECKING:
    from ray.data import Dataset

OpenLoader = Callable[[Path], BaseChatLoader]
_Read = Callable[[str], Iterator[ChatSession]]

# Errors from damaged exports and failing disks.
_READ_ERRORS = (ChatExportError, OSError)


def read_exports(
    paths: Iterable[str | Path],
    steps: SessionTransform | None = None,
    *,
    open_loader: OpenLoader | None = None,
    skip_unreadable: bool = False,
    **ray_remote_args: Any,
) -> "Dataset":
    """Read exports as a Ray dataset, one row per conversation.

    The dataset is lazy. A task reads one path, one conversation at a time.

    Args:
        paths: Exports, or folders of exports, on a shared file system. Duplicate paths
            are read once.
        steps: Steps to apply in the same task.
        open_loader: A function that returns the loader for a path; by default the
            format is recognized.
        skip_unreadable: Warn about unreadable exports and continue. Rows read before
            the error are kept.
        **ray_remote_args: Ray's options for the tasks, such as `memory`.

    Returns:
        A dataset with the columns `id`, `platform` and `session`; `session_of_row`
        turns a row into a `ChatSession`.

    Raises:
        MissingExtraError: If Ray is not installed.
        ValueError: If there are no paths.
    """
    read = partial(
        _load_sessions, open_loader=open_loader, skip_unreadable=skip_unreadable
    )
    rows = partial(_read_session_rows, steps, read)
    return _create_path_dataset(paths).flat_map(rows, **ray_remote_args)


def read_examples(
    paths: Iterable[str | Path],
    steps: SessionTransform,
    *,
    open_loader: OpenLoader | None = None,
    skip_unreadable: bool = False,
    example_options: Mapping[str, Any] | None = None,
    **ray_remote_args: Any,
) -> "Dataset":
    """Read exports as training examples, one row per example.

    The examples are identical to those of `to_training_examples`. An export without AI
    messages yields none.

    Args:
        paths: The exports, as for `read_exports`.
        steps: Steps to apply, including `MapAIMessages`.
        open_loader: A function that returns the loader for a path.
        skip_unreadable: Continue after an unreadable export.
        example_options: Options of `to_training_examples`, such as `system`.
        **ray_remote_args: Ray's options for the tasks.

    Returns:
        A dataset with the columns `example` (JSON, for `JsonLines`), `conversation`
        (its id), `first` and `last` (times of the first and last message, in Unix
        seconds).
    """
    read = partial(
        _load_sessions, open_loader=open_loader, skip_unreadable=skip_unreadable
    )
    rows = partial(_read_example_rows, steps, read, dict(example_options or {}))
    return _create_path_dataset(paths).flat_map(rows, **ray_remote_args)


def session_of_row(row: Mapping[str, Any]) -> ChatSession:
    """Convert a row of `read_exports` to a session."""
    values = json.loads(row["session"])
    values["messages"] = messages_from_dict(values["messages"])
    return cast("ChatSession", values)


def _import_ray_data() -> Any:
    try:
        import ray.data
    except ImportError as error:
        feature = "Reading exports with Ray"
        raise MissingExtraError(feature, "ray") from error
    return ray.data


def _create_path_dataset(paths: Iterable[str | Path]) -> "Dataset":
    unique_paths = dict.fromkeys(
        os.path.realpath(Path(path).expanduser()) for path in paths
    )
    if not unique_paths:
        msg = "No exports to read. Pass at least one path."
        raise ValueError(msg)
    return _import_ray_data().from_items(
        [{"path": path} for path in unique_paths], override_num_blocks=len(unique_paths)
    )


def _open_loaders(path: str, open_loader: OpenLoader | None) -> list[BaseChatLoader]:
    if open_loader is not None:
        return [open_loader(Path(path))]
    return [export.loader for export in open_exports([path])]


def _load_sessions(
    path: str, open_loader: OpenLoader | None, *, skip_unreadable: bool
) -> Iterator[ChatSession]:
    try:
        for reading in read_loaders(_open_loaders(path, open_loader)):
            yield from reading.load()
    except _READ_ERRORS as error:
        if not skip_unreadable:
            raise
        warnings.warn(f"Skipped {path} ({type(error).__name__}).", stacklevel=2)


def _read_session_rows(
    steps: SessionTransform | None, read: _Read, row: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    sessions = read(row["path"])
    for session in steps.lazy_transform(sessions) if steps else sessions:
        values: dict[str, Any] = {**session}
        values["messages"] = [message_to_dict(m) for m in session["messages"]]
        metadata = values.get("metadata", {})
        yield {
            "id": metadata.get("id"),
            "platform": metadata.get("platform"),
            "session": json.dumps(values),
        }


def _read_example_rows(
    steps: SessionTransform,
    read: _Read,
    options: Mapping[str, Any],
    row: Mapping[str, Any],
) -> Iterator[dict[str, Any]]:
    sessions = steps.lazy_transform(read(row["path"]))
    # This export has no AI messages, but others may.
    with suppress(SenderNotFoundError):
        for example, origin in trace_examples(sessions, **options):
            yield {
                "example": json_line(example).decode(),
                "conversation": origin.thread_id or origin.session_id,
                "first": origin.first,
                "last": origin.last,
            }


def __getattr__(name: str) -> Any:
    if name == "JsonLines":  # Created on first use: its base class is in Ray.
        return _create_json_lines_class()
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)


@cache
def _create_json_lines_class() -> Any:
    _import_ray_data()
    from ray.data.datasource import BlockBasedFileDatasink

    class JsonLines(BlockBasedFileDatasink):  # type: ignore[misc]  # Ray is untyped.
        """Writes the rows of `read_examples` as JSON Lines to private files."""

        def __init__(self, path: str | Path, **options: Any) -> None:
            folder = Path(path).expanduser().absolute()
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            super().__init__(str(folder), file_format="jsonl", **options)

        def write_block_to_file(self, block: Any, file: Any) -> None:
            """Write a block of rows."""
            for row in block.iter_rows(public_row_format=False):
                file.write(row["example"].encode())

        @contextmanager
        def open_output_stream(self, path: str) -> Iterator[IO[bytes]]:
            """Write a file atomically, readable only by its owner."""
            target = Path(path)
            with part_file(target.parent) as part:
                with part.open("wb") as stream:
                    yield stream
                part.replace(target)

    return JsonLines
