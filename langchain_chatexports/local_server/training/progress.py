"""A trainer callback that writes events and requests checkpoints."""

import math
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from langchain_chatexports.local_server.storage.data_directory import write_json
from langchain_chatexports.local_server.storage.jobs import COMPLETE, JobStore

CHECKPOINT_SECONDS = 30.0
"""The checkpoint interval, which limits the work lost by an interruption."""


class StoppedError(Exception):
    """Training was stopped after a checkpoint."""


class ProgressWriter(TrainerCallback):  # type: ignore[misc] # transformers is untyped.
    """Writes a `metrics` event after each step, and requests checkpoints.

    Attributes:
        is_stopping: Whether to save a checkpoint soon and then raise `StoppedError`.
    """

    def __init__(self, jobs: JobStore, job_id: str, *, has_validation: bool) -> None:
        self._jobs = jobs
        self._job_id = job_id
        self.is_stopping = False
        self._has_validation = has_validation
        self._metrics: dict[str, Any] = {}
        self._last_checkpoint_at = time.monotonic()
        # A resumed job repeats steps whose events already exist.
        self._last_reported_step = int(jobs.last_metrics(job_id).get("step", 0))

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Start the checkpoint timer."""
        self._last_checkpoint_at = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Request a checkpoint every 30 seconds, and before training stops."""
        del args, kwargs
        is_due = time.monotonic() - self._last_checkpoint_at > CHECKPOINT_SECONDS
        # The last step of an epoch is saved after its validation, which a job resumed
        # from an earlier checkpoint would skip.
        if (is_due or self.is_stopping) and not self._is_validation_step(state):
            control.should_save = True

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Mark a checkpoint as complete; a trainer killed while saving cannot."""
        del control, kwargs
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        write_json(folder / COMPLETE, {"step": int(state.global_step)})
        self._last_checkpoint_at = time.monotonic()
        if self.is_stopping:
            raise StoppedError

    def on_log(
        self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any
    ) -> None:
        """Write a step's loss, unless validation follows."""
        del args, control, kwargs
        if not logs or "loss" not in logs:
            return
        self._metrics = {
            "step": state.global_step,
            "total_steps": state.max_steps,
            "train_loss": _round_finite(logs["loss"]),
            "train_mean_token_accuracy": _round_finite(logs.get("mean_token_accuracy")),
            "learning_rate": _round_finite(logs.get("learning_rate")),
        }
        if not self._is_validation_step(state):
            self._write()

    def on_evaluate(self, *_: Any, metrics: Any = None, **__: Any) -> None:
        """Add the validation loss to the last step."""
        loss = _round_finite((metrics or {}).get("eval_loss"))
        if loss is not None and self._metrics:
            accuracy = _round_finite(metrics.get("eval_mean_token_accuracy"))
            self._metrics.update(
                valid_loss=loss,
                full_valid_loss=loss,
                full_valid_mean_token_accuracy=accuracy,
            )
        self._write()

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """Write the remaining metrics."""
        self._write()

    def _is_validation_step(self, state: Any) -> bool:
        """Return whether validation runs after this step."""
        epoch = state.epoch
        is_end = epoch is not None and math.isclose(epoch % 1.0, 0.0)
        return self._has_validation and is_end

    def _write(self) -> None:
        metrics, self._metrics = self._metrics, {}
        if not metrics or metrics["step"] <= self._last_reported_step:
            return
        message = f"Step {metrics['step']}/{metrics['total_steps']}: "
        message += f"training loss={metrics['train_loss']}"
        if "valid_loss" in metrics:
            message += f", validation loss={metrics['valid_loss']}"
        self._jobs.log(self._job_id, message, data=metrics)


def _round_finite(value: Any) -> float | None:
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return round(float(value), 6)
