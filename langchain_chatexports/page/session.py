"""The state of the page: exports, examples, training runs and a talk.

All tabs show the same session, which ends with the command. Jobs and models stay in the
data directory.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from langchain_chatexports._temporary import private_folder
from langchain_chatexports.exceptions import (
    LocalServerError,
    SenderNotFoundError,
    TrainingDataError,
)
from langchain_chatexports.local_server import (
    Job,
    LocalServer,
    Queue,
    Snapshot,
    Workspace,
    find_base,
)
from langchain_chatexports.page.conversation import Conversation
from langchain_chatexports.page.errors import PageError
from langchain_chatexports.page.exports import ExportContents, ExportList
from langchain_chatexports.page.guess_state import Guess
from langchain_chatexports.page.languages import LazyMessage, lazy_gettext
from langchain_chatexports.page.people import Person, list_people
from langchain_chatexports.page.snapshot import Poller, Published
from langchain_chatexports.page.snapshot import Snapshot as PageSnapshot
from langchain_chatexports.page.stored import StoredReader
from langchain_chatexports.page.talk_store import TalkStore
from langchain_chatexports.page.work import Work
from langchain_chatexports.samples import write_messenger
from langchain_chatexports.workflows import prepare
from langchain_chatexports.workflows.bases import (
    BaseChoice,
    choose_base,
    download_base,
    estimate_seconds,
    estimate_speed,
)
from langchain_chatexports.workflows.chat_filter import ChatFilter
from langchain_chatexports.workflows.preparation import PrepareOptions
from langchain_chatexports.workflows.redaction import Redaction
from langchain_chatexports.workflows.removal import ForgetResult
from langchain_chatexports.workflows.train import create_job, pause_job
from langchain_chatexports.workflows.training_data import TrainingData
from langchain_chatexports.workflows.training_events import JobEvent, TrainingProgress

_STOP_SECONDS = 5.0
_DOWNLOADING = lazy_gettext("Downloading the base model")
_CHECKING = lazy_gettext("Checking the examples and the base model")
_NO_MESSAGES = lazy_gettext("This person has no messages in the selected chats.")
_NO_EXAMPLES = lazy_gettext("Nothing to train on in these chats. Choose more chats.")
_STOPPING = lazy_gettext("Stopping")


@dataclass(frozen=True)
class Choice:
    """The options for creating examples."""

    # A name; empty for each export's owner, `None` if nothing is chosen yet.
    voice: str | None = None
    chats: ChatFilter = field(default_factory=ChatFilter)
    redact: bool = False

    def restrict_to(self, contents: ExportContents) -> Choice:
        """Drop people who are not in the exports."""
        senders = contents.senders
        is_valid = bool(contents.owners) if self.voice == "" else self.voice in senders
        people = tuple(name for name in self.chats.include if name in senders)
        return replace(
            self,
            voice=self.voice if is_valid else contents.default_voice,
            chats=replace(self.chats, include=people),
        )


class PageSession:
    """The state of the page; a context manager."""

    def __init__(
        self, base: str | None, data_dir: Path | None, index_dir: Path | None = None
    ) -> None:
        self.base = base
        self.workspace = Workspace(data_dir)
        self.index_dir = index_dir
        self.preparing = Work(self._poke)
        self.job_work, self.managing = Work(self._poke), Work(self._poke)
        self.choice = Choice()
        self._prepared: tuple[Choice, TrainingData] | None = None
        self.seconds_per_token = estimate_speed(self.workspace)
        # The last requested job: new, existing or continued.
        self.job_event: JobEvent | None = None
        # The estimated training times, in seconds, by job.
        self._estimates: dict[str, float] = {}
        # The jobs requested on this page, which are paused when it ends.
        self._requested_jobs: set[str] = set()
        self.downloading = Work(self._poke)
        self._conversations: dict[str, Conversation] = {}
        # One answer at a time: the machine has one model in memory.
        self.answering = asyncio.Lock()
        # How long models took to start, by base.
        self.waking_seconds: dict[str, float] = {}
        self.talks = TalkStore(index_dir)
        self.guess = Guess(self.workspace, self.use_server)
        # The results of the last action on the screen Manage.
        self.manage_results: list[LazyMessage | str] = []
        self.forget_result: ForgetResult | None = None
        self._queue = Queue(self.workspace)
        # The local server that answers, and the id of its base.
        self._server: tuple[str, LocalServer] | None = None
        self._server_lock = threading.Lock()
        self._resources = ExitStack()
        self._folder = self._resources.enter_context(private_folder())
        # A single key, so that pseudonyms stay the same after another choice.
        self._redaction = Redaction(self._folder / "redaction.key")
        copies = self._folder / "copies"
        copies.mkdir(mode=0o700)
        self.exports = ExportList(copies, self._on_exports_changed)
        self.stored = StoredReader(self.workspace)
        # What the screens watch; see `snapshot.py`.
        self.published = Published(self.read())
        self.poller = Poller(self.read, self.published)
        self.published.watch(list_people, self._update_people)

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
            self.downloading.stop()
            self.guess.work.stop()
            for conversation in self._conversations.values():
                conversation.close()
            self.exports.clear()
            self.job_work.join(_STOP_SECONDS)
            for job_id in self._requested_jobs:
                with suppress(LocalServerError):
                    pause_job(self.workspace, job_id)

    def _poke(self) -> None:
        self.poller.poke()

    # Exports

    @property
    def contents(self) -> ExportContents | None:
        return self.exports.contents

    def add_sample(self) -> None:
        """Add a sample Messenger export, which is deleted with the session."""
        self.exports.add([write_messenger(self.exports.new_copy("Hogwarts"))])

    def clear(self) -> None:
        """Remove all exports and their examples."""
        self.exports.clear()
        self.choice = Choice()

    def _on_exports_changed(self) -> None:
        self._prepared = None
        if self.contents:
            self.choice = self.choice.restrict_to(self.contents)

    # Examples

    @property
    def data(self) -> TrainingData | None:
        prepared = self._prepared
        return prepared[1] if prepared and prepared[0] == self.choice else None

    def _options(self) -> PrepareOptions:
        """Return the chosen options, excluding one chat of each duplicate pair."""
        voice = self.choice.voice
        pairs = self.contents.duplicates if self.contents else []
        chats = self.choice.chats
        excluded = (pair.chat_to_exclude(voice, chats.include).id for pair in pairs)
        chats = replace(chats, exclude=tuple(excluded))
        return PrepareOptions(ai=(voice,) if voice else (), chats=chats)

    def prepare(self) -> bool:
        """Create the examples for the current choice in the background.

        A redaction cannot be undone, because its key is deleted with the session.
        """
        choice, paths = self.choice, self.exports.paths()
        options = self._options()
        if choice.redact:
            options = replace(options, redaction=self._redaction)

        def create() -> None:
            self._prepared = None
            try:
                data = prepare(paths, options, watch=self.preparing.watch)
            except SenderNotFoundError as error:
                raise PageError(_NO_MESSAGES) from error
            except TrainingDataError as error:
                raise PageError(_NO_EXAMPLES) from error
            self.seconds_per_token = estimate_speed(self.workspace)
            self._prepared = choice, data

        return self.preparing.start(lazy_gettext("Creating examples"), create)

    def estimate_seconds(self) -> float | None:
        """Return the training time with the default base; `None` without examples."""
        data = self.data
        return None if data is None else estimate_seconds(self.seconds_per_token, data)

    def choose_base(self, data: TrainingData) -> BaseChoice:
        return choose_base(data, seconds_per_token=self.seconds_per_token)

    # Talks

    def person_options(self, name: str) -> tuple[list[Path], PrepareOptions]:
        """Return the exports, and the options for a person's replies."""
        pairs = self.contents.duplicates if self.contents else []
        excluded = tuple(pair.chat_to_exclude(name).id for pair in pairs)
        options = PrepareOptions(ai=(name,), chats=ChatFilter(exclude=excluded))
        return self.exports.paths(), options

    def conversation(self, person: Person) -> Conversation:
        """Return the talk with a person, which all tabs share."""
        if person.key not in self._conversations:
            self._conversations[person.key] = Conversation(self, person)
        return self._conversations[person.key]

    def _update_people(self, people: Sequence[Person]) -> None:
        known = {person.key: person for person in people}
        for key, conversation in self._conversations.items():
            conversation.update_person(known.get(key))

    # Models and training

    def read(self) -> PageSnapshot:
        """Return what the screens show now; called in the poller's thread."""
        return PageSnapshot(
            self.stored.read(),
            self.stored.trainings(),
            self.exports.freeze(),
            self.contents,
            (*self.exports.notes, *self.exports.warnings),
            self.talks.summaries(self.stored.snapshot.models),
            self.preparing.freeze(),
            self.job_work.freeze(),
            self.managing.freeze(),
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
        if self.guess.is_using_server:
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

    @property
    def training_status(self) -> LazyMessage | None:
        """The progress of the oldest unfinished job; `None` without one."""
        unfinished = [job for job in self.snapshot.jobs if job.is_active]
        if not unfinished:
            if self.is_preparing_training:
                return lazy_gettext("Preparing to train.")
            return None
        job = unfinished[-1]
        name = job.person or job.base_model
        if not job.steps:
            return lazy_gettext("Training for {name} is running.", name=name)
        return lazy_gettext(
            "Training for {name} is running: step {step} of {total}.",
            name=name,
            step=job.step,
            total=job.steps,
        )

    def train(self, base: str | None) -> bool:
        """Create a training job for the examples in the background."""
        if (data := self.data) is None:
            return False

        def create() -> None:
            self.job_event = None
            download_if_missing(base, self.job_work)
            self.job_work.check()
            self.job_work.title = _CHECKING
            self.job_event = event = create_job(self.workspace, data, base)
            self._requested_jobs.add(event.job_id)
            seconds = estimate_seconds(self.seconds_per_token, data)
            seconds_of_base = find_base(base).training_seconds(seconds)
            if seconds_of_base is not None:
                self._estimates[event.job_id] = seconds_of_base
            self.refresh()

        return self.job_work.start(_CHECKING, create)

    def progress(self, job: Job) -> TrainingProgress:
        return self.stored.progress(job)

    def seconds_left(self, job: Job) -> float | None:
        """Return the time left, initially from the estimate made before training."""
        left = self.progress(job).seconds_left
        if left is None and job.id in self._estimates:
            return self._estimates[job.id] * (1 - job.step / (job.steps or 1))
        return left

    @property
    def is_preparing_training(self) -> bool:
        """Whether training was requested, but has no job yet."""
        titles = (_DOWNLOADING, _CHECKING)
        return self.job_work.is_running and self.job_work.title in titles

    def stop_preparing(self) -> None:
        """Cancel requested training that has no job yet."""
        if self.is_preparing_training:
            self.job_work.stop()
            self.job_work.title = _STOPPING

    def stop_job(self, job: Job) -> bool:

        def stop() -> None:
            pause_job(self.workspace, job.id)
            self._requested_jobs.discard(job.id)
            self.workspace.jobs.wait_for_trainer()  # It saves.
            self.refresh()

        return self.job_work.start(lazy_gettext("Stopping training"), stop)

    def resume_job(self, job: Job) -> bool:

        def resume() -> None:
            self.workspace.jobs.resume(job.id)
            self._requested_jobs.add(job.id)
            self.refresh()

        return self.job_work.start(lazy_gettext("Continuing training"), resume)


def download_if_missing(base: str | None, work: Work) -> None:
    """Download a base unless it is present, reporting progress to `work`."""
    found_base = find_base(base)
    if found_base.needs_download():
        work.title = _DOWNLOADING
        download_base(found_base, work.watch, check=work.check)
