"""The state of the page: exports, examples, trainings, a talk.

All tabs of the browser show the same session. It ends with the command; jobs and models
stay in the data directory.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from typing_extensions import Self

from langchain_chatexports._temporary import private_folder
from langchain_chatexports.datasets.chat_choice import ChatChoice
from langchain_chatexports.datasets.preparation import PrepareOptions
from langchain_chatexports.datasets.redaction import Redaction
from langchain_chatexports.datasets.training_data import TrainingData
from langchain_chatexports.exceptions import (
    ChatExportError,
    SenderNotFoundError,
    TrainingDataError,
)
from langchain_chatexports.local_server import LocalServer
from langchain_chatexports.local_server.bases.description import describe_base
from langchain_chatexports.page.errors import PageError
from langchain_chatexports.page.exports import ExportList, ReadExports
from langchain_chatexports.page.guess_state import Guess
from langchain_chatexports.page.languages import Sentence, TimeLeft, later
from langchain_chatexports.page.talk_state import Talk
from langchain_chatexports.page.work import Work
from langchain_chatexports.samples import write_messenger
from langchain_chatexports.workflows import prepare
from langchain_chatexports.workflows.bases import (
    BaseChoice,
    choose_base,
    choose_base_to_talk,
    download_base,
    estimate_seconds,
    find_base,
    measure_machine,
    usual_speed,
)
from langchain_chatexports.workflows.models import (
    KeptJob,
    find_running_server,
    list_jobs,
)
from langchain_chatexports.workflows.removal import Forgotten
from langchain_chatexports.workflows.talk import Speaker, person_of
from langchain_chatexports.workflows.train import (
    continue_job,
    create_job,
    is_unfinished,
    pause_job,
    progress_now,
)
from langchain_chatexports.workflows.training_events import JobEvent

_END_SECONDS = 5.0
_DOWNLOADING = later("Downloading the base model")
_STARTING = later("Starting the local server; it loads its programs, up to a minute")
_CHECKING = later("Checking the examples and the base model")
_WROTE_NOTHING = later("This person wrote nothing in the chats that you chose.")
_NOTHING_TO_LEARN = later(
    "These chats have nothing to learn from. Choose more of them."
)
_SERVER_ENDED = later("The local server ended unexpectedly: memory may not be enough.")
_STOPPING = later("Stopping")


@dataclass(frozen=True)
class Choice:
    """The choices for making examples."""

    # A name; empty for each export's owner, `None` before a choice.
    voice: str | None = None
    chats: ChatChoice = field(default_factory=ChatChoice)
    redact: bool = False

    def fitting(self, read: ReadExports) -> Choice:
        """Return the choice for other exports, without people who are not in them."""
        is_there = bool(read.owners) if self.voice == "" else self.voice in read.senders
        people = tuple(name for name in self.chats.include if name in read.senders)
        return replace(
            self,
            voice=self.voice if is_there else read.proposed_voice,
            chats=replace(self.chats, include=people),
        )


class PageSession:
    """A person's work on the page; a context manager."""

    def __init__(
        self, base: str | None, data_dir: Path | None, index_dir: Path | None = None
    ) -> None:
        self.base = base
        self.data_dir = data_dir
        self.index_dir = index_dir
        self.preparing, self.measuring = Work(), Work()
        self.job_work, self.managing = Work(), Work()
        self.choice = Choice()
        self._made: tuple[Choice, TrainingData] | None = None
        self.seconds_per_token: float | None = None
        # Whether the last requested job was new, found or continued.
        self.found: JobEvent | None = None
        # The estimates of the screen Choose, by job.
        self._estimates: dict[str, float] = {}
        # The running and queued jobs when the server was last checked.
        self._trained: set[str] = set()
        # The base whose download was proposed for a talk without a training.
        self.offer: BaseChoice | None = None
        self.talk = Talk(self.use_server)
        self.guess = Guess(self.use_server)
        # What the screen Manage did last.
        self.managed: list[Sentence | str] = []
        self.forgotten: Forgotten | None = None
        self._server: LocalServer | None = None
        self._server_lock = threading.Lock()
        self._resources = ExitStack()
        self._folder = self._resources.enter_context(private_folder())
        # One key, so that stand-ins do not change with the choice.
        self._redaction = Redaction(self._folder / "redaction.key")
        copies = self._folder / "copies"
        copies.mkdir(mode=0o700)
        self.exports = ExportList(copies, self._exports_changed)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop the local server, and delete copies of dropped exports."""
        self.talk.stop()
        self.guess.work.stop()
        self.exports.clear()
        self.job_work.join(_END_SECONDS)
        self.stop_server()
        self._resources.close()

    # Exports

    @property
    def read(self) -> ReadExports | None:
        return self.exports.read

    def add_sample(self) -> None:
        """Add an invented Messenger export, which is deleted at the end."""
        self.exports.add([write_messenger(self.exports.new_copy("Hogwarts"))])

    def clear(self) -> None:
        """Remove all exports from the list, with their examples."""
        self.exports.clear()
        self.choice = Choice()

    def _exports_changed(self) -> None:
        self._made = self.offer = None
        if self.talk.model is None:  # It is with a person of the exports.
            self.talk.leave()
        if self.read:
            self.choice = self.choice.fitting(self.read)

    # Examples

    @property
    def data(self) -> TrainingData | None:
        return self._made[1] if self._made and self._made[0] == self.choice else None

    def _options(self) -> PrepareOptions:
        """Return the options of the choice; of two phones' chats one is learned."""
        voice, twins = self.choice.voice, self.read.twins if self.read else []
        chats = self.choice.chats
        left_out = (pair.not_learned(voice, chats.include).id for pair in twins)
        chats = replace(chats, exclude=tuple(left_out))
        return PrepareOptions(ai=(voice,) if voice else (), chats=chats)

    def prepare(self) -> bool:
        """Make examples of the current choice in the background.

        The key of a redaction is deleted with the session, so the redaction cannot be
        undone.
        """
        choice, paths = self.choice, self.exports.paths()
        options = self._options()
        if choice.redact:
            options = replace(options, redaction=self._redaction)

        def make() -> None:
            self._made = None
            try:
                data = prepare(paths, options, watch=self.preparing.watch)
            except SenderNotFoundError as error:
                raise PageError(_WROTE_NOTHING) from error
            except TrainingDataError as error:
                raise PageError(_NOTHING_TO_LEARN) from error
            self._made = choice, data
            if self.seconds_per_token is None:
                self.measuring.start(later("Measuring this machine"), self._measure)

        return self.preparing.start(later("Making examples"), make)

    def _measure(self) -> None:
        self.seconds_per_token = measure_machine()

    def estimate_seconds(self) -> float | None:
        """Return the training time with the default base; `None` until measured."""
        if self.seconds_per_token is None or self.data is None:
            return None
        return estimate_seconds(self.seconds_per_token, self.data)

    def choose_base(self, data: TrainingData) -> BaseChoice:
        speed = self.seconds_per_token or usual_speed()
        return choose_base(data, seconds_per_token=speed)

    def talk_to_person(self, *, downloads: bool | None = None) -> bool:
        """Begin a talk with the chosen person, without a training."""
        options, paths = self._options(), self.exports.paths()
        work = self.talk.answering

        def meet() -> Speaker | None:
            self.offer = None
            speaker = person_of(paths, options, watch=work.watch)
            if self.base is not None:
                return replace(speaker, base=self.base)
            choice = choose_base_to_talk(
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

        return self.talk.begin(None, meet)

    def leave_talk_with(self, name: str) -> None:
        """End the talk with a model, which is deleted."""
        if self.talk.model is not None and self.talk.model.name == name:
            self.talk.leave()

    # Trainings

    def use_server(self, base: str | None) -> LocalServer:
        """Return the local server of a base; start it if needed."""
        with self._server_lock:
            server = self._server
            if server is not None and server.is_running:
                if server.base_model == describe_base(base).name:
                    return server
                self._check_unused(server)
            if server is not None:
                server.stop()
            self._server = None
            self._server = LocalServer(
                base, data_dir=self.data_dir, resume_jobs=False, share=True
            ).start()
            return self._server

    def _check_unused(self, server: LocalServer) -> None:
        """Raise an error if a server with another base is in use."""
        if self.guess.is_asking:
            raise PageError(
                later(
                    "A blind test with {base} is running, and only one base can be "
                    "in use. Wait for its end, or stop it.",
                    base=server.base_model,
                )
            )
        busy = [job for job in self.jobs() if is_unfinished(job)]
        if busy:
            left = self.seconds_left(busy[-1])
            raise PageError(
                later(
                    "A training of {base} is running, and only one base can be in "
                    "use. Wait for its end, or stop it. {left}",
                    base=busy[-1].base_model,
                    left=TimeLeft(left),
                )
            )

    def stop_server(self) -> None:
        """Stop the local server; an unfinished training can be continued."""
        with self._server_lock:
            server, self._server = self._server, None
            if server is not None:
                server.stop()

    @property
    def has_lost_training(self) -> bool:
        """Whether the local server ended unexpectedly during a training."""
        server = self._server
        if server is None or server.is_running:
            return False
        stopped = (job.id for job in self.jobs() if job.status == "stopped")
        return not self._trained.isdisjoint(stopped)

    def jobs(self) -> list[KeptJob]:
        jobs = list_jobs(self.data_dir)
        if any(map(is_unfinished, jobs)):
            if find_running_server(self.data_dir) is None:
                # Queued jobs of a killed server are stopped.
                return [_stopped(job) for job in jobs]
            self._trained = {job.id for job in jobs if is_unfinished(job)}
        return jobs

    @property
    def training(self) -> Sentence | None:
        """The progress of the training that ends first; `None` if there is none."""
        unfinished = [job for job in self.jobs() if is_unfinished(job)]
        if not unfinished:
            if self.is_preparing_training:
                return later("The training is being prepared.")
            return None
        job = unfinished[-1]
        name = job.person or job.base_model
        if not job.total_steps:
            return later("{name} is still being trained.", name=name)
        return later(
            "{name} is still being trained: step {step} of {total}.",
            name=name,
            step=job.step,
            total=job.total_steps,
        )

    def train(self, base: str | None) -> bool:
        """Create a training job for the examples in the background."""
        if (data := self.data) is None:
            return False

        def create() -> None:
            self.found = None
            download_if_missing(base, self.job_work)
            self.job_work.title = _STARTING
            server = self.use_server(base)
            self.job_work.check()
            self.job_work.title = _CHECKING
            try:
                self.found = create_job(server, data, watch=self.job_work.watch)
            except ChatExportError:
                if server.is_running:
                    raise
                raise PageError(_SERVER_ENDED) from None
            speed = self.seconds_per_token or usual_speed()
            seconds = find_base(base).training_seconds(estimate_seconds(speed, data))
            if seconds is not None:
                self._estimates[self.found.job_id] = seconds

        return self.job_work.start(_STARTING, create)

    def seconds_left(self, job: KeptJob) -> float | None:
        """Return the time left; until the steps show a pace, it is that of Choose."""
        left = progress_now(job, self.data_dir).seconds_left
        if left is None and job.id in self._estimates:
            return self._estimates[job.id] * (1 - job.step / (job.total_steps or 1))
        return left

    @property
    def is_preparing_training(self) -> bool:
        """Whether a requested training is not a job yet."""
        steps = (_DOWNLOADING, _STARTING, _CHECKING)
        return self.job_work.is_running and self.job_work.title in steps

    def stop_preparing(self) -> None:
        """Cancel the requested training, or its download, before it is a job."""
        if self.is_preparing_training:
            self.job_work.stop()
            self.job_work.title = _STOPPING

    def stop_job(self, job: KeptJob) -> bool:

        def stop() -> None:
            is_served = find_running_server(self.data_dir) is not None
            server = self.use_server(job.base) if is_served else None
            pause_job(job, server, self.data_dir)

        return self.job_work.start(later("Stopping the training"), stop)

    def continue_job(self, job: KeptJob) -> bool:
        return self.job_work.start(
            later("Continuing the training"),
            lambda: continue_job(job, self.use_server(job.base)),
        )


def _stopped(job: KeptJob) -> KeptJob:
    return replace(job, status="stopped") if is_unfinished(job) else job


def download_if_missing(base: str | None, work: Work) -> None:
    """Download a base as a part of work in the background."""
    found = find_base(base)
    if found.download_bytes:
        work.title = _DOWNLOADING
        download_base(found, work.watch, check=work.check)
