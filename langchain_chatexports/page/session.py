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
from langchain_chatexports.exceptions import (
    ChatExportError,
    SenderNotFoundError,
    TrainingDataError,
)
from langchain_chatexports.local_server import LocalServer
from langchain_chatexports.local_server.bases.description import describe_base
from langchain_chatexports.page.errors import PageError
from langchain_chatexports.page.exports import ExportContents, ExportList
from langchain_chatexports.page.guess_state import Guess
from langchain_chatexports.page.languages import LazyMessage, TimeLeft, lazy_gettext
from langchain_chatexports.page.talk_state import Talk
from langchain_chatexports.page.work import Work
from langchain_chatexports.samples import write_messenger
from langchain_chatexports.workflows import prepare
from langchain_chatexports.workflows.bases import (
    BaseChoice,
    choose_base,
    choose_chat_base,
    download_base,
    estimate_seconds,
    estimate_speed,
    find_base,
    measure_machine,
)
from langchain_chatexports.workflows.chat_filter import ChatFilter
from langchain_chatexports.workflows.models import (
    LocalJob,
    find_running_server,
    list_jobs,
)
from langchain_chatexports.workflows.preparation import PrepareOptions
from langchain_chatexports.workflows.redaction import Redaction
from langchain_chatexports.workflows.removal import ForgetResult
from langchain_chatexports.workflows.talk import Speaker, load_person
from langchain_chatexports.workflows.train import (
    create_job,
    get_progress,
    is_unfinished,
    pause_job,
    resume_job,
)
from langchain_chatexports.workflows.training_data import TrainingData
from langchain_chatexports.workflows.training_events import JobEvent

