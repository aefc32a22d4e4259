"""What the page's person has done so far: exports, examples, trainings, a talk.

All tabs of the browser show the same session. It ends with the command; jobs and models
stay in the data directory.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

from typing_extensions import Self

from langchain_chatexports._temporary import private_folder
from langchain_chatexports.chat_loaders.counts import ExportSummary, Reading
from langchain_chatexports.chat_loaders.recognition import (
    Export,
    estimate_message_count,
    open_exports,
)
from langchain_chatexports.datasets.chat_choice import ChatChoice
from langchain_chatexports.datasets.preparation import PrepareOptions
from langchain_chatexports.datasets.redaction import Redaction
from langchain_chatexports.datasets.training_data import TrainingData
from langchain_chatexports.exceptions import (
    LocalServerError,
    SenderNotFoundError,
    TrainingDataError,
)
from langchain_chatexports.local_server import LocalServer
from langchain_chatexports.local_server.bases.description import describe_base
from langchain_chatexports.page.guess_state import Guess
from langchain_chatexports.page.manage_state import Manage
from langchain_chatexports.page.talk_state import Talk
from langchain_chatexports.page.work import Work
from langchain_chatexports.report import build_report, render_report
from langchain_chatexports.samples import write_messenger
from langchain_chatexports.workflows import prepare
from langchain_chatexports.workflows.bases import estimate_seconds, measure_machine
from langchain_chatexports.workflows.models import (
    KeptJob,
    find_running_server,
    list_jobs,
)
from langchain_chatexports.workflows.train import (
    JobEvent,
    continue_job,
    create_job,
    is_unfinished,
    pause_job,
)

# One for the table, and two of the report.
_PASSES = 3
_END_SECONDS = 5.0
# Most systems allow 255.
_MAX_NAME_BYTES = 200
_PREPARING = "Preparing the training; on a busy computer this can take some minutes"


@dataclass(frozen=True)
class ReadExports:
    """Exports that were read to their end.

    Attributes:
        exports: The exports.
        summaries: What is in each.
        report: The report about all of them, an HTML page.
    """

    exports: list[Export]
    summaries: list[ExportSummary]
    report: str

    @property
    def senders(self) -> dict[str, int]:
        """Everybody who wrote, with their numbers of messages, the most first."""
        found: dict[str, int] = {}
        for summary in self.summaries:
            for name, messages in summary.senders.items():
                found[name] = found.get(name, 0) + messages
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    @property
    def owners(self) -> list[str]:
        """The exports' owners; empty if one is not known."""
        owners = [summary.owner or "" for summary in self.summaries]
        return list(dict.fromkeys(owners)) if all(owners) else []

    @property
    def proposed_voice(self) -> str | None:
        """Whose voice is proposed, as in `Choice`."""
        if self.owners:
            return ""
        # Of several exports, that of the one whose owner is known.
        owners = (summary.owner for summary in self.summaries)
        return next((owner for owner in owners if owner in self.senders), None)


@dataclass(frozen=True)
class Choice:
    """What the examples are made of.

    Attributes:
        voice: Who becomes the AI; empty for each export's owner, `None` before
            somebody is chosen.
        chats: Which chats.
        redact: Whether to replace names and private numbers.
    """

    voice: str | None = None
    chats: ChatChoice = field(default_factory=ChatChoice)
    redact: bool = False

    def fitting(self, read: ReadExports) -> Choice:
        """Return the choice for other exports: without people who are not in them.

        Args:
            read: The exports.
        """
        is_there = bool(read.owners) if self.voice == "" else self.voice in read.senders
        people = tuple(name for name in self.chats.people if name in read.senders)
        return replace(
            self,
            voice=self.voice if is_there else read.proposed_voice,
            chats=replace(self.chats, people=people),
        )


