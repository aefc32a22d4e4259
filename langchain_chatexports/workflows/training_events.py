"""The events of a training: the job, its steps, messages, an end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from langchain_chatexports._progress import seconds_left, time_left
from langchain_chatexports.local_server.storage.jobs import KeptJob

# The number of last steps for the pace of a training.
_TIMED_STEPS = 50
# Routine messages of a local server, which are not shown.
_ROUTINE = (
    "Created fine-tuning job",
    "Files validated",
    "Fine-tuning job started",
    "The job was resumed",
    "New fine-tuned model created",
    "The job has successfully completed",
)


@dataclass(frozen=True)
class JobEvent:
    """The job exists: it is new, or an earlier one for the same data was found."""

    job_id: str
    state: Literal["new", "continued", "running", "trained"]
    """`continued` after it was stopped; `running` for another command; `trained`
    before."""

    saved_step: int = 0

    def __str__(self) -> str:
        """Return a line about the job."""
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
    """The time, in Unix seconds."""

    seconds_left: float | None = None

    def __str__(self) -> str:
        """Return the step and the progress as text."""
        total = f"/{self.total}" if self.total else ""
        loss = "" if self.loss is None else f", loss {self.loss:.2f}"
        left = "" if self.seconds_left is None else f", {time_left(self.seconds_left)}"
        return f"step {self.step}{total}{loss}{left}"


@dataclass(frozen=True)
class MessageEvent:
    """A message of the server about the job."""

    text: str
    is_warning: bool = False

    def __str__(self) -> str:
        """Return the message."""
        return f"warning: {self.text}" if self.is_warning else self.text


@dataclass(frozen=True)
class TrainingProgress:
    """The progress of a training."""

    steps: list[StepEvent]
    phase: str = ""
    """The phase before the first step: `libraries` or `base`."""

    seconds_left: float | None = None


@dataclass(frozen=True)
class StoppedEvent:
    """Waiting was interrupted; the interruption is raised after this event."""

    job_id: str | None
    outcome: Literal["paused", "elsewhere", "nothing sent"]
    """`elsewhere`: the job continues in another command, or on another server."""

    job: KeptJob | None = None


TrainingEvent: TypeAlias = "JobEvent | StepEvent | MessageEvent | StoppedEvent"
OnEvent: TypeAlias = "Callable[[TrainingEvent], object]"


class EventReader:
    """Converts the server's events of a job to ours.

    The time left is estimated from the pace of the last steps.
    """

    phase = ""

    def __init__(self) -> None:
        """Initialize the reader of one job's events."""
        self._steps: list[tuple[int, float]] = []
        self._end: float | None = None

    def read(self, event: Mapping[str, Any]) -> StepEvent | MessageEvent | None:
        """Return an event; `None` if it is not to be shown."""
        given = event.get("data")
        data = given if isinstance(given, dict) else {}
        step = data.get("step")
        now = _number(event.get("created_at")) or 0.0
        if event.get("type") == "metrics" and isinstance(step, int):
            self.phase = ""
            return self._step(step, data, now)
        if phase := str(data.get("phase") or ""):
            # A continued training goes through them again.
            self.phase, self._steps, self._end = phase, [], None
            return None
        text = str(event.get("message") or "")
        # The error of a failed job is raised elsewhere.
        if event.get("level") == "error" or text.startswith(_ROUTINE):
            return None
        return MessageEvent(text, is_warning=event.get("level") == "warn")

    def left_at(self, now: float) -> float | None:
        """Return the estimate at a time; `None` if it was too short."""
        return self._end - now if self._end is not None and self._end > now else None

    def _step(self, step: int, data: Mapping[str, Any], now: float) -> StepEvent:
        total = data.get("total_steps")
        total = total if isinstance(total, int) else None
        return StepEvent(
            step,
            total,
            _number(data.get("train_loss")),
            _number(data.get("valid_loss")),
            now,
            self._seconds_left(step, total, now),
        )

    def _seconds_left(self, step: int, total: int | None, now: float) -> float | None:
        self._steps = [*self._steps[-_TIMED_STEPS:], (step, now)]
        # A continued training does not start at the first step.
        first, started = self._steps[0]
        done = step - first
        left = seconds_left(done, total and done + total - step, now - started)
        if left is not None:
            self._end = now + left
        return left


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None
