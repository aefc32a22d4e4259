"""The state of the page: exports, trainings and a game.

All tabs show the same session, which ends with the command. Jobs and models stay in the
data directory.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Self, TypeVar

from langchain_chatexports._temporary import private_folder
from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.local_server import LocalServer, Queue, Workspace, find_base
from langchain_chatexports.page.errors import PageError, translate_error
from langchain_chatexports.page.exports import ExportList
from langchain_chatexports.page.game import GameRunner
from langchain_chatexports.page.languages import lazy_gettext
from langchain_chatexports.page.lessons import Teacher
from langchain_chatexports.page.snapshot import Poller, Published, Snapshot
from langchain_chatexports.page.stored import StoredReader
from langchain_chatexports.page.work import Work
from langchain_chatexports.samples import write_messenger
from langchain_chatexports.workflows.bases import estimate_speed

T = TypeVar("T")

SAMPLE = "Hogwarts"
"""The name of the sample chats."""


class PageSession:
    """The state of the page; a context manager."""

    def __init__(
        self, base: str | None, data_dir: Path | None, index_dir: Path | None = None
    ) -> None:
        self.base = base
        self.workspace = Workspace(data_dir)
        self.index_dir = index_dir
        self.seconds_per_token = estimate_speed(self.workspace)
        self.downloading = Work(self._poke)
        self._deleting = asyncio.Lock()
        # One answer at a time: the machine has one model in memory.
        self.answering = asyncio.Lock()
        # How long models took to start, by base.
        self.waking_seconds: dict[str | None, float] = {}
        self.game = GameRunner(self.workspace, self.use_server, self._poke)
        self._queue = Queue(self.workspace)
        # The local server that answers, and the id of its base.
        self._server: tuple[str, LocalServer] | None = None
        self._server_lock = threading.Lock()
        self.resources = ExitStack()
        """What is closed at the end."""

        folder = self.resources.enter_context(private_folder())
        copies = folder / "copies"
        copies.mkdir(mode=0o700)
        self.exports = ExportList(copies, self._on_exports_changed)
        self.teacher = Teacher(self.workspace, self.exports, self._poke)
        # The index of searches, which is deleted with the copies.
        self.search_dir = folder / "search"
        self._sample = folder / "sample" / SAMPLE
        self.stored = StoredReader(self.workspace, index_dir)
        # What the screens watch; see `snapshot.py`.
        self.published = Published(self.read())
        self.poller = Poller(self.read, self.published)

    def __enter__(self) -> Self:
        """Run the jobs of the data directory, unless another process does."""
        try:
            self._queue.start()
        except BaseException:
            self.resources.close()
            raise
        stops = self.stored.close, self.poller.stop, self.stop_server, self._queue.stop
        for stop in stops:
            self.resources.callback(stop)
        return self

    def __exit__(self, *_error: object) -> None:
        """Pause the jobs, and delete the copies of exports."""
        with self.resources:
            self.downloading.stop()
            self.game.end()
            self.exports.clear()
            self.teacher.close()

    def read(self) -> Snapshot:
        """Return what the screens show now; called in the poller's thread."""
        return Snapshot(
            stored=self.stored.read(),
            trainings=self.stored.trainings(),
            talks=self.stored.talks(),
            exports=self.exports.cards,
            lessons=tuple(self.teacher.lessons.values()),
            preparing=self.teacher.preparing.freeze(),
            training=self.teacher.training.freeze(),
            training_key=self.teacher.key,
            downloading=self.downloading.freeze(),
            game=self.game.freeze(),
        )

    def add_sample(self) -> None:
        try:
            self.exports.add([write_messenger(self._sample)])
        except (ChatExportError, OSError) as error:  # The disk is full.
            self.exports.add_failed(SAMPLE, translate_error(error))
        self._poke()

    async def delete(self, task: Callable[[], T]) -> T:
        """Delete in a thread after what is being deleted now, and read what is left."""
        async with self._deleting:
            result = await asyncio.to_thread(task)
            await self.poller.refresh()
        return result

    def use_server(self, base: str | None) -> LocalServer:
        """Return the local server with a base; start it if needed."""
        base_id = find_base(base).id
        with self._server_lock:
            if self._server is not None:
                server_base, server = self._server
                if server_base == base_id and server.is_running:
                    return server
                self._require_idle()
                self._server = None
                server.stop()
            server = LocalServer(
                base, data_dir=self.workspace.data_dir, runs_jobs=False
            ).start()
            self._server = base_id, server
            return server

    def stop_server(self) -> None:
        with self._server_lock:
            running, self._server = self._server, None
            if running is not None:
                running[1].stop()

    def _require_idle(self) -> None:
        """Raise an error if a game uses the server."""
        if self.game.is_using_server:
            raise PageError(
                lazy_gettext(
                    "Another model is being guessed at, and only one language model "
                    "can be used at a time. Stop the game, or wait until it is over."
                )
            )

    def _poke(self) -> None:
        self.poller.poke()

    def _on_exports_changed(self) -> None:
        self.teacher.forget_lessons()
        self._poke()
