"""The processes that write shards: started, given tasks, and ended together."""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
import threading
import warnings
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.finetuning.writers.shards import Done, write_shard

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from multiprocessing.connection import Connection

    from langchain_chatexports.finetuning.writers.shards import Task

__all__ = ["run_all"]


@dataclass(frozen=True)
class _Ended:
    """What became of a task."""

    result: Done | Exception
    warned: Sequence[tuple[str, type[Warning]]]


def run_all(
    tasks: Iterator[Task], processes: int, meanwhile: Callable[[], None] | None
) -> Generator[tuple[Task, Done], None, None]:
    """Write shards with several processes; all of them end when one fails.

    Args:
        tasks: The tasks. The first one is asked for when the processes are starting,
            which takes as long as to read 100,000 messages.
        processes: How many processes; at most as many as tasks.
        meanwhile: Called once, when every process has a task.

    Yields:
        Each task that is done, with what was found.

    Raises:
        ChatExportError: As what is run raises; also if a process was killed.
    """
    with ExitStack() as resources:
        # A process that is killed cannot delete what it has copied.
        temporary = resources.enter_context(
            tempfile.TemporaryDirectory(prefix="chatexports-")
        )
        workers: list[_Worker] = []
        for _ in range(processes):
            workers.append(_Worker(temporary))
            resources.callback(workers[-1].end)
        # All are found while the processes start: to give one waits for its process.
        first = list(islice(tasks, processes))
        for worker, task in zip(workers, first, strict=True):
            worker.give(task)
        if meanwhile is not None:
            meanwhile()
        busy = [*workers]
        while busy:
            ready = wait([worker.connection for worker in busy])
            for worker in [one for one in busy if one.connection in ready]:
                done = worker.task, worker.result()
                if another := next(tasks, None):
                    worker.give(another)
                else:
                    busy.remove(worker)
                yield done


class _Worker:
    """A process that does one task after the other."""

    task: Task
    _has_started = False

    def __init__(self, temporary: str) -> None:
        """Start the process.

        Args:
            temporary: The folder for its temporary files.
        """
        context = multiprocessing.get_context("spawn")
        self.connection, its = context.Pipe()
        self._process = context.Process(
            target=_work, args=(its, temporary), daemon=True
        )
        with _interrupts_held_back():
            self._process.start()
        its.close()  # Else nobody would see that the process has ended.

    def give(self, task: Task) -> None:
        """Say what to do next."""
        self.task = task
        try:
            self._await_start()
            self.connection.send(task)
        except (EOFError, OSError):
            raise self._early_end() from None

    def result(self) -> Done:
        """Give what was found; raise the task's error, and repeat its warnings."""
        try:
            ended: _Ended = self.connection.recv()
        except (EOFError, OSError):
            raise self._early_end() from None
        for text, category in ended.warned:
            warnings.warn(text, category, stacklevel=2)
        if isinstance(ended.result, Exception):
            raise ended.result
        return ended.result

    def end(self) -> None:
        """End the process now."""
        self._process.kill()
        self._process.join()
        self.connection.close()

    def _await_start(self) -> None:
        """Wait until the process has its end of the pipe, if it has not yet.

        On Windows this process holds that end until then, and would wait for ever for
        one that ends before: the pipe does not tell.
        """
        if self._has_started:
            return
        if self.connection not in wait([self.connection, self._process.sentinel]):
            raise self._early_end()
        self.connection.recv()
        self._has_started = True

    def _early_end(self) -> ChatExportError:
        self._process.join()
        return _early_end(self._process.exitcode)


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


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Let a process start deaf to Ctrl-C, which would end its imports with a traceback.

    It inherits what is blocked here, where an interrupt comes after the block.
    """
    if sys.platform == "win32":
        yield
        return
    # Else it starts with the first process, and lets interrupts through again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(connection: Connection, temporary: str) -> None:
    """Do tasks in a process of its own, until there is no more."""
    # An interrupt at the terminal reaches every process: the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    tempfile.tempdir = temporary
    # The process is ours alone. What was imported stays, and need not be looked at.
    gc.freeze()
    gc.set_threshold(1_000_000, 20, 100)
    try:
        connection.send(None)  # It has begun.
        while True:
            task: Task = connection.recv()
            connection.send(_do(task))
    except (EOFError, OSError):
        os._exit(1)  # The first process is no more.


def _do(task: Task) -> _Ended:
    result: Done | Exception
    with warnings.catch_warnings(record=True) as caught:
        try:
            result = write_shard(task)
        except Exception as error:  # noqa: BLE001 - It is raised where it can be handled.
            result = _portable(error)
    # Who called decides what becomes of warnings.
    return _Ended(result, [(str(one.message), one.category) for one in caught])


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
