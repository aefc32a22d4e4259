"""What the trainer tells and keeps while it trains.

An event a step, the adapter of each epoch, and every half a minute all that another
trainer needs to go on from there.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from langchain_chatexports.local_server.bases.devices import used_memory
from langchain_chatexports.local_server.storage.data_directory import write_json

if TYPE_CHECKING:
    from langchain_chatexports.local_server.storage.events import EventLog
    from langchain_chatexports.local_server.training.checkpoints import Checkpoints

__all__ = ["ProgressWriter", "last_saved"]

SAVE_SECONDS = 30.0
"""How much training a kill may cost."""

_WHOLE = "whole.json"
_TIMED_STEPS = 5
_STOPPED = (
    "Stopped early: the loss on the validation file no longer falls. The model is the "
    "epoch with the lowest one. Give n_epochs a number to train just so long."
)


class ProgressWriter(TrainerCallback):  # type: ignore[misc] # transformers is untyped.
    """Writes one `metrics` event a step, and the adapter after each epoch.

    Attributes:
        checkpoints: The epochs' adapters.
    """

    def __init__(
        self, log: EventLog, *, checkpoints: Checkpoints, holds_back: bool
    ) -> None:
        """Say where to write.

        Args:
            log: The job's events.
            checkpoints: Where the epochs' adapters go.
            holds_back: Whether a validation follows each epoch, whose loss belongs
                into the event of the epoch's last step.
        """
        self._log = log
        self.checkpoints = checkpoints
        self._holds_back = holds_back
        self._metrics: dict[str, Any] = {}
        self._written: dict[str, Any] = {}
        self._first_step = 0
        self._last_save = self._begin = time.monotonic()
        # What an earlier trainer told of this job is not told twice.
        self._told = max(
            (event["data"].get("step", 0) for event in log.read() if event["data"]),
            default=0,
        )

    def on_train_begin(
        self, args: Any, state: Any, control: Any, **kwargs: Any
    ) -> None:
        """Take up what an earlier trainer kept up to here."""
        del args, control, kwargs
        self._last_save = self._begin = time.monotonic()
        self._first_step = int(state.global_step)
        self.checkpoints.take_up(self._first_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Say how long it will take and what, and ask for a save from time to time."""
        del args, kwargs
        now = time.monotonic()
        done = int(state.global_step) - self._first_step
        if done == _TIMED_STEPS and state.global_step > self._told:
            seconds = (now - self._begin) / done
            left = seconds * (state.max_steps - state.global_step)
            self._log.append(
                f"{seconds:.1f} seconds a step: about {_duration(left)} for the "
                f"remaining {state.max_steps - state.global_step} steps, "
                f"with {used_memory() / 1e9:.1f} GB of memory"
            )
        # Not where an epoch ends: what is kept of it comes after the save.
        if now - self._last_save > SAVE_SECONDS and not _is_epoch_end(state):
            self._last_save = now
            control.should_save = True

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Mark a save as whole: a kill may come in the middle of one."""
        del control, kwargs
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        write_json(folder / _WHOLE, {"step": int(state.global_step)})

    def on_log(
        self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any
    ) -> None:
        """Write a step's loss; keep it back where a validation follows."""
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
        if not (self._holds_back and _is_epoch_end(state)):
            self._write()

    def on_evaluate(
        self,
        args: Any,
        state: Any,
        control: Any,
        metrics: Any = None,
        model: Any = None,
        **kwargs: Any,
    ) -> None:
        """Add the validation's loss to the step that was kept back."""
        del args, kwargs
        if metrics and self._metrics:
            loss = _finite(metrics.get("eval_loss"))
            accuracy = _finite(metrics.get("eval_mean_token_accuracy"))
            self._metrics.update(
                valid_loss=loss,
                full_valid_loss=loss,
                full_valid_mean_token_accuracy=accuracy,
            )
            is_news = state.global_step > self._told
            self._write()
            self._keep(state, model)
            if self.checkpoints.is_worsening() and state.global_step < state.max_steps:
                control.should_training_stop = True
                if is_news:
                    self._log.append(_STOPPED)

    def on_epoch_end(
        self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any
    ) -> None:
        """Keep the adapter of this epoch."""
        del args, control, kwargs
        if not self._holds_back:
            self._keep(state, model)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Write what is still kept back."""
        del args, state, control, kwargs
        self._write()

    def _write(self) -> None:
        if not self._metrics:
            return
        metrics, self._metrics = self._metrics, {}
        self._written = metrics
        if metrics["step"] <= self._told:
            return
        message = f"Step {metrics['step']}/{metrics['total_steps']}: "
        message += f"training loss={metrics['train_loss']}"
        if "valid_loss" in metrics:
            message += f", validation loss={metrics['valid_loss']}"
        self._log.append(message, data=metrics)

    def _keep(self, state: Any, model: Any) -> None:
        self.checkpoints.keep(int(state.global_step), self._written, model)


def last_saved(work: Path) -> Path | None:
    """Return the folder of the last whole save of a job, if there is one."""
    marks = (work / "trainer").glob(f"checkpoint-*/{_WHOLE}")
    saved = {int(mark.parent.name.rpartition("-")[2]): mark.parent for mark in marks}
    return saved[max(saved)] if saved else None


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} seconds"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} hours {minutes} minutes" if hours else f"{minutes} minutes"


def _is_epoch_end(state: Any) -> bool:
    return bool(state.epoch is not None and math.isclose(state.epoch % 1.0, 0.0))


def _finite(value: Any) -> float | None:
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return round(float(value), 6)
