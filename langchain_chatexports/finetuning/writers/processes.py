"""Write a set with several processes: each reads parts of the conversations.

A process opens the export itself, reads a part, and writes its rows and their trace
into a folder of the part's own; nothing but counts comes back. The parts are joined in
order, so the files are those that one process writes.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from langchain_chatexports.chat_loaders.shares import add_summaries
from langchain_chatexports.finetuning.card import CardNotes
from langchain_chatexports.finetuning.examples import ExampleCounts, require_assistant
from langchain_chatexports.finetuning.writers.formats import dataset_format
from langchain_chatexports.finetuning.writers.shards import Order, Shards
from langchain_chatexports.finetuning.writers.workers import run_all
from langchain_chatexports.finetuning.writers.write import write_set

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from langchain_core.chat_loaders import BaseChatLoader

    from langchain_chatexports.chat_loaders.accounting import ExportSummary
    from langchain_chatexports.finetuning.writers.formats import FormatName
    from langchain_chatexports.finetuning.writers.rows import RowCounts, RowWriter
    from langchain_chatexports.finetuning.writers.shards import Done
    from langchain_chatexports.finetuning.writers.write import Watch, WrittenSet
    from langchain_chatexports.steps import SessionTransform

__all__ = ["write_in_processes"]


def write_in_processes(
    sources: Sequence[tuple[BaseChatLoader, Sequence[SessionTransform]]],
    path: str | Path,
    *,
    workers: int,
    format: FormatName = "openai",
    notes: CardNotes | None = None,
    system: str | None = None,
    keep_leading: bool = True,
    keep_trailing: bool = False,
    check: Callable[[Sequence[ExportSummary]], None] | None = None,
    on_part: Callable[[int, int, ExportSummary], None] | None = None,
    meanwhile: Callable[[], None] | None = None,
) -> WrittenSet:
    """Write the examples of loaders for a trainer, with several processes.

    The same bytes in the same order as `write_dataset` writes of `trace_examples` of
    these loaders through these steps. A program that calls this must guard its main
    module (`if __name__ == "__main__":`), since processes start by importing it.

    Args:
        sources: The loaders, each with the steps for its sessions.
        path: The file to write, or the folder for formats that are one.
        workers: How many processes read.
        format: The trainer's format, one that needs no validation part.
        notes: What the card says of sources and consent; counts are added here.
        system: As for `trace_examples`.
        keep_leading: As for `trace_examples`.
        keep_trailing: As for `trace_examples`.
        check: Given the counts of each loader before anything is published, it may
            raise.
        on_part: Told how many of how many parts are done, each time that one is, and
            what was in it.
        meanwhile: Called once, when the processes run and this one would only wait.

    Returns:
        What was written.

    Raises:
        ChatExportError: As the loaders, the steps and `write_dataset` raise; also if a
            process was killed, or an export was changed while it was read. Nothing is
            written then.
        ValueError: If there is less than one worker.
    """
    if workers < 1:
        msg = f"There must be at least one worker, not {workers}."
        raise ValueError(msg)
    path = Path(path).expanduser()
    kind = dataset_format(format)
    total = ExampleCounts()
    notes = replace(notes or CardNotes(), counts=total)
    options = {
        "system": system,
        "keep_leading": keep_leading,
        "keep_trailing": keep_trailing,
    }

    def fill(rows: RowWriter, names: Mapping[str, str], watched: Watch) -> None:
        (name,) = names.values()
        order = Order(options, format, path, name)
        with Shards(sources, workers, order, rows.folder.parent) as shards:
            # Begun by who joins them, which first makes sure that the file can be
            # written.
            rows.join(name, watched(finished(shards)))

    def finished(shards: Shards) -> Iterator[tuple[Path, RowCounts]]:
        done: dict[Path, Done] = {}
        processes = min(workers, len(shards))
        with closing(run_all(shards.tasks(), processes, meanwhile)) as results:
            for task, result in results:
                done[task.folder] = result
                if on_part is not None:
                    on_part(len(done), len(shards), result.summary)
        for folder in shards:
            total.add(done[folder].examples)
        notes.passes = summaries = [
            add_summaries([done[folder].summary for folder in of_loader])
            for of_loader in shards.folders
        ]
        if check is not None:
            check(summaries)
        require_assistant(total)
        shards.check_unchanged()
        for folder in shards:
            yield folder, done[folder].rows

    return write_set(path, kind, ["train"], fill, is_folder=kind.is_folder, notes=notes)