class PageSession:
    """One person's work on the page; a context manager.

    Attributes:
        base: The base model that is proposed first; `None` for the default.
        data_dir: Where jobs and models are kept; `None` for the default.
        index_dir: Where search indexes are kept; `None` for the default.
        reading: Reads exports.
        preparing: Makes examples.
        measuring: Measures this machine, once.
        ordering: Starts, stops and continues trainings.
        read: The exports that were read.
        notes: Warnings about them.
        choice: What is chosen of them.
        seconds_per_token: What training costs on this machine, once it was measured.
        found: What happened with the job that was asked for last.
        talk: The talk with a model.
        guess: The blind test and the evaluation of a model.
        manage: Changes what is kept on this machine.
    """

    def __init__(
        self, base: str | None, data_dir: Path | None, index_dir: Path | None = None
    ) -> None:
        """Initialize; nothing is started yet.

        Args:
            base: The base model that is proposed first; `None` for the default.
            data_dir: Where jobs and models are kept; `None` for the default.
            index_dir: Where search indexes are kept; `None` for the default.
        """
        self.base = base
        self.data_dir = data_dir
        self.index_dir = index_dir
        self.reading, self.preparing, self.measuring = Work(), Work(), Work()
        self.ordering = Work()
        self.read: ReadExports | None = None
        self.notes: list[str] = []
        self.choice = Choice()
        self._made: tuple[Choice, TrainingData] | None = None
        self.seconds_per_token: float | None = None
        self.found: JobEvent | None = None
        self.talk = Talk(self.use_server)
        self.guess = Guess(self.hold_server)
        self.manage = Manage(
            data_dir,
            index_dir,
            talk=self.talk,
            stop_server=self.stop_server,
            clear=self.clear,
        )
        self._server: LocalServer | None = None
        self._server_lock = threading.Lock()
        self._holders = 0
        self._numbers = count(1)
        self._resources = ExitStack()
        self._folder = self._resources.enter_context(private_folder())
        # What the page itself has made, and the folder of each.
        self._uploads: dict[Path, Path] = {}

    def __enter__(self) -> Self:
        """Return the session."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop the local server, and delete copies of exports that were dropped."""
        self.talk.stop()
        self.guess.stop()
        self.ordering.join(_END_SECONDS)
        self.stop_server()
        self._resources.close()

    def note(self, text: str) -> None:
        """Add a warning, once."""
        if text not in self.notes:
            self.notes.append(text)

    # Exports

    def new_upload(self, name: str) -> Path:
        """Return the place for a file that was dropped; it is deleted at the end.

        Args:
            name: What the browser calls it.
        """
        plain = "".join(letter for letter in name if letter.isprintable())
        last = plain.replace("\\", "/").rpartition("/")[2]
        last = last.encode()[-_MAX_NAME_BYTES:].decode("utf-8", "ignore")
        folder = self._folder / str(next(self._numbers))
        folder.mkdir()
        upload = folder / (last.strip(" .") or "export")
        self._uploads[upload] = folder
        return upload

    def add_exports(self, paths: Sequence[Path]) -> bool:
        """Read exports in the background, with those that are there.

        Args:
            paths: What to add. If that fails, nothing is added.

        Returns:
            Whether it was started.
        """
        there = [*self._paths(), *paths]

        def read() -> None:
            try:
                self._read(there)
            except BaseException:
                self._forget_uploads(paths)
                raise

        return self.reading.start("Reading", read)

    def add_sample(self) -> bool:
        """Add an invented Messenger export; it is deleted at the end.

        Returns:
            Whether it was started.
        """
        folder = self.new_upload("Hogwarts")
        return self.add_exports([write_messenger(folder)])

    def remove_export(self, export: Export) -> bool:
        """Take an export off the list; the others are read again.

        Args:
            export: Which one; nothing happens to the file, unless it was dropped here.
        """
        there = [path for path in self._paths() if path not in export.paths]

        def read() -> None:
            self._read(there)
            self._forget_uploads(export.paths)

        return self.reading.start("Reading", read)

    def clear(self) -> None:
        """Take all exports off the list, and delete what was made of them."""
        self._forget_uploads(self._paths())
        self.read = self._made = None
        self.choice = Choice()
        self.notes.clear()

    def _paths(self) -> list[Path]:
        exports = self.read.exports if self.read else []
        return [path for export in exports for path in export.paths]

    def _forget_uploads(self, paths: Sequence[Path]) -> None:
        for path in paths:
            if (folder := self._uploads.pop(path, None)) is not None:
                shutil.rmtree(folder, ignore_errors=True)

    def _read(self, paths: Sequence[Path]) -> None:
        self.notes.clear()
        exports = open_exports(paths)
        if exports:
            self.read = self._read_exports(exports)
            self.choice = self.choice.fitting(self.read)
        else:
            self.read = None
        self._made = None

    def _read_exports(self, exports: list[Export]) -> ReadExports:
        total = estimate_message_count(exports)
        total = total and total * _PASSES
        summaries = []
        before = 0
        for export in exports:
            counted = export.loader.read()
            self.reading.count(_count_of(counted, before), total)
            summaries.append(counted.finish())
            before += counted.messages_read
        seen = [before]
        self.reading.count(lambda: seen[-1], total)
        report = build_report(
            [export.loader for export in exports],
            on_messages=lambda messages: seen.append(before + messages),
        )
        return ReadExports(
            exports, summaries, render_report(report, with_examples=False)
        )

    # Examples

    @property
    def data(self) -> TrainingData | None:
        """The examples that were made of what is chosen."""
        return self._made[1] if self._made and self._made[0] == self.choice else None

    @property
    def is_choice_changed(self) -> bool:
        """Whether the examples that were made are of another choice."""
        return self._made is not None and self.data is None

    def prepare(self) -> bool:
        """Make examples of what is chosen, in the background.

        The key of a redaction is deleted with the session, so nobody can undo it later.

        Returns:
            Whether it was started.
        """
        choice, paths = self.choice, self._paths()
        options = PrepareOptions(
            ai=(choice.voice,) if choice.voice else (), chats=choice.chats
        )
        if choice.redact:
            key = self._folder / "redaction.key"
            options = replace(options, redaction=Redaction(key))

        def make() -> None:
            self._made = None
            try:
                data = prepare(paths, options, watch=self.preparing.watch)
            except SenderNotFoundError as error:
                msg = "This person wrote nothing in the chats that you chose."
                raise TrainingDataError(msg) from error
            except TrainingDataError as error:
                msg = "These chats have nothing to learn from. Choose more of them."
                raise TrainingDataError(msg) from error
            self._made = choice, data
            if self.seconds_per_token is None:
                self.measuring.start("Measuring this machine", self._measure)

        return self.preparing.start("Making examples", make)

    def _measure(self) -> None:
        self.seconds_per_token = measure_machine()

    def estimate_seconds(self) -> float | None:
        """Return how long a training takes with the default base, once measured."""
        if self.seconds_per_token is None or self.data is None:
            return None
        return estimate_seconds(self.seconds_per_token, self.data)

    # Trainings

    def use_server(self, base: str | None) -> LocalServer:
        """Return the local server of a base; it is started if it does not run.

        Args:
            base: The base model; `None` for the default.

        Raises:
            LocalServerError: If it cannot be started, or another base is in use.
        """
        with self._server_lock:
            return self._server_of(base)

    @contextmanager
    def hold_server(self, base: str | None) -> Iterator[LocalServer]:
        """Use the local server of a base, which no other base replaces meanwhile.

        Args:
            base: The base model; `None` for the default.

        Yields:
            The server.

        Raises:
            LocalServerError: As `use_server`.
        """
        with self._server_lock:
            server = self._server_of(base)
            self._holders += 1
        try:
            yield server
        finally:
            with self._server_lock:
                self._holders -= 1

    def _server_of(self, base: str | None) -> LocalServer:
        server = self._server
        if server is not None and server.is_running:
            if server.base_model == describe_base(base).name:
                return server
            busy = [job.base_model for job in self.jobs() if is_unfinished(job)]
            what = f"A training of {busy[-1]}" if busy else ""
            if self._holders:
                what = f"A blind test or an evaluation with {server.base_model}"
            if what:
                msg = (
                    f"{what} is running, and only one base can be in use. Wait for "
                    "its end, or stop it."
                )
                raise LocalServerError(msg)
        if server is not None:
            server.stop()
        self._server = None
        self._server = LocalServer(
            base, data_dir=self.data_dir, resume_jobs=False, share=True
        ).start()
        return self._server

    def stop_server(self) -> None:
        """Stop the local server; a training is saved, and can be continued."""
        with self._server_lock:
            server, self._server = self._server, None
            if server is not None:
                server.stop()

    @property
    def has_lost_server(self) -> bool:
        """Whether the local server ended without being stopped."""
        server = self._server
        return server is not None and not server.is_running

    def jobs(self) -> list[KeptJob]:
        """Return the jobs of the data directory, newest first."""
        return list_jobs(self.data_dir)

    def train(self, base: str | None) -> bool:
        """Order a training on the examples, in the background.

        Args:
            base: The base model; `None` for the default.

        Returns:
            Whether that was started.
        """
        data = self.data
        return data is not None and self.ordering.start(
            _PREPARING, lambda: self._order(data, base)
        )

    @property
    def is_preparing_training(self) -> bool:
        """Whether a training was asked for that has not become a job."""
        return self.ordering.is_running and self.ordering.what == _PREPARING

    def stop_preparing(self) -> None:
        """Order no training once the local server runs, whose start takes the time."""
        if self.is_preparing_training:
            self.ordering.stop()
            self.ordering.what = "Stopping"

    def _order(self, data: TrainingData, base: str | None) -> None:
        self.found = None
        server = self.use_server(base)
        self.ordering.check()
        self.found = create_job(server, data)

    def stop_job(self, job: KeptJob) -> bool:
        """Stop a job in the background, so that it can be continued.

        Args:
            job: The job.
        """

        def stop() -> None:
            is_served = find_running_server(self.data_dir) is not None
            server = self.use_server(job.base) if is_served else None
            pause_job(job, server, self.data_dir)

        return self.ordering.start("Stopping the training", stop)

    def continue_job(self, job: KeptJob) -> bool:
        """Continue a stopped job in the background.

        Args:
            job: The job.
        """
        return self.ordering.start(
            "Continuing the training",
            lambda: continue_job(job, self.use_server(job.base)),
        )


def _count_of(counted: Reading, before: int) -> Callable[[], int]:
    return lambda: before + counted.messages_read
