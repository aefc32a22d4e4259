"""What a model of a person learns from, and its training."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from langchain_chatexports.chat_loaders.names import name_key
from langchain_chatexports.datasets.splits import MIN_EXAMPLES as MIN_SPLIT_EXAMPLES
from langchain_chatexports.exceptions import (
    LocalServerError,
    SenderNotFoundError,
    TrainingDataError,
)
from langchain_chatexports.local_server import BaseChoice, Job, Workspace, find_base
from langchain_chatexports.page.errors import Failure, PageError, translate_error
from langchain_chatexports.page.exports import ExportList
from langchain_chatexports.page.languages import LazyMessage, lazy_gettext
from langchain_chatexports.page.work import Work
from langchain_chatexports.workflows.bases import (
    choose_base,
    detect_language,
    download_base,
    estimate_seconds,
    measure_speed,
)
from langchain_chatexports.workflows.prepare import prepare
from langchain_chatexports.workflows.train import create_job, pause_job
from langchain_chatexports.workflows.training_data import TrainingData

# Of a chat that repeats itself, a tenth held out may be no new text.
_LARGE_FRACTION = 0.25
_STOP_SECONDS = 5.0
_READING = lazy_gettext("Reading the chats")
_DOWNLOADING = lazy_gettext("Downloading the language model, once")
_CHECKING = lazy_gettext("Getting ready to learn")
_STOPPING = lazy_gettext("Stopping")
_NO_MESSAGES = lazy_gettext("There are no messages of this person in these chats.")
_NO_EXAMPLES = lazy_gettext("There is nothing to learn from in these chats.")
_TOO_FEW = lazy_gettext("There is too little to learn from. Add more chats.")
_LEARNED = lazy_gettext("It has already learned exactly this.")


@dataclass(frozen=True, eq=False)  # Examples are too many to compare.
class Lesson:
    key: str
    name: str
    data: TrainingData | None = field(default=None, repr=False)
    messages: int = 0
    first: datetime | None = None
    last: datetime | None = None
    language: str | None = None
    proposal: BaseChoice | None = None
    seconds: float | None = None
    """The training time of the default base; `None` if nothing was measured yet."""

    failure: Failure | None = None


class Teacher:
    """The lessons of this session, and the trainings that it asked for."""

    def __init__(
        self,
        workspace: Workspace,
        exports: ExportList,
        on_change: Callable[[], object],
    ) -> None:
        """Initialize; `on_change` is called from any thread."""
        self.preparing, self.training = Work(on_change), Work(on_change)
        self.lessons: dict[str, Lesson] = {}
        self.key = ""
        """The person whose training was asked for, or changed, last."""

        self._workspace, self._exports = workspace, exports
        # The jobs requested on this page, which are paused when it ends.
        self._requested_jobs: set[str] = set()

    def forget_lessons(self) -> None:
        """Forget what was read, because the exports changed."""
        self.lessons = {}

    def prepare(self, key: str, name: str) -> bool:
        """Read in the background what a model of a person would learn from."""
        # After a change of the exports, what is read now counts no more.
        lessons, paths = self.lessons, self._exports.paths()

        def read() -> None:
            try:
                lessons[key] = self._read(Lesson(key, name), paths)
            except Exception as error:  # noqa: BLE001 - its text can quote chats.
                lessons[key] = Lesson(key, name, failure=translate_error(error))

        return self.preparing.start(_READING, read)

    def _read(self, lesson: Lesson, paths: list[Path]) -> Lesson:
        options = self._exports.prepare_options(lesson.name)
        watch = self.preparing.watch
        try:
            data = prepare(paths, options, watch=watch)
            if not data.validation and len(data.examples) >= MIN_SPLIT_EXAMPLES:
                with suppress(TrainingDataError):
                    data = prepare(
                        paths, options, validation=_LARGE_FRACTION, watch=watch
                    )
        except SenderNotFoundError as error:
            raise PageError(_NO_MESSAGES) from error
        except TrainingDataError as error:
            raise PageError(_NO_EXAMPLES) from error
        if not data.has_enough_examples:
            raise PageError(_TOO_FEW)
        name = name_key(lesson.name)
        counts = [
            (summary, count)
            for _export, summary in data.preparation.summaries()
            for sender, count in summary.senders.items()
            if name_key(sender) == name
        ]
        speed = measure_speed(self._workspace)
        failure = proposal = None
        try:
            proposal = choose_base(data, seconds_per_token=speed)
        except LocalServerError as error:
            failure = translate_error(error)
        return replace(
            lesson,
            data=data,
            messages=sum(count for _, count in counts),
            first=min((s.first for s, _ in counts if s.first), default=None),
            last=max((s.last for s, _ in counts if s.last), default=None),
            language=detect_language(data.examples),
            proposal=proposal,
            seconds=None if speed is None else estimate_seconds(speed, data),
            failure=failure,
        )

    def train(self, lesson: Lesson, base: str | None) -> bool:
        """Download the base if it is missing, and create a job, in the background."""
        data, work = lesson.data, self.training
        if data is None:
            return False

        def create() -> None:
            found_base = find_base(base)
            if found_base.needs_download():
                work.title = _DOWNLOADING
                download_base(found_base, work.watch, check=work.check)
            work.check()
            work.title = _CHECKING
            event = create_job(self._workspace, data, base)
            self._requested_jobs.add(event.job_id)
            if event.state == "trained":
                raise PageError(_LEARNED)

        return self._start(lesson.key, _CHECKING, create)

    def stop_preparing(self) -> None:
        """Cancel a requested training that has no job yet, such as its download."""
        if self.training.is_running:
            self.training.stop()
            self.training.title = _STOPPING

    def pause(self, key: str, job: Job) -> bool:
        """Pause a training; it saves first."""

        def pause() -> None:
            pause_job(self._workspace, job.id)
            self._requested_jobs.discard(job.id)
            self._workspace.jobs.wait_for_trainer()

        return self._start(key, lazy_gettext("Pausing"), pause)

    def resume(self, key: str, job: Job) -> bool:
        """Continue a training from its last save."""

        def resume() -> None:
            self._workspace.jobs.resume(job.id)
            self._requested_jobs.add(job.id)

        return self._start(key, lazy_gettext("Continuing"), resume)

    def _start(self, key: str, title: LazyMessage, task: Callable[[], object]) -> bool:
        if self.training.is_running:
            return False
        self.key = key
        return self.training.start(title, task)

    def close(self) -> None:
        self.training.join(_STOP_SECONDS)
        for job_id in self._requested_jobs:
            with suppress(LocalServerError):
                pause_job(self._workspace, job_id)
