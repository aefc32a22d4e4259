"""The state of the page: exports, examples, training runs and a talk.

All tabs show the same session, which ends with the command. Jobs and models stay in the
data directory.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from langchain_chatexports._temporary import private_folder
from langchain_chatexports.local_server import (
    LocalServer,
    Queue,
    Snapshot,
    Workspace,
    find_base,
)
from langchain_chatexports.page.errors import PageError
from langchain_chatexports.page.exports import ExportContents, ExportList
from langchain_chatexports.page.game import GameRunner
from langchain_chatexports.page.languages import lazy_gettext
from langchain_chatexports.page.snapshot import Outcome, Poller, Published
from langchain_chatexports.page.snapshot import Snapshot as PageSnapshot
from langchain_chatexports.page.stored import StoredReader
from langchain_chatexports.page.talk_state import Talk
from langchain_chatexports.page.teaching import Teaching, download_if_missing
from langchain_chatexports.page.work import Work
from langchain_chatexports.samples import write_messenger
from langchain_chatexports.workflows.bases import (
    BaseChoice,
    choose_chat_base,
    estimate_speed,
)
from langchain_chatexports.workflows.chat_filter import ChatFilter
from langchain_chatexports.workflows.talk import Speaker, load_person

SAMPLE = "Hogwarts"
"""The name of the sample chats."""


@dataclass(frozen=True)
class Choice:
    """The options for creating examples."""

    # A name; empty for each export's owner, `None` if nothing is chosen yet.
    voice: str | None = None
    chats: ChatFilter = field(default_factory=ChatFilter)


class PageSession:
    """The state of the page; a context manager."""

    def __init__(
        self, base: str | None, data_dir: Path | None, index_dir: Path | None = None
    ) -> None:
        self.base = base
        self.workspace = Workspace(data_dir)
        self.index_dir = index_dir
        self.managing = Work(self._poke)
        self.outcome: Outcome | None = None
        self.choice = Choice()
        self.seconds_per_token = estimate_speed(self.workspace)
        # A base to download for a talk without training, if the user agrees.
        self.offer: BaseChoice | None = None
        self.talk = Talk(self.workspace, self.use_server)
        self.game = GameRunner(self.workspace, self.use_server, self._poke)
        self._queue = Queue(self.workspace)
        # The local server that answers, and the id of its base.
        self._server: tuple[str, LocalServer] | None = None
        self._server_lock = threading.Lock()
        self._resources = ExitStack()
        self._folder = self._resources.enter_context(private_folder())
        copies = self._folder / "copies"
        copies.mkdir(mode=0o700)
        self.exports = ExportList(copies, self._on_exports_changed)
        self.teaching = Teaching(self.workspace, self.exports, self._folder, self._poke)
        # The index of searches, which is deleted with the copies.
        self.search_dir = self._folder / "search"
        self.stored = StoredReader(self.workspace)
        # What the screens watch; see `snapshot.py`.
        self.published = Published(self.read())
        self.poller = Poller(self.read, self.published)

    def __enter__(self) -> Self:
        """Run the jobs of the data directory, unless another process does."""
        try:
            self._queue.start()
        except BaseException:
            self._resources.close()
            raise
        stops = self.stored.close, self.poller.stop, self.stop_server, self._queue.stop
        for stop in stops:
            self._resources.callback(stop)
        return self

    def __exit__(self, *_error: object) -> None:
        """Pause the jobs, and delete the copies of exports."""
        with self._resources:
            self.talk.stop()
            self.game.end()
            self.exports.clear()
            self.teaching.close()

    def _poke(self) -> None:
        self.poller.poke()

    # Exports

    @property
    def contents(self) -> ExportContents | None:
        return self.exports.contents

    def add_sample(self) -> None:
        """Add a sample Messenger export, which is deleted with the session."""
        self.exports.add([write_messenger(self.exports.new_copy(SAMPLE))])
        self.poller.poke()

    def clear(self) -> None:
        """Remove all exports and their examples."""
        self.exports.clear()
        self.choice = Choice()

    def _on_exports_changed(self) -> None:
        self.teaching.forget_lessons()
        self.offer = None
        if self.talk.model is None:  # The talk is with a person of the exports.
            self.talk.end()

    # Talks

    def talk_to_person(self, *, downloads: bool | None = None) -> bool:
        """Start a talk with the chosen person, without training."""
        options = self.teaching.prepare_options(
            self.choice.voice or "", self.choice.chats
        )
        paths = self.exports.paths()
        work = self.talk.reply_work

        def find_speaker() -> Speaker | None:
            self.offer = None
            speaker = load_person(paths, options, watch=work.watch)
            if self.base is not None:
                return replace(speaker, base=self.base)
            choice = choose_chat_base(
                speaker.language,
                seconds_per_token=self.seconds_per_token,
                downloads=downloads is not False,
            )
            if choice.base.is_default:
                return speaker
            if choice.base.needs_download() and not downloads:
                self.offer = choice
                return None
            download_if_missing(choice.base.id, work)
            return replace(speaker, base=choice.base.id)

        return self.talk.start(None, find_speaker)

    def end_talk(self, name: str) -> None:
        """End the talk if it is with this model."""
        if self.talk.model is not None and self.talk.model.name == name:
            self.talk.end()

    def end_talks(self) -> None:
        """End all talks, before everything is deleted."""
        self.talk.end()

    # Models and training

    def read(self) -> PageSnapshot:
        """Return what the screens show now; called in the poller's thread."""
        return PageSnapshot(
            self.stored.read(),
            self.stored.trainings(),
            self.exports.freeze(),
            self.contents,
            (*self.exports.notes, *self.exports.warnings),
            (),
            self.teaching.preparing.freeze(),
            self.teaching.training.freeze(),
            self.teaching.key,
            tuple(self.teaching.lessons.values()),
            self.managing.freeze(),
            self.outcome,
            self.game.freeze(),
        )

    @property
    def snapshot(self) -> Snapshot:
        """The jobs, models and files of the data directory."""
        return self.stored.snapshot

    def refresh(self) -> None:
        """Show a change of the data directory at once."""
        self.stored.read()
        self.poller.poke()

    def use_server(self, base: str | None) -> LocalServer:
        """Return the local server with a base; start it if needed."""
        base_id = find_base(base).id
        with self._server_lock:
            if self._server is not None:
                server_base, server = self._server
                if server_base == base_id and server.is_running:
                    return server
                self._require_idle(server)
                self._server = None
                server.stop()
            server = LocalServer(
                base, data_dir=self.workspace.data_dir, runs_jobs=False
            ).start()
            self._server = base_id, server
            return server

    def _require_idle(self, server: LocalServer) -> None:
        """Raise an error if a blind test uses the server."""
        if self.game.is_using_server:
            raise PageError(
                lazy_gettext(
                    "A blind test with {base} is running, and only one base model "
                    "can be used at a time. Wait for it to finish, or stop it.",
                    base=server.base_model,
                )
            )

    def stop_server(self) -> None:
        """Stop the local server; training continues."""
        with self._server_lock:
            running, self._server = self._server, None
            if running is not None:
                running[1].stop()