_STOP_SECONDS = 5.0
_DOWNLOADING = lazy_gettext("Downloading the base model")
_STARTING = lazy_gettext("Starting the local server; this takes up to a minute")
_CHECKING = lazy_gettext("Checking the examples and the base model")
_NO_MESSAGES = lazy_gettext("This person has no messages in the selected chats.")
_NO_EXAMPLES = lazy_gettext("Nothing to train on in these chats. Choose more chats.")
_SERVER_DIED = lazy_gettext(
    "The local server stopped unexpectedly, possibly because memory ran out."
)
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
        self.data_dir = data_dir
        self.index_dir = index_dir
        self.preparing, self.measuring = Work(), Work()
        self.job_work, self.managing = Work(), Work()
        self.choice = Choice()
        self._prepared: tuple[Choice, TrainingData] | None = None
        self.seconds_per_token: float | None = None
        # The last requested job: new, existing or continued.
        self.job_event: JobEvent | None = None
        # The estimated training times, in seconds, by job.
        self._estimates: dict[str, float] = {}
        # The jobs last seen running or queued, or requested since.
        self._active_jobs: set[str] = set()
        # A base to download for a talk without training, if the user agrees.
        self.offer: BaseChoice | None = None
        self.talk = Talk(self.use_server)
        self.guess = Guess(self.use_server)
        # The results of the last action on the screen Manage.
        self.manage_results: list[LazyMessage | str] = []
        self.forget_result: ForgetResult | None = None
        self._server: LocalServer | None = None
        self._server_lock = threading.Lock()
        self._resources = ExitStack()
        self._folder = self._resources.enter_context(private_folder())
        # A single key, so that pseudonyms stay the same after another choice.
        self._redaction = Redaction(self._folder / "redaction.key")
        copies = self._folder / "copies"
        copies.mkdir(mode=0o700)
        self.exports = ExportList(copies, self._on_exports_changed)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop the local server, and delete the copies of exports."""
        self.talk.stop()
        self.guess.work.stop()
        self.exports.clear()
        self.job_work.join(_STOP_SECONDS)
        self.stop_server()
        self._resources.close()

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
        self._prepared = self.offer = None
        if self.talk.model is None:  # The talk is with a person of the exports.
            self.talk.end()
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
            self._prepared = choice, data
            if self.seconds_per_token is None:
                self.measuring.start(
                    lazy_gettext("Measuring this machine"), self._measure
                )

        return self.preparing.start(lazy_gettext("Creating examples"), create)

    def _measure(self) -> None:
        self.seconds_per_token = measure_machine()

    def estimate_seconds(self) -> float | None:
        """Return the training time with the default base; `None` until measured."""
        if self.seconds_per_token is None or self.data is None:
            return None
        return estimate_seconds(self.seconds_per_token, self.data)

    def choose_base(self, data: TrainingData) -> BaseChoice:
        speed = self.seconds_per_token or estimate_speed()
        return choose_base(data, seconds_per_token=speed)

    def talk_to_person(self, *, downloads: bool | None = None) -> bool:
        """Start a talk with the chosen person, without training."""
        options, paths = self._options(), self.exports.paths()
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
            if choice.base.download_bytes and not downloads:
                self.offer = choice
                return None
            download_if_missing(choice.base.id, work)
            return replace(speaker, base=choice.base.id)

        return self.talk.start(None, find_speaker)

    def end_talk(self, name: str) -> None:
        """End the talk if it is with this model."""
        if self.talk.model is not None and self.talk.model.name == name:
            self.talk.end()

    # Training

    def use_server(self, base: str | None) -> LocalServer:
        """Return the local server with a base; start it if needed."""
        with self._server_lock:
            server = self._server
            if server is not None and server.is_running:
                if server.base_model == describe_base(base).name:
                    return server
                self._require_idle(server)
            if server is not None:
                server.stop()
            self._server = None
            self._server = LocalServer(
                base, data_dir=self.data_dir, resume_jobs=False, share=True
            ).start()
            return self._server

    def _require_idle(self, server: LocalServer) -> None:
        """Raise an error if a blind test or a training run uses the server."""
        if self.guess.is_using_server:
            raise PageError(
                lazy_gettext(
                    "A blind test with {base} is running, and only one base model "
                    "can be used at a time. Wait for it to finish, or stop it.",
                    base=server.base_model,
                )
            )
        unfinished = [job for job in self.jobs() if is_unfinished(job)]
        if unfinished:
            left = self.seconds_left(unfinished[-1])
            raise PageError(
                lazy_gettext(
                    "Training of {base} is running, and only one base model can be "
                    "used at a time. Wait for it to finish, or stop it. {left}",
                    base=unfinished[-1].base_model,
                    left=TimeLeft(left),
                )
            )

    def stop_server(self) -> None:
        """Stop the local server; unfinished training can be continued later."""
        with self._server_lock:
            server, self._server = self._server, None
            if server is not None:
                server.stop()

    @property
    def has_interrupted_training(self) -> bool:
        """Whether the local server died while training."""
        server = self._server
        if server is None or server.is_running:
            return False
        stopped = (job.id for job in self.jobs() if job.status == "stopped")
        return not self._active_jobs.isdisjoint(stopped)

    def jobs(self) -> list[LocalJob]:
        jobs = list_jobs(self.data_dir)
        if any(map(is_unfinished, jobs)):
            if find_running_server(self.data_dir) is None:
                # After a kill, the records still show running and queued jobs.
                return [_mark_stopped(job) for job in jobs]
            self._active_jobs = {job.id for job in jobs if is_unfinished(job)}
        return jobs

    @property
    def training_status(self) -> LazyMessage | None:
        """The progress of the oldest unfinished job; `None` without one."""
        unfinished = [job for job in self.jobs() if is_unfinished(job)]
        if not unfinished:
            if self.is_preparing_training:
                return lazy_gettext("Preparing to train.")
            return None
        job = unfinished[-1]
        name = job.person or job.base_model
        if not job.total_steps:
            return lazy_gettext("Training for {name} is running.", name=name)
        return lazy_gettext(
            "Training for {name} is running: step {step} of {total}.",
            name=name,
            step=job.step,
            total=job.total_steps,
        )

    def train(self, base: str | None) -> bool:
        """Create a training job for the examples in the background."""
        if (data := self.data) is None:
            return False

        def create() -> None:
            self.job_event = None
            download_if_missing(base, self.job_work)
            self.job_work.title = _STARTING
            server = self.use_server(base)
            self.job_work.check()
            self.job_work.title = _CHECKING
            try:
                self.job_event = create_job(server, data, watch=self.job_work.watch)
            except ChatExportError:
                if server.is_running:
                    raise
                raise PageError(_SERVER_DIED) from None
            self._active_jobs.add(self.job_event.job_id)
            speed = self.seconds_per_token or estimate_speed()
            seconds = find_base(base).training_seconds(estimate_seconds(speed, data))
            if seconds is not None:
                self._estimates[self.job_event.job_id] = seconds

        return self.job_work.start(_STARTING, create)

    def seconds_left(self, job: LocalJob) -> float | None:
        """Return the time left, initially from the estimate made before training."""
        left = get_progress(job, self.data_dir).seconds_left
        if left is None and job.id in self._estimates:
            return self._estimates[job.id] * (1 - job.step / (job.total_steps or 1))
        return left

    @property
    def is_preparing_training(self) -> bool:
        """Whether training was requested, but has no job yet."""
        titles = (_DOWNLOADING, _STARTING, _CHECKING)
        return self.job_work.is_running and self.job_work.title in titles

    def stop_preparing(self) -> None:
        """Cancel requested training that has no job yet."""
        if self.is_preparing_training:
            self.job_work.stop()
            self.job_work.title = _STOPPING

    def stop_job(self, job: LocalJob) -> bool:

        def stop() -> None:
            is_served = find_running_server(self.data_dir) is not None
            server = self.use_server(job.base) if is_served else None
            pause_job(job, server, self.data_dir)
            self._active_jobs.discard(job.id)

        return self.job_work.start(lazy_gettext("Stopping training"), stop)

    def resume_job(self, job: LocalJob) -> bool:

        def resume() -> None:
            server = self.use_server(job.base)
            try:
                resume_job(job, server)
            except ChatExportError:
                if server.is_running:
                    raise
            # If the server died, `has_interrupted_training` says so.
            self._active_jobs.add(job.id)

        return self.job_work.start(lazy_gettext("Continuing training"), resume)


def _mark_stopped(job: LocalJob) -> LocalJob:
    return replace(job, status="stopped") if is_unfinished(job) else job


def download_if_missing(base: str | None, work: Work) -> None:
    """Download a base unless it is present, reporting progress to `work`."""
    found_base = find_base(base)
    if found_base.download_bytes:
        work.title = _DOWNLOADING
        download_base(found_base, work.watch, check=work.check)
