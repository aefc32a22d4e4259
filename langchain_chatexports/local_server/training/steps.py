"""The steps of a training: the loss, and what happens after each step."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import Trainer, TrainerCallback

from langchain_chatexports.local_server.bases.labels import IGNORED

if TYPE_CHECKING:
    from langchain_chatexports.local_server.training.trainer import Progress


class ChatTrainer(Trainer):  # type: ignore[misc] # transformers is untyped.
    """Computes logits only where a token has loss, and counts the likeliest tokens."""

    correct, counted = 0, 0

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, **_: Any
    ) -> Any:
        """Return the mean loss of the tokens that have one."""
        labels = inputs["labels"]
        positions = (labels != IGNORED).any(dim=0).nonzero().flatten()
        logits = model(
            input_ids=inputs["input_ids"], logits_to_keep=positions, use_cache=False
        ).logits
        targets = labels[:, positions]
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1).float(), targets.flatten(), ignore_index=IGNORED
        )
        self.correct += int((logits.argmax(dim=-1) == targets).sum())
        self.counted += int((targets != IGNORED).sum())
        return (loss, {}) if return_outputs else loss

    def pop_accuracy(self) -> float:
        """Return the share of likeliest tokens since the last call."""
        accuracy = self.correct / max(1, self.counted)
        self.correct = self.counted = 0
        return accuracy


class ProgressCallback(TrainerCallback):  # type: ignore[misc] # transformers is untyped.
    """Reports steps and saves, and asks when to save and stop."""

    def __init__(
        self, progress: "Progress", trainer: ChatTrainer, *, best: Path | None
    ) -> None:
        self._progress = progress
        self._trainer = trainer
        self._best = best
        """The folder for the weights of the best epoch, with validation."""

        self._metrics: dict[str, Any] = {}

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Request a save when it is due, and before training stops."""
        del args, state
        is_stopping = self._progress.is_stopping
        control.should_save |= is_stopping or self._progress.should_save()
        control.should_training_stop |= is_stopping

    def on_log(
        self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any
    ) -> None:
        """Report a step, unless validation follows."""
        del args
        if "loss" not in (logs or {}):
            return
        self._metrics = {
            "step": state.global_step,
            "steps": state.max_steps,
            "loss": float(logs["loss"]),
            "train_mean_token_accuracy": self._trainer.pop_accuracy(),
            "learning_rate": logs.get("learning_rate"),
        }
        if not control.should_evaluate:
            self._progress.step(**self._metrics)

    def on_evaluate(self, *_: Any, metrics: Any = None, **__: Any) -> None:
        """Report the last step of an epoch with the validation loss."""
        loss = float(metrics["eval_loss"])
        self._progress.step(
            **self._metrics,
            valid_loss=loss,
            full_valid_loss=loss,
            full_valid_mean_token_accuracy=self._trainer.pop_accuracy(),
        )

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Keep the weights of the best epoch, and report the save."""
        del control
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if self._best is not None and state.best_global_step == state.global_step:
            # Renamed when it is complete.
            new = self._best.with_name(".new-best")
            shutil.rmtree(new, ignore_errors=True)
            new.mkdir()
            name = "adapter_model.safetensors"
            shutil.copyfile(folder / name, new / name)
            shutil.rmtree(self._best, ignore_errors=True)
            new.rename(self._best)
        self._progress.saved(folder)
