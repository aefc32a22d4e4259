"""Background tasks, which continue when a browser tab is closed."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from langchain_chatexports._progress import seconds_left
from langchain_chatexports.page.errors import Failure, translate_error
from langchain_chatexports.page.languages import LazyMessage

_Task = Callable[[], object]


class _StoppedError(Exception):
    pass


@dataclass(frozen=True)
class WorkState:
    """Background work as screens show it."""

    is_running: bool = False
    title: LazyMessage | None = None
    fraction: float | None = None
    """How much is done; `None` if its length is not known."""

    seconds_left: float | None = None
    error: Failure | None = None


IDLE = WorkState()


class Work:
    """Runs tasks one after another in a background thread.

    `on_change` is called when one starts or ends, from any thread.
    """

    def __init__(self, on_change: Callable[[], object] = lambda: None) -> None:
        self.title: LazyMessage | None = None
        self.error: Failure | None = None
        self.is_running = False
        self._on_change = on_change
        self._lock = threading.Lock()
        self._tasks: deque[tuple[LazyMessage, _Task]] = deque()
        self._thread: threading.Thread | None = None
        self._is_stopped = threading.Event()
        self._set_progress(lambda: 0, None)

    def freeze(self) -> WorkState:
        if not self.is_running:
            return WorkState(error=self.error)
        done = self._done()
        left = seconds_left(done, self._total, time.monotonic() - self._started)
        return WorkState(
            is_running=True,
            title=self.title,
            fraction=round(min(done / self._total, 1), 2) if self._total else None,
            seconds_left=None if left is None else float(round(left)),
        )

    @contextmanager
    def watch(
        self, unit: str, done: Callable[[], int], total: int | None
    ) -> Iterator[None]:
        """Show progress while a block runs; see `Watch`."""
        del unit
        self._set_progress(done, total)
        try:
            yield
        finally:
            self._set_progress(lambda: 0, None)

    def start(self, title: LazyMessage, task: _Task, *, waits: bool = False) -> bool:
        """Start a task; if one is running, it waits or is refused, which is `False`."""
        with self._lock:
            if self.is_running and not waits:
                return False
            self._tasks.append((title, task))
            if self.is_running:
                return True
            self.is_running = True
        self.title, self.error = title, None
        self._is_stopped.clear()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return True

    def stop(self) -> None:
        """Stop the task at its next call of `check`."""
        self._is_stopped.set()

    def check(self) -> None:
        """Raise an error if the task was stopped; called from the task."""
        if self._is_stopped.is_set():
            raise _StoppedError

    def join(self, seconds: float) -> None:
        if self._thread is not None:
            self._thread.join(seconds)

    def _set_progress(self, done: Callable[[], int], total: int | None) -> None:
        self._done, self._total, self._started = done, total, time.monotonic()

    def _run(self) -> None:
        while (task := self._next()) is not None:
            self._on_change()
            try:
                task()
            except _StoppedError:
                pass
            except Exception as error:  # noqa: BLE001 - its text can quote chats.
                self.error = translate_error(error)
            self._is_stopped.clear()
        self._on_change()

    def _next(self) -> _Task | None:
        with self._lock:
            self.is_running = bool(self._tasks)
            if not self._tasks:
                return None
            self.title, task = self._tasks.popleft()
            return task
