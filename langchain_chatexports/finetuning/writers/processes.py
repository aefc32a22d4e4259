"""Write a set with several processes: each reads a part of the conversations.

A process opens the export itself, reads its part, and writes its rows and their trace
into a folder of its own; nothing but counts comes back. The parts are joined in order,
so the files are those that one process writes.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import shutil
import signal
import threading
import warnings
from contextlib import closing
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_chatexports.chat_loaders.base import ChatExportLoader, counted_pass
from langchain_chatexports.chat_loaders.shares import add_summaries, changed_meanwhile
from langchain_chatexports.exceptions import ChatExportError, SenderNotFoundError
from langchain_chatexports.finetuning.card import CardNotes
from langchain_chatexports.finetuning.examples import ExampleCounts, require_assistant
from langchain_chatexports.finetuning.provenance import trace_examples
from langchain_chatexports.finetuning.writers.formats import dataset_format
from langchain_chatexports.finetuning.writers.rows import RowWriter
from langchain_chatexports.finetuning.writers.write import write_set
from langchain_chatexports.writing import explained_writing

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
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
    path: Path
    """What the user calls the set, for errors."""

    name: str
    folder: Path


@dataclass(frozen=True)
class _Done:
    """What a process found."""

    summary: ExportSummary
    examples: ExampleCounts
    rows: RowCounts


@dataclass(frozen=True)
class _Ended:
    """What a process leaves behind."""

    result: _Done | Exception
    warned: Sequence[tuple[str, type[Warning]]]


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
    meanwhile: Callable[[], None] | None = None,
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
        shards = [
            [
                _Task(part, tuple(steps), options, format, path, name, folder)
                for part, folder in _parts(
                    loader, workers, rows.folder.parent / str(number)
                )
            ]
            for number, (loader, steps) in enumerate(sources)
        ]
        # Begun by who joins them, which first makes sure that the file can be written.
        rows.join(name, watched(finished(shards)))

    def finished(shards: Sequence[Sequence[_Task]]) -> Iterator[tuple[Path, RowCounts]]:
        stamps = [_stamp(loader) for loader, _ in sources]
        tasks = [task for of_loader in shards for task in of_loader]
        done: dict[Path, _Done] = {}
        with closing(_run_all(tasks, workers, meanwhile)) as ended:
            for folder, result in ended:
                done[folder] = result
                if on_part is not None:
                    on_part(len(done), len(tasks))
        for task in tasks:
            total.add(done[task.folder].examples)
        notes.passes = summaries = [
            add_summaries([done[task.folder].summary for task in of_loader])
            for of_loader in shards
        ]
        if check is not None:
            check(summaries)
        require_assistant(total)
        if [_stamp(loader) for loader, _ in sources] != stamps:
            raise changed_meanwhile()
        for task in tasks:
            yield task.folder, done[task.folder].rows

    return write_set(path, kind, ["train"], fill, is_folder=kind.is_folder, notes=notes)


def _parts(
    loader: BaseChatLoader, count: int, folder: Path
) -> Iterator[tuple[BaseChatLoader, Path]]:
    """Give the parts of a loader, each with a new folder in a new folder."""
    folder.mkdir(mode=0o700)
    shares = loader.shares(count) if isinstance(loader, ChatExportLoader) else [loader]
    for number, part in enumerate(shares):
        own = folder / str(number)
        own.mkdir(mode=0o700)
        yield part, own


def _stamp(loader: BaseChatLoader) -> object:
    return loader.stamp() if isinstance(loader, ChatExportLoader) else None


def _run_all(
    tasks: Sequence[_Task], workers: int, meanwhile: Callable[[], None] | None
) -> Generator[tuple[Path, _Done], None, None]:
    """Run a process for each task, so many at a time; all end when one fails."""
    context = multiprocessing.get_context("spawn")
    waiting = list(reversed(tasks))
    running: list[tuple[SpawnProcess, _Task]] = []
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                task = waiting.pop()
                process = context.Process(target=_work, args=(task,), daemon=True)
                process.start()
                running.append((process, task))
            if meanwhile is not None:
                meanwhile()
                meanwhile = None
            wait([process.sentinel for process, _ in running])
            ended = [pair for pair in running if not pair[0].is_alive()]
            running = [pair for pair in running if pair not in ended]
            for process, task in ended:
                yield task.folder, _result(task, process.exitcode)
    finally:
        for process, _ in running:
            process.kill()
            process.join()


def _result(task: _Task, exit_code: int | None) -> _Done:
    """Give what a process found; raise its error, and repeat its warnings."""
    result = task.folder / _RESULT
    if exit_code or not result.exists():
        raise _early_end(exit_code)
    with result.open("rb") as file:
        ended: _Ended = pickle.load(file)  # noqa: S301 - Written by a process of ours.
    for text, category in ended.warned:
        warnings.warn(text, category, stacklevel=2)
    if isinstance(ended.result, Exception):
        raise ended.result
    return ended.result


def _early_end(exit_code: int | None) -> ChatExportError:
    msg = (
        f"A process that read a part of the export ended early (exit code {exit_code}),"
        " and nothing was written: "
    )
    if exit_code == 1:
        msg += (
            "what it said is above. A program that starts processes needs the guard "
            '`if __name__ == "__main__":`.'
        )
    else:
        msg += (
            "it was killed, or the memory was short. Run it again with fewer workers."
        )
    return ChatExportError(msg)


def _work(task: _Task) -> None:
    """Do a task in a process of its own, and leave what was found in its folder."""
    # An interrupt at the terminal reaches every process: the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # The process is ours alone. What was imported stays, and need not be looked at.
    gc.freeze()
    gc.set_threshold(1_000_000, 20, 100)
    result: _Done | Exception
    with warnings.catch_warnings(record=True) as caught:
        try:
            result = _write_shard(task)
        except Exception as error:  # noqa: BLE001 - It is raised where it can be handled.
            result = _portable(error)
            # The error needs room, and the disk may be full.
            shutil.rmtree(task.folder, ignore_errors=True)
            task.folder.mkdir(mode=0o700, exist_ok=True)
    # Who called decides what becomes of warnings.
    warned = [(str(warning.message), warning.category) for warning in caught]
    with (task.folder / _RESULT).open("wb") as file:
        pickle.dump(_Ended(result, warned), file)


def _end_with_parent() -> None:
    """End this process if the first one is killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _portable(error: Exception) -> Exception:
    """Give an error that can be pickled."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - Written by this process.
    except Exception:  # noqa: BLE001 - Any error, by whoever wrote its class.
        msg = (
            f"A process that read a part of the export failed: {type(error).__name__}. "
            "Nothing was written. Run it with one worker to see where."
        )
        return ChatExportError(msg)
    return error


def _write_shard(task: _Task) -> _Done:
    counted = counted_pass(task.loader, task.steps)
    counts = ExampleCounts()
    # Lines are joined one by one, whatever kind of file they end in.
    kind = replace(dataset_format(task.format), suffix=".jsonl")
    with explained_writing(task.path) as watched, RowWriter(kind, task.folder) as rows:
        examples = trace_examples(counted, **task.options, counts=counts)
        rows.write(task.name, watched(_until_the_end(examples)))
    return _Done(counted.summary(), counts, rows.counts)


def _until_the_end(examples: Iterator[Any]) -> Iterator[Any]:
    try:
        yield from examples
    except SenderNotFoundError:
        # Said of the whole, if it is true of the whole.
        return
