"""What the screens show: one frozen snapshot, which they watch."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from nicegui import Client, Event

from langchain_chatexports._serving import log_error_location
from langchain_chatexports.local_server import Snapshot as StoredSnapshot
from langchain_chatexports.page.exports import Card
from langchain_chatexports.page.game import NO_GAME, Game
from langchain_chatexports.page.lessons import Lesson
from langchain_chatexports.page.stored import Training
from langchain_chatexports.page.work import IDLE, WorkState
from langchain_chatexports.workflows.saved_talks import SavedTalk

T = TypeVar("T")
Part = TypeVar("Part")

_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Snapshot:
    stored: StoredSnapshot
    trainings: tuple[Training, ...] = ()
    talks: tuple[SavedTalk, ...] = ()
    exports: tuple[Card, ...] = ()
    lessons: tuple[Lesson, ...] = ()
    preparing: WorkState = IDLE
    training: WorkState = IDLE
    training_key: str = ""
    downloading: WorkState = IDLE
    game: Game = NO_GAME
    problem: str = ""
    """The class of the error of the last reading; empty if it succeeded."""

    @property
    def is_busy(self) -> bool:
        """Whether something changes by itself."""
        works = self.preparing, self.training, self.downloading
        exports = any(one.state in _CHANGING for one in self.exports)
        jobs = any(one.job.is_active for one in self.trainings)
        return exports or jobs or any(work.is_running for work in works)


_CHANGING = frozenset({"copying", "waiting", "reading"})


class Published(Generic[T]):
    """A frozen value that screens watch; publish on the event loop only."""

    def __init__(self, value: T) -> None:
        self.value = value
        self._changed = Event[T]()

    def publish(self, value: T) -> None:
        if value != self.value:
            self.value = value
            self._changed.emit(value)

    def watch(
        self, select: Callable[[T], Part], show: Callable[[Part], object]
    ) -> None:
        """Show a part now, and when it changes, until the tab is closed.

        Call it once per screen, never in a row: NiceGUI ends a subscription with its
        client, not with its element.
        """
        shown = select(self.value)
        show(shown)

        def on_change(value: T) -> None:
            nonlocal shown
            if (part := select(value)) != shown:
                shown = part
                show(part)

        self._changed.subscribe(on_change)


class Poller:
    """Reads in a thread while a tab is open, and publishes on the event loop."""

    def __init__(self, read: Callable[[], Snapshot], into: Published[Snapshot]) -> None:
        self._read, self._into = read, into
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "reader")
        self._is_stopping = threading.Event()

    def poke(self) -> None:
        """Read now, such as after a change; from any thread."""
        if self._loop is not None:
            with suppress(RuntimeError):  # The loop is closed.
                self._loop.call_soon_threadsafe(self._wake.set)

    async def refresh(self) -> None:
        """Read and publish, before a screen is built or after an action."""
        loop = asyncio.get_running_loop()
        # Reads block, so they are off the loop. Comparison and screens are on it.
        try:
            snapshot = await loop.run_in_executor(self._thread, self._read)
        except Exception as error:  # noqa: BLE001 - its text can quote chats.
            log_error_location(error)
            snapshot = replace(self._into.value, problem=type(error).__name__)
        self._into.publish(snapshot)

    async def run(self, seconds: float = _POLL_SECONDS) -> None:
        """Poll until `stop`, half as often at rest; without a tab, wait for one."""
        self._loop = asyncio.get_running_loop()
        while not self._is_stopping.is_set():
            self._wake.clear()
            await self.refresh()
            pause = seconds if self._into.value.is_busy else 2 * seconds
            with suppress(TimeoutError):
                await asyncio.wait_for(
                    self._wake.wait(), pause if Client.instances else None
                )

    def stop(self) -> None:
        self._is_stopping.set()
        self.poke()
        self._thread.shutdown(cancel_futures=True)
