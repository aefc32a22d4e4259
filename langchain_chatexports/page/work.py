"""Work in the background, which continues when a browser tab is closed."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from langchain_chatexports._progress import seconds_left
from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.local_server.http.errors import log_without_text
from langchain_chatexports.page.errors import Failure, explain
from langchain_chatexports.page.languages import Sentence


class _StoppedError(Exception):
    pass


class Work:
    """One piece of work at a time, in a thread."""

    def __init__(self) -> None:
        self.title: Sentence | None = None
        self.error: Failure | None = None
        self.unit = ""
        self._thread: threading.Thread | None = None
        self._done: Callable[[], int] = lambda: 0
        self._total: int | None = None
        self._started = 0.0
        self._is_stopped = threading.Event()

    @property
    def is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    @property
    def progress(self) -> tuple[int, int | None]:
        """The finished and the estimated total number of units, if known."""
        return self._done(), self._total

    @property
    def seconds_left(self) -> float | None:
        """The estimated remaining time; `None` if it is not known yet."""
        return seconds_left(*self.progress, time.monotonic() - self._started)

    @property
    def state(self) -> object:
        """What a screen shows of it."""
        return self.is_running, self.title, self.progress, self.error

    def count(self, done: Callable[[], int], total: int | None, unit: str = "") -> None:
        """Set the progress: a function for the count, the total, and their unit."""
        self._done, self._total, self.unit = done, total, unit

    @contextmanager
    def watch(
        self, unit: str, done: Callable[[], int], total: int | None
    ) -> Iterator[None]:
        """Show progress while a block runs, as `watch` of workflows."""
        self.count(done, total, unit)
        self._started = time.monotonic()
        try:
            yield
        finally:
            self.count(lambda: 0, None)

    def start(self, title: Sentence, work: Callable[[], None]) -> bool:
        """Start, unless other work is running."""
        if self.is_running:
            return False
        self.title, self.error = title, None
        self.count(lambda: 0, None)
        self._started = time.monotonic()
        self._is_stopped.clear()
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()
        return True

    def stop(self) -> None:
        """Stop the work at its next call of `check`."""
        self._is_stopped.set()

    def check(self) -> None:
        """End the work here if it was stopped. Only the work itself calls this."""
        if self._is_stopped.is_set():
            raise _StoppedError

    def join(self, seconds: float) -> None:
        """Wait up to `seconds` for the work to end."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except _StoppedError:
            self.error = None
        except (ChatExportError, OSError) as error:
            self.error = explain(error)
        except Exception as error:  # noqa: BLE001 - its text can quote a message.
            log_without_text(error)
            self.error = explain(error)
