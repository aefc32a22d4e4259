"""From training data to a tuned model: created, paused, continued, found again."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import urlsplit

from langchain_chatexports._progress import Watch, seconds_left, time_left, unwatched
from langchain_chatexports.datasets.examples import TrainingExample
from langchain_chatexports.datasets.training_data import TrainingData
from langchain_chatexports.exceptions import (
    FineTuningError,
    FineTuningTimeoutError,
    LocalServerError,
)
from langchain_chatexports.local_server import LocalServer
from langchain_chatexports.local_server.client import client_of, refusals_explained
from langchain_chatexports.local_server.http.server import check_extra
from langchain_chatexports.local_server.storage.deletion import delete_kept
from langchain_chatexports.local_server.storage.jobs import (
    JobEndedError,
    KeptJob,
    job_events,
    list_jobs,
    stop_job,
)
from langchain_chatexports.local_server.storage.models import (
    TunedModel,
    find_model,
    names_of_job,
)

if TYPE_CHECKING:
    from openai import OpenAI

    from langchain_chatexports.finetuning.run import FineTuningRun
    from langchain_chatexports.finetuning.tuner import ChatFineTuner

OPENAI_URL = "https://api.openai.com/v1"
OLLAMA_URL = "http://127.0.0.1:11434/v1"

THIS_MACHINE = frozenset({"127.0.0.1", "::1", "localhost"})
"""The hosts that text is sent to without leaving this machine."""

JobState: TypeAlias = Literal["new", "continued", "running", "trained"]

# How often to check that the server is running.
_WAIT_SECONDS = 20.0
_UNFINISHED = frozenset({"queued", "running", "validating_files"})
# Fewer examples are checked in two seconds.
_MIN_LONG_CHECK = 500
# The pace of a training is that of its last steps.
_TIMED_STEPS = 50
# What a local server says of each job, and nobody needs to read.
_ROUTINE = ("Created fine-tuning job", "Files validated", "Fine-tuning job started")


@dataclass(frozen=True)
class JobEvent:
    """The job exists: it is new, or an earlier one for the same data was found."""

    job_id: str
    state: JobState
    """`new`; `continued` after it was stopped; `running` for another command; or
    `trained` before."""

    saved_step: int = 0
    """The step from which a stopped training continues."""

    def __str__(self) -> str:
        """Return what happens with the job, for people."""
        if self.state == "new":
            return f"Job {self.job_id}: training"
        if self.state == "trained":
            return f"Job {self.job_id}: these examples were trained on before"
        if self.state == "running":
            return f"Job {self.job_id}: these examples are being trained on already"
        step = self.saved_step
        where = f"from its checkpoint of step {step:,}" if step else "from the start"
        return f"Job {self.job_id} was stopped before; it continues {where}"


@dataclass(frozen=True)
class StepEvent:
    """A step was trained."""

    step: int
    total: int | None
    loss: float | None
    validation_loss: float | None
    created_at: float
    """When, in Unix seconds."""

    seconds_left: float | None = None

    def __str__(self) -> str:
        """Return how far the training is, for people."""
        of = f"/{self.total}" if self.total else ""
        loss = "" if self.loss is None else f", loss {self.loss:.2f}"
        left = "" if self.seconds_left is None else f", {time_left(self.seconds_left)}"
        return f"step {self.step}{of}{loss}{left}"


@dataclass(frozen=True)
class MessageEvent:
    """What the server says of the job."""

    text: str
    is_warning: bool = False
    estimated_seconds: float | None = None
    """What the training takes, where it was measured before the first step."""

    phase: str = ""
    """What is done before the first step: `libraries`, `base` or `speed`."""

    def __str__(self) -> str:
        """Return the message."""
        return f"warning: {self.text}" if self.is_warning else self.text


@dataclass(frozen=True)
class TrainingProgress:
    """How far a training is."""

    steps: list[StepEvent]
    phase: str = ""
    """What is done now, before a step is trained; as in `MessageEvent`."""

    seconds_left: float | None = None


@dataclass(frozen=True)
class StoppedEvent:
    """Waiting was interrupted; the interruption is raised after this event."""

    job_id: str | None
    outcome: Literal["paused", "deleted", "elsewhere", "nothing sent"]
    """`elsewhere`: the job continues in another command, or on another server."""

    job: KeptJob | None = None
    """The job of this machine as it is kept."""


TrainingEvent: TypeAlias = "JobEvent | StepEvent | MessageEvent | StoppedEvent"
OnEvent: TypeAlias = "Callable[[TrainingEvent], object]"


@dataclass(frozen=True)
class TrainingSettings:
    """How to train, where the server's own rules are not wanted.

    Attributes:
        epochs: Passes over the data; `None` for the server's rule.
        suffix: A word for the model's name; `None` for the person's.
        run_again: Whether to train again where the same data was trained on before. A
            training that is interrupted is then deleted.
        keeps_file: Whether the server keeps the examples after the training.
    """

    epochs: int | None = None
    suffix: str | None = None
    run_again: bool = False
    keeps_file: bool = True


@dataclass(frozen=True)
class JobData:
    """What a job is created from."""

    examples: Sequence[TrainingExample]
    validation: Sequence[TrainingExample] = ()
    person: str | None = None
    source: str = ""

    @classmethod
    def of(cls, data: TrainingData) -> JobData:
        """Return the data of a job."""
        data.require_enough()
        return cls(data.examples, data.validation, data.person, data.source)


def train(
    data: TrainingData,
    base: str | None = None,
    *,
    data_dir: str | Path | None = None,
    settings: TrainingSettings | None = None,
    on_event: OnEvent | None = None,
    watch: Watch = unwatched,
) -> TunedModel:
    """Fine-tune a base model on this machine, and wait.

    The same data again finds its job: it continues if it was stopped, and its model is
    returned if it was trained. Ctrl-C pauses it.

    Args:
        data: What `prepare` returned.
        base: A folder, a `.gguf` file or a hub id; `None` for the default.
        data_dir: Where jobs and models are kept; `None` for the default.
        settings: How to train.
        on_event: Called with each event: what happens with the job, and each step.
        watch: Shows progress while the server checks the examples.

    Raises:
        TrainingDataError: If there are too few examples.
        LocalServerError: If the server cannot start, stops, or the job is deleted.
        FineTuningError: If the training fails.
    """
    job_data = JobData.of(data)
    check_extra()
    with open_server(base, data_dir, on_event=on_event) as server:
        name = train_on(
            server, job_data, settings=settings, on_event=on_event, watch=watch
        )
        return find_model(name, server.data_dir)


@contextmanager
def open_server(
    base: str | Path | None,
    data_dir: str | Path | None = None,
    *,
    on_event: OnEvent | None = None,
) -> Iterator[LocalServer]:
    """Use the server that runs on the data directory, or start one.

    A server that is started trains only what is asked for here.
    """
    with LocalServer(base, data_dir=data_dir, resume_jobs=False, share=True) as server:
        if server.is_shared and on_event:
            text = f"Using the local server that is running on {server.data_dir}"
            on_event(MessageEvent(text))
        yield server


def train_on(
    server: LocalServer,
    data: JobData,
    *,
    settings: TrainingSettings | None = None,
    on_event: OnEvent | None = None,
    watch: Watch = unwatched,
) -> str:
    """Fine-tune the base of a running server, wait, and return the model's name."""
    settings = settings or TrainingSettings()
    tell = on_event or _ignore
    run = _LocalJob(server, settings, tell).run(data, watch)
    return str(run.chat_model().model_name)


