"""The parts of exports, each written into a folder of its own by some process."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from langchain_chatexports.chat_loaders.base import ChatExportLoader, counted_pass
from langchain_chatexports.chat_loaders.shares import changed_meanwhile
from langchain_chatexports.exceptions import SenderNotFoundError
from langchain_chatexports.finetuning.examples import ExampleCounts
from langchain_chatexports.finetuning.provenance import trace_examples
from langchain_chatexports.finetuning.writers.formats import dataset_format
from langchain_chatexports.finetuning.writers.rows import RowWriter
from langchain_chatexports.writing import explained_writing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from langchain_core.chat_loaders import BaseChatLoader
    from typing_extensions import Self

    from langchain_chatexports.chat_loaders.accounting import ExportSummary
    from langchain_chatexports.finetuning.writers.formats import FormatName
    from langchain_chatexports.finetuning.writers.rows import RowCounts
    from langchain_chatexports.steps import SessionTransform

__all__ = ["Done", "Order", "Shards", "Task", "write_shard"]

# Large conversations take longer, and cores are not equally free: who is done first
# takes one more. Each part costs a look at its whole export, so there are no more than
# are needed.
_PARTS_OF_EACH = 3


@dataclass(frozen=True)
class Order:
    """What is the same for all tasks."""

    options: Mapping[str, Any]
    format: FormatName
    path: Path
    """What the user calls the set, for errors."""

    name: str
    """The name of the file."""


@dataclass(frozen=True)
class Task:
    """A part to read, and the folder to write its rows into."""

    loader: BaseChatLoader
    steps: Sequence[SessionTransform]
    order: Order
    folder: Path


@dataclass(frozen=True)
class Done:
    """What was found in a part."""

    summary: ExportSummary
    examples: ExampleCounts
    rows: RowCounts


class Shards:
    """The folders of all parts, in order, and the tasks that fill them.

    Use it in a `with`: what is read may be copies, which go at its end.
    """

    def __init__(
        self,
        sources: Sequence[tuple[BaseChatLoader, Sequence[SessionTransform]]],
        workers: int,
        order: Order,
        folder: Path,
    ) -> None:
        """Make the folders, in a folder for each loader.

        Args:
            sources: The loaders, each with the steps for its sessions.
            workers: How many processes there are.
            order: What is the same for all tasks.
            folder: Where to make the folders.
        """
        self._sources, self._order = sources, order
        wanted = workers * _PARTS_OF_EACH // max(1, len(sources))
        self._parts = max(workers, wanted) if workers > 1 else 1
        self.folders = [
            _new_folders(folder / str(number), len(self._parts_of(loader)))
            for number, (loader, _) in enumerate(sources)
        ]
        self._snapshots = ExitStack()
        self._stamps: list[tuple[ChatExportLoader, object]] = []

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Let go of what is read."""
        self._snapshots.close()

    def __len__(self) -> int:
        """Count the parts."""
        return sum(map(len, self.folders))

    def __iter__(self) -> Iterator[Path]:
        """Iterate over the folders."""
        return chain.from_iterable(self.folders)

    def tasks(self) -> Iterator[Task]:
        """Give the tasks.

        A loader is asked for a snapshot when the first of its parts is due.
        """
        for (loader, steps), folders in zip(self._sources, self.folders, strict=True):
            read = loader
            if isinstance(loader, ChatExportLoader):
                stamp = loader.stamp()
                read = self._snapshots.enter_context(loader.snapshot())
                self._stamps.append((read, stamp))
            for part, folder in zip(self._parts_of(read), folders, strict=True):
                yield Task(part, steps, self._order, folder)

    def check_unchanged(self) -> None:
        """Make sure that all parts were read of one state of their export.

        Raises:
            ExportFormatError: If an export was changed meanwhile.
        """
        # What has no stamp cannot change, such as a copy.
        if any(loader.stamp() not in (None, stamp) for loader, stamp in self._stamps):
            raise changed_meanwhile()

    def _parts_of(self, loader: BaseChatLoader) -> Sequence[BaseChatLoader]:
        if isinstance(loader, ChatExportLoader):
            return loader.shares(self._parts)
        return [loader]


def write_shard(task: Task) -> Done:
    """Write the rows of a part into its folder.

    Args:
        task: What to do.

    Returns:
        What was found; a part may well have nothing by the AI.
    """
    order, counts = task.order, ExampleCounts()
    counted = counted_pass(task.loader, task.steps)
    # Lines are joined one by one, whatever kind of file they end in.
    kind = replace(dataset_format(order.format), suffix=".jsonl")
    with explained_writing(order.path) as watched, RowWriter(kind, task.folder) as rows:
        examples = trace_examples(counted, **order.options, counts=counts)
        rows.write(order.name, watched(_until_the_end(examples)))
    return Done(counted.summary(), counts, rows.counts)


def _new_folders(folder: Path, count: int) -> list[Path]:
    folders = [folder / str(number) for number in range(count)]
    for new in (folder, *folders):
        new.mkdir(mode=0o700)
    return folders


def _until_the_end(examples: Iterator[Any]) -> Iterator[Any]:
    try:
        yield from examples
    except SenderNotFoundError:
        # Said of the whole, if it is true of the whole.
        return
