"""What the trainer tells while it trains: an event a step, a checkpoint an epoch."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from langchain_chatexports.local_server.adapters import save_adapter

if TYPE_CHECKING:
    from pathlib import Path

    from langchain_chatexports.local_server.events import EventLog

__all__ = ["ProgressWriter"]


class ProgressWriter(TrainerCallback):  # type: ignore[misc] # transformers is untyped.
    """Writes one `metrics` event a step, and the adapter after each epoch.

    Attributes:
        checkpoints: What is known of each epoch's adapter, oldest first.
    """

    def __init__(self, log: EventLog, *, folder: Path, holds_back: bool) -> None:
        """Say where to write.

        Args:
            log: The job's events.
            folder: The folder for the epochs' adapters.
            holds_back: Whether a validation follows each epoch, whose loss belongs
                into the event of the epoch's last step.
        """
        self._log = log
        self.checkpoints: list[dict[str, Any]] = []
        self._folder = folder
        self._holds_back = holds_back
        self._metrics: dict[str, Any] = {}
        self._written: dict[str, Any] = {}

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
        del args, control, kwargs
        if metrics and self._metrics:
            loss = _finite(metrics.get("eval_loss"))
            accuracy = _finite(metrics.get("eval_mean_token_accuracy"))
            self._metrics.update(
                valid_loss=loss,
                full_valid_loss=loss,
                full_valid_mean_token_accuracy=accuracy,
            )
            self._write()
            self._keep(state, model)

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
        message = f"Step {metrics['step']}/{metrics['total_steps']}: "
        message += f"training loss={metrics['train_loss']}"
        if "valid_loss" in metrics:
            message += f", validation loss={metrics['valid_loss']}"
        self._log.append(message, data=metrics)
        self._written = metrics

    def _keep(self, state: Any, model: Any) -> None:
        step = int(state.global_step)
        record: dict[str, Any] = {
            "step": step,
            "created_at": int(time.time()),
            "metrics": self._written,
            "folder": ".",
        }
        # The adapter of the last step is the model itself.
        if step < state.max_steps:
            record["folder"] = f"checkpoints/step-{step}"
            save_adapter(model, self._folder / f"step-{step}")
        self.checkpoints.append(record)


def _is_epoch_end(state: Any) -> bool:
    return bool(state.epoch is not None and math.isclose(state.epoch % 1.0, 0.0))


def _finite(value: Any) -> float | None:
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return round(float(value), 6)