def create_job(
    server: LocalServer, data: TrainingData, *, watch: Watch = unwatched
) -> JobEvent:
    """Create the job on a running server, or find and continue it; do not wait."""
    total = len(data.examples) + len(data.validation)
    with refusals_explained(), client_of(server) as client:
        earlier = {job.id: job.status for job in client.fine_tuning.jobs.list()}
        tuner = _tuner(server, JobData.of(data), TrainingSettings())
        with _checking(client, total, watch):
            run = tuner.submit(data.examples)
        return _found(run, earlier, client, server)


def pause_job(job: KeptJob, server: LocalServer | None, data_dir: Path | None) -> None:
    """Stop a job so that it can be continued, through the server that trains it.

    Nothing is done to one that has ended meanwhile.
    """
    with suppress(JobEndedError):
        if server is None:
            stop_job(job.id, "paused", data_dir=data_dir)
            return
        with refusals_explained(), client_of(server) as client:
            if client.fine_tuning.jobs.retrieve(job.id).status in _UNFINISHED:
                client.fine_tuning.jobs.pause(job.id)


def continue_job(job: KeptJob, server: LocalServer) -> None:
    """Continue a job that was stopped or has failed, unless it has ended meanwhile."""
    with refusals_explained(), client_of(server) as client:
        # A killed server can have finished it, which the next one finds out.
        if client.fine_tuning.jobs.retrieve(job.id).status != "succeeded":
            client.fine_tuning.jobs.resume(job.id)


