"""Write a set with several processes: each reads a part of the conversations.

A process opens the export itself, reads its part, and writes its rows and their trace
into a folder of its own; nothing but counts comes back. The parts are joined in order,
so the files are those that one process writes.
"""

from __future__ import annotations

import gc
import multiprocessing
import pickle
import signal
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_chatexports.chat_loaders.base import ChatExportLoader, counted_pass
from langchain_chatexports.chat_loaders.shares import add_summaries
from langchain_chatexports.exceptions import (
    ChatExportError,
    ExportFormatError,
    SenderNotFoundError,
)
from langchain_chatexports.finetuning.card import CardNotes
from langchain_chatexports.finetuning.examples import ExampleCounts, require_assistant
from langchain_chatexports.finetuning.provenance import trace_examples
from langchain_chatexports.finetuning.writers.formats import dataset_format
from langchain_chatexports.finetuning.writers.rows import RowWriter
from langchain_chatexports.finetuning.writers.write import write_set

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from multiprocessing.context import SpawnProcess

    from langchain_core.chat_loaders import BaseChatLoader

    from langchain_chatexports.chat_loaders.accounting import ExportSummary
    from langchain_chatexports.finetuning.writers.formats import FormatName
    from langchain_chatexports.finetuning.writers.rows import RowCounts
    from langchain_chatexports.finetuning.writers.write import Watch, WrittenSet
    from langchain_chatexports.steps import SessionTransform

__all__ = ["write_in_processes"]

_RESULT = "result"


@dataclass(frozen=True)
class _Task:
    """What one process does."""

    loader: BaseChatLoader
    steps: tuple[SessionTransform, ...]
    options: Mapping[str, Any]
    format: FormatName
    name: str
    folder: Path


@dataclass(frozen=True)
class _Done:
    """What a process found."""

    summary: ExportSummary
    examples: ExampleCounts
    rows: RowCounts


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
    on_part: Callable[[int, int], None] | None = None,
) -> WrittenSet:
    """Write the examples of loaders for a trainer, with several processes.

    The same bytes in the same order as `write_dataset` writes of `trace_examples` of
    these loaders through these steps. A program that calls this must guard its main
    module (`if __name__ == "__main__":`), since processes start by importing it.

    Args:
        sources: The loaders, each with the steps for its sessions.
        path: The file to write, or the folder for formats that are one.
        workers: How many processes read each loader's conversations.
        format: The trainer's format, one that needs no validation part.
        notes: What the card says of sources and consent; counts are added here.
        system: As for `trace_examples`.
        keep_leading: As for `trace_examples`.
        keep_trailing: As for `trace_examples`.
        check: Given the counts of each loader before anything is published, it may
            raise.
        on_part: Told how many of how many parts are done, each time that one is.

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
    kind = dataset_format(format)
    total = ExampleCounts()
    notes = replace(notes or CardNotes(), counts=total)
    options = {
        "system": system,
        "keep_leading": keep_leading,
        "keep_trailing": keep_trailing,
    }

    def fill(rows: RowWriter, names: Mapping[str, str], _watched: Watch) -> None:
        (name,) = names.values()
        stamps = [_stamp(loader) for loader, _ in sources]
        shards: list[list[_Task]] = []
        for number, (loader, steps) in enumerate(sources):
            parts = _parts(loader, workers)
            folders = [rows.folder.parent / f"{number}-{k}" for k in range(len(parts))]
            shards.append(
                [
                    _Task(part, tuple(steps), options, format, name, folder)
                    for part, folder in zip(parts, folders, strict=True)
                ]
            )
        tasks = [task for of_loader in shards for task in of_loader]
        _run_all(tasks, workers, on_part)
        done = {task.folder: _result(task) for task in tasks}
        for result in done.values():
            total.add(result.examples)
        summaries = [
            add_summaries([done[task.folder].summary for task in of_loader])
            for of_loader in shards
        ]
        notes.passes = summaries
        if check is not None:
            check(summaries)
        require_assistant(total)
        if [_stamp(loader) for loader, _ in sources] != stamps:
            msg = (
                "An export was changed while it was read, so its parts may not fit "
                "together. Run it again, or read a copy."
            )
            raise ExportFormatError(msg)
        rows.join(name, ((task.folder, done[task.folder].rows) for task in tasks))

    return write_set(
        Path(path).expanduser(),
        kind,
        ["train"],
        fill,
        is_folder=kind.is_folder,
        notes=notes,
    )


def _parts(loader: BaseChatLoader, count: int) -> Sequence[BaseChatLoader]:
    return loader.shares(count) if isinstance(loader, ChatExportLoader) else [loader]


def _stamp(loader: BaseChatLoader) -> object:
    return loader.stamp() if isinstance(loader, ChatExportLoader) else None


def _run_all(
    tasks: Sequence[_Task], workers: int, on_part: Callable[[int, int], None] | None
) -> None:
    """Run a process for each task, so many at a time; all end when one fails."""
    context = multiprocessing.get_context("spawn")
    waiting = list(reversed(tasks))
    running: list[tuple[SpawnProcess, _Task]] = []
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                task = waiting.pop()
                task.folder.mkdir(mode=0o700)
                process = context.Process(target=_work, args=(task,), daemon=True)
                process.start()
                running.append((process, task))
            wait([process.sentinel for process, _ in running])
            ended = [pair for pair in running if not pair[0].is_alive()]
            running = [pair for pair in running if pair not in ended]
            for process, task in ended:
                _result(task, process.exitcode)
            if on_part is not None and ended:
                on_part(len(tasks) - len(waiting) - len(running), len(tasks))
    finally:
        for process, _ in running:
            process.kill()
            process.join()


def _work(task: _Task) -> None:
    """Do a task in a process of its own, and leave what was found in its folder."""
    # An interrupt at the terminal reaches every process: the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The process is ours alone. What was imported stays, and need not be looked at.
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
    result: _Done | BaseException
    try:
        result = _write_shard(task)
    except Exception as error:  # noqa: BLE001 - It is raised where it can be handled.
        result = error
    with (task.folder / _RESULT).open("wb") as file:
        pickle.dump(result, file)


def _write_shard(task: _Task) -> _Done:
    counted = counted_pass(task.loader, task.steps)
    counts = ExampleCounts()
    with RowWriter(dataset_format(task.format), task.folder) as rows:
        examples = trace_examples(counted, **task.options, counts=counts)
        rows.write(task.name, _until_the_end(examples))
    return _Done(counted.summary(), counts, rows.counts)


def _until_the_end(examples: Iterator[Any]) -> Iterator[Any]:
    try:
        yield from examples
    except SenderNotFoundError:
        # Said of the whole, if it is true of the whole.
        return


def _result(task: _Task, exit_code: int | None = 0) -> _Done:
    try:
        with (task.folder / _RESULT).open("rb") as file:
            result = pickle.load(file)  # noqa: S301 - Written by a process of ours.
    except (OSError, EOFError, pickle.UnpicklingError):
        result = None
    if isinstance(result, BaseException):
        raise result
    if exit_code or not isinstance(result, _Done):
        msg = (
            f"A process that read a part of the export ended early (exit code "
            f"{exit_code}): it was killed, or the memory was short. Nothing was "
            "written. Run it again with fewer workers."
        )
        raise ChatExportError(msg)
    return result
