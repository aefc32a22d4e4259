"""A trainer callback that writes events and asks for saves to continue from.

It writes one event per step, and asks for a save every 30 seconds, and before the
training is stopped.
"""

import math
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from langchain_chatexports._terminal import plural
from langchain_chatexports.local_server.bases.devices import used_memory
from langchain_chatexports.local_server.storage.data_directory import write_json
from langchain_chatexports.local_server.storage.jobs import COMPLETE, JobStore

SAVE_SECONDS = 30.0
"""The interval of saves: what an interruption can lose."""

_TIMED_STEPS = 5
_STOPPED = (
    "Stopped early: the validation loss no longer decreases. Set n_epochs to a number "
    "to train for that many epochs."
)


class StoppedError(Exception):
    """A training that was stopped, and continues from its last save."""


class ProgressWriter(TrainerCallback):  # type: ignore[misc] # transformers is untyped.
    """Writes a `metrics` event after each step.

    Attributes:
        is_stopping: Whether to save as soon as possible and raise `StoppedError`.
    """

    def __init__(
        self,
        jobs: JobStore,
        job_id: str,
        *,
        has_validation: bool,
        stops_early: bool = False,
    ) -> None:
        """Initialize the callback."""
        self._jobs = jobs
        self._job_id = job_id
        self.is_stopping = False
        self._has_validation = has_validation
        self._stops_early = stops_early
        self._metrics: dict[str, Any] = {}
        self._first_step = 0
        self._has_estimated = False
        self._last_save = self._start = time.monotonic()
        # A resumed training repeats steps, but not their events.
        self._last_reported = int(jobs.last_metrics(job_id).get("step", 0))

    def log(self, message: str, data: dict[str, Any] | None = None) -> None:
        """Write an event of the job."""
        self._jobs.log(self._job_id, message, data=data)

    def write_estimate(self, seconds: float, *, steps: int, memory_bytes: int) -> None:
        """Write what the whole training will take, as it was measured before it."""
        self.log(
            f"Measured on this machine: about {_duration(seconds)} for {steps} steps, "
            f"with {memory_bytes / 1e9:.1f} GB of memory",
            {"estimated_seconds": round(seconds, 1), "memory_bytes": memory_bytes},
        )

    def on_train_begin(
        self, args: Any, state: Any, control: Any, **kwargs: Any
    ) -> None:
        """Note the step that the training starts from."""
        del args, control, kwargs
        self._last_save = self._start = time.monotonic()
        self._first_step = int(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Write an estimate of the duration, and ask for a save every 30 seconds."""
        del args, kwargs
        now = time.monotonic()
        done = int(state.global_step) - self._first_step
        if (
            done >= _TIMED_STEPS
            and state.global_step > self._last_reported
            and not self._has_estimated
        ):
            self._has_estimated = True
            seconds = (now - self._start) / done
            left = seconds * (state.max_steps - state.global_step)
            self.log(
                f"{seconds:.1f} seconds per step: about {_duration(left)} for the "
                f"remaining {plural(state.max_steps - state.global_step, 'step')}, "
                f"with {used_memory() / 1e9:.1f} GB of memory"
            )
        is_due = self.is_stopping or now - self._last_save > SAVE_SECONDS
        # A training that continues from the end of an epoch would skip its validation.
        if is_due and not (self._has_validation and _is_epoch_end(state)):
            control.should_save = True

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Mark a save as complete, because the trainer can be killed while saving."""
        del control, kwargs
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        write_json(folder / COMPLETE, {"step": int(state.global_step)})
        self._last_save = time.monotonic()
        if self.is_stopping:
            raise StoppedError

    def on_log(
        self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any
    ) -> None:
        """Write a step's loss, unless a validation follows."""
        del args, control, kwargs
        if not logs or "loss" not in logs:
            return
        self._metrics = {
            "step": state.global_step,
            "total_steps": state.max_steps,
            "train_loss": _finite(logs["loss"]),
            "train_mean_token_accuracy": _finite(logs.get("mean_token_accuracy")),
            "learning_rate": _finite(logs.get("learning_rate")),
        }
        if not (self._has_validation and _is_epoch_end(state)):
            self._write()

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: Any = None, **kwargs: Any
    ) -> None:
        """Add the validation loss to the last step; stop if it no longer decreases."""
        del args, kwargs
        loss = (metrics or {}).get("eval_loss")
        if loss is None:
            return
        is_new = state.global_step > self._last_reported
        if self._metrics:
            accuracy = _finite(metrics.get("eval_mean_token_accuracy"))
            self._metrics.update(
                valid_loss=_finite(loss),
                full_valid_loss=_finite(loss),
                full_valid_mean_token_accuracy=accuracy,
            )
            self._write()
        # The best loss before this epoch: `state` is updated afterwards.
        is_worse = state.best_metric is not None and loss >= state.best_metric
        if self._stops_early and is_worse and state.global_step < state.max_steps:
            control.should_training_stop = True
            if is_new:
                self.log(_STOPPED)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Write the metrics that are not written yet."""
        del args, state, control, kwargs
        self._write()

    def _write(self) -> None:
        metrics, self._metrics = self._metrics, {}
        if not metrics or metrics["step"] <= self._last_reported:
            return
        message = f"Step {metrics['step']}/{metrics['total_steps']}: "
        message += f"training loss={metrics['train_loss']}"
        if "valid_loss" in metrics:
            message += f", validation loss={metrics['valid_loss']}"
        self.log(message, metrics)


def _duration(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    if not (hours or minutes):
        return plural(round(seconds), "second")
    parts = ((hours, "hour"), (minutes, "minute"))
    return " ".join(plural(count, unit) for count, unit in parts if count)


def _is_epoch_end(state: Any) -> bool:
    return bool(state.epoch is not None and math.isclose(state.epoch % 1.0, 0.0))


def _finite(value: Any) -> float | None:
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return round(float(value), 6)