def is_unfinished(job: KeptJob) -> bool:
    """Return whether a job trains, or waits for others."""
    return job.status in _UNFINISHED


def progress_now(
    job: KeptJob, data_dir: str | Path | None = None, *, now: float | None = None
) -> TrainingProgress:
    """Return how far a training is; `now` is in Unix seconds."""
    pace, phase = _Pace(), ""
    steps: list[StepEvent] = []
    for event in _events_of(job, data_dir):
        found = _training_event(event, pace)
        if isinstance(found, StepEvent):
            steps.append(found)
            phase = ""
        else:
            phase = found.phase or phase
    if job.status != "running":
        return TrainingProgress(steps)
    return TrainingProgress(steps, phase, pace.left_at(now or time.time()))


def failure_of(job: KeptJob, data_dir: str | Path | None = None) -> str:
    """Return what the server said last of a job that failed."""
    return "".join([event["message"] for event in _events_of(job, data_dir)][-1:])


def progress_of(job: KeptJob) -> str:
    """Return how far a job was trained, such as `step 3 of 20`."""
    total = f" of {job.total_steps:,}" if job.total_steps else ""
    return f"step {job.step:,}{total}"


def train_elsewhere(
    data: TrainingData,
    base: str,
    base_url: str,
    *,
    confirm: Callable[[str, Any], bool],
    settings: TrainingSettings | None = None,
    on_event: OnEvent | None = None,
) -> str:
    """Upload the examples to another server, fine-tune there, and wait.

    Neither the person's name nor that of the export is sent.
    """
    from langchain_chatexports.finetuning.connection import public_url
    from langchain_chatexports.finetuning.tuner import ChatFineTuner

    job_data = JobData.of(data)
    host = urlsplit(public_url(base_url)).netloc
    tell = on_event or _ignore
    is_sent = False
    job_id: str | None = None

    def confirm_upload(estimate: Any) -> bool:
        nonlocal is_sent
        is_sent = confirm(host, estimate)
        return is_sent

    settings = settings or TrainingSettings()
    pace = _Pace()
    tuner: ChatFineTuner = ChatFineTuner(
        model=base,
        base_url=base_url,
        n_epochs=settings.epochs or "auto",
        suffix=settings.suffix,
        validation_examples=list(job_data.validation) or None,
        on_event=lambda event: tell(_training_event(_as_dict(event), pace)),
        confirm=confirm_upload,
    )
    with _quiet_interrupts():
        try:
            run = tuner.submit(job_data.examples)
            job_id = run.id
            is_trained = run.status == "succeeded"
            tell(JobEvent(run.id, "trained" if is_trained else "new"))
            run.wait()
        except (KeyboardInterrupt, SystemExit):
            tell(StoppedEvent(job_id, "elsewhere" if is_sent else "nothing sent"))
            raise
    return str(run.chat_model().model_name)


def host_of(base_url: str) -> str:
    """Return the host of a server's address."""
    return urlsplit(base_url).hostname or base_url


def key_for(base_url: str) -> str:
    """Return the key for another server, from `OPENAI_API_KEY`.

    Servers on this machine, such as Ollama, need none.

    Raises:
        FineTuningError: If there is none.
    """
    from langchain_chatexports.finetuning.connection import public_url

    key = os.environ.get("OPENAI_API_KEY")
    if not key and host_of(base_url) in THIS_MACHINE:
        return "none"
    if not key:
        msg = f"There is no key for {public_url(base_url)}. Put it into OPENAI_API_KEY."
        raise FineTuningError(msg)
    return key


