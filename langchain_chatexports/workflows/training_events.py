"""The events of a job: created, step, message, interrupted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from langchain_chatexports._progress import seconds_left, time_left
from langchain_chatexports._translation import _, number
from langchain_chatexports.local_server import Event, Job

# The number of recent steps to estimate the pace from.
_MAX_TIMED_STEPS = 50


@dataclass(frozen=True)
class JobEvent:
    """A job was created, or an earlier one for the same data was found."""

    job_id: str
    state: Literal["new", "resumed", "running", "trained"]
    """`resumed`: it was paused, failed or left by a process that ended. `running`:
    another process runs it. `trained`: it has already succeeded."""

    saved_step: int = 0

    def __str__(self) -> str:
        """Return a one-line description."""
        job, step = self.job_id, self.saved_step
        if self.state == "new":
            return _("Job {job}: training", job=job)
        if self.state == "trained":
            return _("Job {job}: already trained on these examples", job=job)
        if self.state == "running":
            return _("Job {job}: already training on these examples", job=job)
        if not step:
            return _("Job {job}: resuming from the start", job=job)
        return _(
            "Job {job}: resuming from the checkpoint at step {step}", job=job, step=step
        )


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
        position = f"{self.step}/{self.total}" if self.total else f"{self.step}"
        parts = [_("step {position}", position=position)]
        if self.loss is not None:
            parts.append(_("loss {loss}", loss=number(self.loss, 2)))
        if self.seconds_left is not None and self.step != self.total:
            parts.append(time_left(self.seconds_left))
        return ", ".join(parts)


@dataclass(frozen=True)
class MessageEvent:
    """A message about the job."""

    text: str
    is_warning: bool = False

    def __str__(self) -> str:
        """Return the message."""
        return _("warning: {text}", text=self.text) if self.is_warning else self.text


@dataclass(frozen=True)
class StoppedEvent:
    """Waiting was interrupted; the exception is raised after this event."""

    job_id: str | None
    outcome: Literal["paused", "elsewhere", "nothing sent"]
    """`elsewhere`: the job continues in another process or on another server."""

    job: Job | None = None
    host: str = ""
    """The other server, if the job is not on this machine."""


TrainingEvent: TypeAlias = "JobEvent | StepEvent | MessageEvent | StoppedEvent"
OnEvent: TypeAlias = "Callable[[TrainingEvent], object]"


class EventReader:
    """Converts the events of a job's store or server to those of this module.

    The remaining time is estimated from the pace of recent steps.
    """

    def __init__(self) -> None:
        """Initialize the reader of one job's events."""
        self.phase = ""
        self._steps: list[tuple[int, float]] = []
        self._estimated_end: float | None = None

    def read(self, event: Event) -> StepEvent | MessageEvent | None:
        """Return the converted event; `None` if it should not be shown."""
        if event.kind == "step":
            return self._read_step(event.data, event.created_at)
        if event.kind == "phase":
            self._begin_phase(str(event.data.get("phase") or ""))
        if event.kind == "message" or event.level == "warn":
            return MessageEvent(event.message, is_warning=event.level == "warn")
        return None

    def read_remote(self, event: Mapping[str, Any]) -> StepEvent | MessageEvent | None:
        """Convert an event in OpenAI's shape."""
        value = event.get("data")
        data = value if isinstance(value, dict) else {}
        if event.get("type") == "metrics" and isinstance(data.get("step"), int):
            return self._read_step(data, _to_float(event.get("created_at")) or 0.0)
        level = event.get("level")
        if level == "error":  # The wait for the job raises it.
            return None
        return MessageEvent(str(event.get("message") or ""), level == "warn")

    def seconds_left_at(self, now: float) -> float | None:
        """Return the remaining seconds at a time; `None` if unknown or overdue."""
        return (
            self._estimated_end - now
            if self._estimated_end is not None and self._estimated_end > now
            else None
        )

    def _begin_phase(self, phase: str) -> None:
        # A resumed job repeats the phases, after a pause that is not its pace.
        self.phase, self._steps, self._estimated_end = phase, [], None

    def _read_step(self, data: Mapping[str, Any], now: float) -> StepEvent:
        self.phase = ""
        step, total = int(data["step"]), data.get("total_steps")
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
