"""The processes with llama.cpp: one for each model in use, and what it works on.

Each process has the base, whose file they all map into memory, and at most one adapter:
llama.cpp does not compute answers of different adapters in one batch, and a new adapter
must not interrupt answers that are being written.
"""

from __future__ import annotations

import itertools
import logging
import math
import threading
import time
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_chatexports.local_server.bases.gguf_adapter import NoGGUFError
from langchain_chatexports.local_server.inference.engine import EngineBusyError
from langchain_chatexports.local_server.inference.llama_cpp_child import ChildSettings
from langchain_chatexports.local_server.inference.llama_cpp_process import (
    LlamaCppProcess,
)
from langchain_chatexports.local_server.storage.adapters import is_adapter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = [
    "MAX_ACTIVE",
    "EngineProcessError",
    "ModelKey",
    "ProcessPool",
    "Task",
]

logger = logging.getLogger(__name__)

MAX_ACTIVE = 8
"""How many answers are written at the same time."""

_MAX_PROCESSES = 4
_FIRST_CONTEXT = 8192
_MIN_FIRST_CONTEXT = 2048
# A process that has had this long may be replaced by one that others wait for.
_TURN_SECONDS = 10.0
# A process loses what it has read when it gets more threads: not in a chat's pauses.
_REST_SECONDS = 60.0
# What failed for lack of memory, for example, can succeed later.
_RETRY_SECONDS = 60.0


class EngineProcessError(Exception):
    """The process with llama.cpp ended, or failed, during an answer."""


class ModelKey(NamedTuple):
    """What a process has loaded."""

    adapter: Path | None
    embeds: bool = False


@dataclass(eq=False)
class Task:
    """What a process is asked to do."""

    key: ModelKey
    route: str
    body: dict[str, Any]
    tokens: int
    """The room in the context that it takes at most."""

    slots: int
    """How many answers it is asked for."""

    on_line: Callable[[dict[str, Any]], None]
    on_error: Callable[[BaseException], None]
    on_unsupported: Callable[[], None]
    """Called instead of the others where llama.cpp cannot load the model."""

    is_cancelled: bool = False
    has_answer: bool = False
    """Whether a line of its answer has arrived."""

    is_repeated: bool = False
    """Whether a process has ended while it had this task."""


@dataclass(eq=False)
class _Worker:
    """A process, and the tasks it is working on."""

    key: ModelKey
    settings: ChildSettings
    process: LlamaCppProcess | None = None
    is_ready: bool = False
    is_retired: bool = False
    active: dict[int, Task] = field(default_factory=dict)
    ready_at: float = 0.0
    used_at: float = 0.0

    def has_room(self, task: Task) -> bool:
        active = self.active.values()
        return (
            sum(each.slots for each in active) + task.slots <= self.settings.slots
            and sum(each.tokens for each in active) + task.tokens
            <= self.settings.context
        )


