"""Background tasks, which continue when a browser tab is closed."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from langchain_chatexports._progress import seconds_left
from langchain_chatexports.page.errors import Failure, translate_error
from langchain_chatexports.page.languages import LazyMessage


class _StoppedError(Exception):
    pass


@dataclass(frozen=True)
class WorkState:
    """Background work as screens show it."""

    is_running: bool = False
    title: LazyMessage | None = None
    unit: str = ""
    done: int = 0
    total: int | None = None
    seconds_left: float | None = None
    error: Failure | None = None


IDLE = WorkState()


class Work:
    """Runs one task at a time in a background thread.

    `on_change` is called at its start and end, from any thread.
    """

    def __init__(self, on_change: Callable[[], object] = lambda: None) -> None:
        self.title: LazyMessage | None = None
        self.error: Failure | None = None
        self.is_running = False
        self._on_change = on_change
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_stopped = threading.Event()
        self.set_progress(lambda: 0, None)

    def freeze(self) -> WorkState:
        """Return what screens show now."""
        if not self.is_running:
            return WorkState(error=self.error)
        done = self._done()
        left = seconds_left(done, self._total, time.monotonic() - self._started)
        return WorkState(
            is_running=True,
            title=self.title,
            unit=self._unit,
            done=done,
            total=self._total,
            seconds_left=None if left is None else float(round(left)),
        )

    def set_progress(
        self, done: Callable[[], int], total: int | None, unit: str = ""
    ) -> None:
        """Set the progress: a function that returns the count, a total and a unit."""
        self._done, self._total, self._unit = done, total, unit
        self._started = time.monotonic()

    @contextmanager
    def watch(
        self, unit: str, done: Callable[[], int], total: int | None
    ) -> Iterator[None]:
        """Show progress while a block runs; see `Watch`."""
        self.set_progress(done, total, unit)
        try:
            yield
        finally:
            self.set_progress(lambda: 0, None)

    def start(self, title: LazyMessage, work: Callable[[], None]) -> bool:
        """Start a task unless another one is running; return whether it was started."""
        with self._lock:
            if self.is_running:
                return False
            self.is_running = True
        self.title, self.error = title, None
        self.set_progress(lambda: 0, None)
        self._is_stopped.clear()
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()
        self._on_change()
        return True

    def stop(self) -> None:
        """Stop the task at its next call of `check`."""
        self._is_stopped.set()

    def check(self) -> None:
        """Raise an error if the task was stopped; called from the task."""
        if self._is_stopped.is_set():
            raise _StoppedError

    def join(self, seconds: float) -> None:
        """Wait up to `seconds` for the task to finish."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except _StoppedError:
            self.error = None
        except Exception as error:  # noqa: BLE001 - its text can quote chats.
            self.error = translate_error(error)
        finally:
            self.is_running = False
            self._on_change()