class _Pace:
    """Estimates the time that is left of a training from its last steps.

    Until these say something, it is what was measured before the first one.
    """

    def __init__(self) -> None:
        self._steps: list[tuple[int, float]] = []
        self._end: float | None = None

    def measured(self, seconds: float, now: float) -> None:
        """Set what the training takes, as measured before its first step."""
        self._end = now + seconds

    def seconds_left(self, step: int, total: int | None, now: float) -> float | None:
        self._steps = [*self._steps[-_TIMED_STEPS:], (step, now)]
        # A continued training does not start at the first step.
        first, started = self._steps[0]
        done = step - first
        left = seconds_left(done, total and done + total - step, now - started)
        if left is not None:
            self._end = now + left
        elif step == total:
            self._end = now
        return self.left_at(now)

    def left_at(self, now: float) -> float | None:
        """Return the estimate at a time; `None` where it proved too short."""
        return self._end - now if self._end is not None and self._end > now else None


class _LocalJob:
    """A job on this machine; an interruption stops it."""

    def __init__(
        self, server: LocalServer, settings: TrainingSettings, tell: OnEvent
    ) -> None:
        self._server = server
        self._settings = settings
        self._tell = tell
        self._client = client_of(server)
        self._earlier: dict[str, str] = {}
        self._seen: set[str] = set()
        self._pace = _Pace()
        self._id: str | None = None
        self._is_anothers = False

    def run(self, data: JobData, watch: Watch) -> FineTuningRun:
        """Create the job, or find it, and wait for its end."""
        with self._client, _quiet_interrupts():
            jobs = self._client.fine_tuning.jobs.list()
            self._earlier = {job.id: job.status for job in jobs}
            try:
                run = self.create(data, watch)
                self.wait(run)
            except (KeyboardInterrupt, SystemExit):
                if self._id and self._is_anothers:
                    self._tell(StoppedEvent(self._id, "elsewhere", self._kept()))
                elif self._id:
                    self._stop(self._id)
                raise
        return run

    def create(self, data: JobData, watch: Watch) -> FineTuningRun:
        tuner = _tuner(self._server, data, self._settings, self._on_event)
        total = len(data.examples) + len(data.validation)
        with _checking(self._client, total, watch):
            run = tuner.submit(data.examples)
        self._id = run.id
        if run.id in self._earlier:
            # An earlier command has shown its events.
            listed = self._client.fine_tuning.jobs.list_events(run.id, limit=1000)
            self._seen.update(event.id for event in listed)
        found = _found(run, self._earlier, self._client, self._server)
        self._is_anothers = found.state == "running" and self._server.is_shared
        self._tell(found)
        return run

    def wait(self, run: FineTuningRun) -> None:
        while True:
            try:
                run.wait(_WAIT_SECONDS)
            except FineTuningTimeoutError:  # noqa: PERF203 - a wait, not work
                if not self._server.is_running:
                    msg = (
                        f"The local server stopped before job {run.id} had finished. "
                        "Run the same command again to continue it."
                    )
                    raise LocalServerError(msg) from None
            except FineTuningError as error:
                kept = self._kept()
                if kept is not None and kept.status != "cancelled":
                    raise
                end = "cancelled" if kept else "deleted"
                msg = f"Job {run.id} was {end}, so there is no model."
                raise LocalServerError(msg) from error
            else:
                return

    def _on_event(self, event: Any) -> None:
        if event.id not in self._seen:
            self._seen.add(event.id)
            found = _training_event(_as_dict(event), self._pace)
            if not _is_routine(found):
                self._tell(found)

    def _stop(self, job_id: str) -> None:
        from openai import BadRequestError, OpenAIError

        data_dir = self._server.data_dir
        is_deleted = self._settings.run_again
        try:
            if is_deleted:
                delete_kept(job_id, data_dir=data_dir)
            else:
                self._client.fine_tuning.jobs.pause(job_id)
        except (BadRequestError, JobEndedError):
            return
        except OpenAIError:
            # The server was stopped, too.
            with suppress(JobEndedError):
                stop_job(job_id, "paused", data_dir=data_dir)
        outcome: Literal["deleted", "paused"] = "deleted" if is_deleted else "paused"
        self._tell(StoppedEvent(job_id, outcome, self._kept()))

    def _kept(self) -> KeptJob | None:
        return _kept_job(self._id, self._server)