class ProcessPool:
    """Processes with one base, and the tasks that wait for them.

    A process is started with the first task of its model. While it has nothing to do,
    it is replaced if it has too many threads, or, after a rest, too few; and for a task
    that needs more context. If it ends by itself, another one gets those of its tasks
    that it had not begun to answer, once: it can end while it is given them.
    """

    def __init__(
        self,
        base: Path,
        *,
        adapter_file: Callable[[Path], Path],
        threads: int,
        max_context: int | None,
        is_training: Callable[[], bool],
        max_waiting: int,
    ) -> None:
        """Initialize the pool; nothing is started.

        Args:
            base: The base's `.gguf` file.
            adapter_file: Returns the `.gguf` file of an adapter's folder.
            threads: The number of CPU threads.
            max_context: The tokens that the contexts of all processes may have
                together; any number if `None`.
            is_training: Whether a training needs the processor, too.
            max_waiting: How many tasks may wait, besides those being worked on.
        """
        self._base = base
        self._adapter_file = adapter_file
        self._threads = threads
        self._max_context = max_context
        self._is_training = is_training
        self._max_waiting = max_waiting
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)
        self._waiting: deque[Task] = deque()
        self._workers: dict[ModelKey, _Worker] = {}
        self._retired: set[_Worker] = set()
        self._unsupported: dict[ModelKey, float] = {}
        self._is_closing = False

    def add(self, task: Task) -> None:
        """Queue a task.

        Raises:
            EngineBusyError: If too many tasks are waiting, or the pool is closed.
        """
        with self._lock:
            waiting = sum(not each.is_cancelled for each in self._waiting)
            if self._is_closing or waiting >= self._max_waiting:
                raise EngineBusyError
            self._waiting.append(task)
        self._dispatch()

    def cancel(self, task: Task) -> None:
        """End a task after the batch that is being computed."""
        with self._lock:
            task.is_cancelled = True
            for worker in self._all():
                for number, active in worker.active.items():
                    if active is task and worker.process is not None:
                        worker.process.send({"cancel": number})

    def forget(self, adapter: Path) -> None:
        """End the processes of an adapter, and of those in subfolders of its folder."""
        with self._lock:
            gone = [
                worker
                for worker in self._all()
                if worker.key.adapter is not None
                and (
                    worker.key.adapter == adapter
                    or adapter in worker.key.adapter.parents
                )
            ]
            for worker in gone:
                self._end(worker, FileNotFoundError())

    def close(self) -> None:
        """Cancel all tasks and end all processes."""
        with self._lock:
            self._is_closing = True
            waiting = list(self._waiting)
            self._waiting.clear()
            for worker in self._all():
                self._end(worker, EngineBusyError())
        for task in waiting:
            task.on_error(EngineBusyError())

    def max_tokens(self, choices: int, context: int) -> int:
        """Return how many tokens the answers to one request may have together.

        Args:
            choices: How many answers.
            context: The longest context of an answer, in tokens.
        """
        most = choices * max(context, _FIRST_CONTEXT)
        return most if self._max_context is None else min(most, self._max_context)

    def _all(self) -> list[_Worker]:
        return [*self._workers.values(), *self._retired]

    def _dispatch(self) -> None:
        """Hand waiting tasks to processes: in their order, for each model."""
        unsupported = []
        with self._lock:
            held_up: set[ModelKey] = set()
            # What waits for another process is not overtaken by what needs one, too.
            may_start = True
            for task in list(self._waiting):
                if task.is_cancelled:
                    self._waiting.remove(task)
                elif self._unsupported.get(task.key, 0) > time.monotonic():
                    self._waiting.remove(task)
                    unsupported.append(task)
                elif task.key not in held_up:
                    worker = self._worker_for(task, may_start=may_start)
                    if worker is None:
                        may_start = may_start and task.key in self._workers
                    elif worker.is_ready and worker.has_room(task):
                        if self._active_slots() + task.slots > MAX_ACTIVE:
                            # Nor is what needs many answers at a time.
                            break
                        self._waiting.remove(task)
                        self._begin(worker, task)
                        continue
                    held_up.add(task.key)
        for task in unsupported:
            task.on_unsupported()

    def _active_slots(self) -> int:
        return sum(
            task.slots for worker in self._all() for task in worker.active.values()
        )

    def _begin(self, worker: _Worker, task: Task) -> None:
        number = next(self._numbers)
        worker.active[number] = task
        worker.used_at = time.monotonic()
        if worker.process is not None:
            worker.process.send({"id": number, "route": task.route, "body": task.body})

    def _worker_for(self, task: Task, *, may_start: bool) -> _Worker | None:
        """Return the process for a task; `None` if it has to wait for one."""
        worker = self._workers.get(task.key)
        if worker is not None:
            if self._suits(worker, task):
                return worker
            if not worker.is_ready or not may_start:
                return None
            self._retire(worker)
        if not may_start or not self._make_room(task):
            return None
        return self._start(task)

    def _suits(self, worker: _Worker, task: Task) -> bool:
        if task.tokens > worker.settings.context:
            return False
        # Where the free threads change all the time, it would never answer.
        if worker.active or not worker.used_at:
            return True
        threads = self._free_threads(worker)
        if threads > worker.settings.threads:
            return time.monotonic() - worker.used_at < _REST_SECONDS
        return threads == worker.settings.threads

    def _free_threads(self, worker: _Worker | None = None) -> int:
        """Return how many threads a process may have.

        Several processes, or one and a trainer, that each use all cores make each other
        much slower: their threads wait for each other at every step.
        """
        if self._is_training():
            return 1
        others = [each for each in self._all() if each is not worker and each.active]
        busy = sum(other.settings.threads for other in others)
        return max(1, self._threads - busy)

    def _make_room(self, task: Task) -> bool:
        """Return whether another process may start; others may have to end for it."""
        while len(
            self._workers
        ) >= _MAX_PROCESSES or self._free_context() < self._least_context(task):
            worker = self._replaceable()
            if worker is None:
                return False
            self._retire(worker)
        return True

    def _replaceable(self) -> _Worker | None:
        """Return the process that can best be spared; `None` if all are needed."""
        wanted = {each.key for each in self._waiting if not each.is_cancelled}
        workers = self._workers.values()
        spare = [each for each in workers if not each.active and each.key not in wanted]
        if spare:
            return min(spare, key=lambda each: each.used_at)
        if any(each.active for each in self._retired):
            # It ends with its answers, and makes room.
            return None
        # Where each replaced the other before it has answered, nobody would answer. If
        # none is working, none would say when its turn is over.
        is_working = any(not each.is_ready or each.active for each in workers)
        turn = _TURN_SECONDS if is_working else 0.0
        now = time.monotonic()
        done = [each for each in workers if each.used_at and now - each.ready_at > turn]
        return min(done, key=lambda each: each.ready_at, default=None)

    def _free_context(self) -> float:
        if self._max_context is None:
            return math.inf
        return self._max_context - sum(each.settings.context for each in self._all())

    def _least_context(self, task: Task) -> int:
        """Return the tokens of a context with which a process may start."""
        return task.tokens if task.key.embeds else max(task.tokens, self._first_context)

    @property
    def _first_context(self) -> int:
        if self._max_context is None:
            return _FIRST_CONTEXT
        share = max(_MIN_FIRST_CONTEXT, self._max_context // _MAX_PROCESSES)
        return min(_FIRST_CONTEXT, share, self._max_context)

    def _context(self, task: Task) -> int:
        if task.key.embeds:
            return task.tokens
        context = self._first_context
        # More than it needs now: a talk becomes longer.
        while context < task.tokens:
            context *= 2
        return int(min(context, self._free_context()))

    def _start(self, task: Task) -> _Worker:
        settings = ChildSettings(
            model=str(self._base),
            adapter=None,
            threads=self._free_threads(),
            context=self._context(task),
            slots=1 if task.key.embeds else MAX_ACTIVE,
            embeds=task.key.embeds,
        )
        worker = _Worker(task.key, settings)
        self._workers[task.key] = worker
        threading.Thread(
            target=self._run, args=(worker,), name="llama.cpp", daemon=True
        ).start()
        return worker

    def _run(self, worker: _Worker) -> None:
        """Start a process, and pass on what it sends until it ends."""
        try:
            worker.settings = replace(
                worker.settings, adapter=self._adapter_of(worker.key)
            )
            process = LlamaCppProcess(worker.settings)
        except FileNotFoundError as error:
            self._fail_waiting(worker, error)
            return
        except NoGGUFError as error:
            self._give_up(worker, str(error), seconds=math.inf)
            return
        except Exception as error:  # noqa: BLE001 - another engine answers.
            self._give_up(worker, f"{type(error).__name__}: {error}")
            return
        with self._lock:
            worker.process = process
            if worker not in self._all():
                # It was unloaded meanwhile; what waits for it gets another one.
                process.kill()
        process.read(lambda line: self._on_line(worker, line))
        if worker.is_ready:
            with self._lock:
                self._take_back(worker)
                self._end(worker, EngineProcessError())
        elif worker in self._all():
            self._give_up(worker, "its process ended while it was loading")
        self._dispatch()

    def _adapter_of(self, key: ModelKey) -> str | None:
        if key.adapter is None:
            return None
        if not is_adapter(key.adapter):
            raise FileNotFoundError
        return str(self._adapter_file(key.adapter))

    def _on_line(self, worker: _Worker, line: dict[str, Any]) -> None:
        if "ready" in line:
            with self._lock:
                worker.is_ready = True
                worker.ready_at = time.monotonic()
        elif "id" in line:
            with self._lock:
                task = worker.active.get(line.pop("id"))
                if line.get("done"):
                    self._conclude(worker, task)
                elif task is not None:
                    task.has_answer = True
            if task is not None and not line.get("done"):
                task.on_line(line)
                return
        self._dispatch()

    def _conclude(self, worker: _Worker, task: Task | None) -> None:
        worker.active = {
            n: each for n, each in worker.active.items() if each is not task
        }
        worker.used_at = time.monotonic()
        if worker.is_retired and not worker.active:
            self._end(worker, EngineProcessError())

    def _retire(self, worker: _Worker) -> None:
        """Let a process finish its answers, and give it no more."""
        del self._workers[worker.key]
        worker.is_retired = True
        self._retired.add(worker)
        if not worker.active:
            self._end(worker, EngineProcessError())

    def _take_back(self, worker: _Worker) -> None:
        """Queue again, before all others, what a process had not begun to answer."""
        for number, task in sorted(worker.active.items(), reverse=True):
            if not (task.has_answer or task.is_repeated):
                task.is_repeated = True
                del worker.active[number]
                self._waiting.appendleft(task)

    def _end(self, worker: _Worker, error: BaseException) -> None:
        """Kill a process; those whose answers it was writing get the error."""
        with self._lock:
            if self._workers.get(worker.key) is worker:
                del self._workers[worker.key]
            self._retired.discard(worker)
            active, worker.active = worker.active, {}
            if worker.process is not None:
                worker.process.kill()
        for task in active.values():
            task.on_error(error)

    def _give_up(
        self, worker: _Worker, reason: str, *, seconds: float = _RETRY_SECONDS
    ) -> None:
        """Let another engine answer for a model, for some time."""
        what = "the base" if worker.key.adapter is None else worker.key.adapter.name
        logger.warning(
            "llama.cpp does not answer for %s, transformers does: %s", what, reason
        )
        with self._lock:
            self._unsupported[worker.key] = time.monotonic() + seconds
        self._end(worker, EngineProcessError())
        self._dispatch()

    def _fail_waiting(self, worker: _Worker, error: BaseException) -> None:
        with self._lock:
            self._end(worker, error)
            waiting = [task for task in self._waiting if task.key == worker.key]
            for task in waiting:
                self._waiting.remove(task)
        for task in waiting:
            task.on_error(error)
