"""The events of a job: created, step, message, stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from langchain_chatexports._progress import seconds_left, time_left
from langchain_chatexports.local_server.storage.jobs import LocalJob

# The number of recent steps to estimate the pace from.
_MAX_TIMED_STEPS = 50
# Routine messages from the local server, which are not shown.
_ROUTINE_MESSAGES = (
    "Created fine-tuning job",
    "Files validated",
    "Fine-tuning job started",
    "The job was resumed",
    "New fine-tuned model created",
    "The job has successfully completed",
)


@dataclass(frozen=True)
class JobEvent:
    """A job was created, or an earlier one for the same data was found."""

    job_id: str
    state: Literal["new", "resumed", "running", "trained"]
    """`resumed`: it was stopped before. `running`: another command started it.
    `trained`: it has already succeeded."""

    saved_step: int = 0

    def __str__(self) -> str:
        """Return a one-line description."""
        if self.state == "new":
            return f"Job {self.job_id}: training"
        if self.state == "trained":
            return f"Job {self.job_id}: already trained on these examples"
        if self.state == "running":
            return f"Job {self.job_id}: already training on these examples"
        step = self.saved_step
        start = f"the checkpoint at step {step:,}" if step else "the start"
        return f"Job {self.job_id}: resuming from {start}"


@dataclass(frozen=True)
class StepEvent:
    """A training step was completed."""

    step: int
    total: int | None
    loss: float | None
    validation_loss: float | None
    created_at: float
    """The time, in Unix seconds."""

    seconds_left: float | None = None

    def __str__(self) -> str:
        """Return the step, the loss and the remaining time as text."""
        total = f"/{self.total}" if self.total else ""
        loss = "" if self.loss is None else f", loss {self.loss:.2f}"
        left = "" if self.seconds_left is None else f", {time_left(self.seconds_left)}"
        return f"step {self.step}{total}{loss}{left}"


@dataclass(frozen=True)
class MessageEvent:
    """A message from the server about the job."""

    text: str
    is_warning: bool = False

    def __str__(self) -> str:
        """Return the message."""
        return f"warning: {self.text}" if self.is_warning else self.text


@dataclass(frozen=True)
class TrainingProgress:
    """The progress of a job."""

    steps: list[StepEvent]
    phase: str = ""
    """The phase before the first step: `libraries` or `base`."""

    seconds_left: float | None = None


@dataclass(frozen=True)
class StoppedEvent:
    """Waiting was interrupted; the exception is raised after this event."""

    job_id: str | None
    outcome: Literal["paused", "elsewhere", "nothing sent"]
    """`elsewhere`: the job is still running in another command or on another server."""

    job: LocalJob | None = None


TrainingEvent: TypeAlias = "JobEvent | StepEvent | MessageEvent | StoppedEvent"
OnEvent: TypeAlias = "Callable[[TrainingEvent], object]"


class EventReader:
    """Converts a job's server events to the events of this module.

    The remaining time is estimated from the pace of recent steps.
    """

    phase = ""

    def __init__(self) -> None:
        """Initialize the reader of one job's events."""
        self._steps: list[tuple[int, float]] = []
        self._estimated_end: float | None = None

    def read(self, event: Mapping[str, Any]) -> StepEvent | MessageEvent | None:
        """Return the converted event; `None` if it should not be shown."""
        value = event.get("data")
        data = value if isinstance(value, dict) else {}
        step = data.get("step")
        now = _to_float(event.get("created_at")) or 0.0
        if event.get("type") == "metrics" and isinstance(step, int):
            self.phase = ""
            return self._create_step_event(step, data, now)
        if phase := str(data.get("phase") or ""):
            # A resumed job repeats the phases.
            self.phase, self._steps, self._estimated_end = phase, [], None
            return None
        text = str(event.get("message") or "")
        # The error of a failed job is raised by the wait for it.
        if event.get("level") == "error" or text.startswith(_ROUTINE_MESSAGES):
            return None
        return MessageEvent(text, is_warning=event.get("level") == "warn")

    def seconds_left_at(self, now: float) -> float | None:
        """Return the remaining seconds at a time; `None` if unknown or overdue."""
        return (
            self._estimated_end - now
            if self._estimated_end is not None and self._estimated_end > now
            else None
        )

    def _create_step_event(
        self, step: int, data: Mapping[str, Any], now: float
    ) -> StepEvent:
        total = data.get("total_steps")
        total = total if isinstance(total, int) else None
        return StepEvent(
            step,
            total,
            _to_float(data.get("train_loss")),
            _to_float(data.get("valid_loss")),
            now,
            self._estimate_seconds_left(step, total, now),
        )

    def _estimate_seconds_left(
        self, step: int, total: int | None, now: float
    ) -> float | None:
        self._steps = [*self._steps[-_MAX_TIMED_STEPS:], (step, now)]
        # A resumed job does not start at the first step.
        first_step, started_at = self._steps[0]
        done = step - first_step
        seconds = seconds_left(done, total and done + total - step, now - started_at)
        if seconds is not None:
            self._estimated_end = now + seconds
        return seconds


def _to_float(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None