def _checking(client: OpenAI, total: int, watch: Watch) -> Any:
    """Show how far the server is with counting the tokens of all examples."""
    from openai import OpenAIError

    if total < _MIN_LONG_CHECK:
        return unwatched("", lambda: 0, None)
    counts = [0]

    def checked() -> int:
        with suppress(OpenAIError, KeyError, TypeError):
            answer: Any = client.get("/checked_examples", cast_to=object)
            counts.append(int(answer["count"]))
        return counts[-1]

    before = checked()
    return watch("examples checked", lambda: checked() - before, total)


def _tuner(
    server: LocalServer,
    data: JobData,
    settings: TrainingSettings,
    on_event: Callable[[Any], None] | None = None,
) -> ChatFineTuner:
    from langchain_chatexports.finetuning.tuner import ChatFineTuner

    suffix, labels = names_of_job(data.person, data.source)
    return ChatFineTuner(
        model=server.base_model,
        base_url=server.base_url,
        api_key=server.api_key,
        n_epochs=settings.epochs or "auto",
        suffix=settings.suffix or suffix,
        metadata=labels or None,
        validation_examples=list(data.validation) or None,
        run_again=settings.run_again,
        delete_training_file=not settings.keeps_file,
        # The local server takes dialogues that end with the user; OpenAI does not.
        allow_trailing=True,
        on_event=on_event,
    )


def _found(
    run: FineTuningRun,
    earlier: Mapping[str, str],
    client: OpenAI,
    server: LocalServer,
) -> JobEvent:
    """Return which job it is, and continue it if it was stopped."""
    if run.id not in earlier:
        return JobEvent(run.id, "new")
    if run.status == "succeeded":
        return JobEvent(run.id, "trained")
    if run.status == "running":
        return JobEvent(run.id, "running")
    kept = _kept_job(run.id, server)
    client.fine_tuning.jobs.resume(run.id)
    return JobEvent(run.id, "continued", kept.saved_step if kept else 0)


def _kept_job(job_id: str | None, server: LocalServer) -> KeptJob | None:
    jobs = list_jobs(server.data_dir)
    return next((job for job in jobs if job.id == job_id), None)


def _events_of(job: KeptJob, data_dir: str | Path | None) -> list[dict[str, Any]]:
    return job_events(job.id, data_dir)


def _as_dict(event: Any) -> dict[str, Any]:
    return dict(event.model_dump(warnings=False))


def _training_event(event: Mapping[str, Any], pace: _Pace) -> StepEvent | MessageEvent:
    given = event.get("data")
    data = given if isinstance(given, dict) else {}
    step, total = data.get("step"), data.get("total_steps")
    now = _number(event.get("created_at")) or 0.0
    if event.get("type") != "metrics" or not isinstance(step, int):
        estimated = _number(data.get("estimated_seconds"))
        if estimated is not None:
            pace.measured(estimated, now)
        return MessageEvent(
            str(event.get("message") or ""),
            is_warning=event.get("level") in {"warn", "error"},
            estimated_seconds=estimated,
            phase=str(data.get("phase") or ""),
        )
    total = total if isinstance(total, int) else None
    return StepEvent(
        step,
        total,
        _number(data.get("train_loss")),
        _number(data.get("valid_loss")),
        now,
        pace.seconds_left(step, total, now),
    )


def _is_routine(event: StepEvent | MessageEvent) -> bool:
    return isinstance(event, MessageEvent) and event.text.startswith(_ROUTINE)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def _ignore(event: TrainingEvent) -> None:
    del event


@contextmanager
def _quiet_interrupts() -> Iterator[None]:
    """Let the tuner log nothing about an interruption: events say what is left."""

    def is_not_of_interrupt(_record: logging.LogRecord) -> bool:
        return not isinstance(sys.exc_info()[1], KeyboardInterrupt)

    logger = logging.getLogger("langchain_chatexports.finetuning.connection")
    logger.addFilter(is_not_of_interrupt)
    try:
        yield
    finally:
        logger.removeFilter(is_not_of_interrupt)
