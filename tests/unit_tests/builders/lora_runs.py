"""Training runs of an adapter in this process, without a workspace."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from langchain_chatexports.local_server.training.lora import train_lora
from tests.unit_tests.builders.tiny_base import dialogues


@dataclass
class RecordedProgress:
    """A progress that saves as often as it is told, and stops at a step."""

    folder: Path
    stop_at: int | None = None
    save_every: int = 1000
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)
    results: dict[str, Any] = field(default_factory=dict)
    on_save: Callable[[Path], None] = lambda _: None

    def require_space(self, needed: int) -> None:
        self.needed_bytes = needed

    def begin(self) -> Path | None:
        return self._last_save()

    def step(self, step: int, steps: int, loss: float, **more: Any) -> None:
        self.steps.append({"step": step, "steps": steps, "loss": loss, **more})

    @property
    def is_stopping(self) -> bool:
        done = self.steps[-1]["step"] if self.steps else 0
        return self.stop_at is not None and done + 1 >= self.stop_at

    def should_save(self) -> bool:
        return (len(self.steps) + 1) % self.save_every == 0

    def saved(self, folder: Path) -> None:
        self.on_save(folder)
        (folder / "complete").touch()

    def log(self, message: str, **more: Any) -> None:
        self.events.append((message, more))

    def record(self, **results: Any) -> None:
        self.results.update(results)

    def _last_save(self) -> Path | None:
        saves = [file.parent for file in self.folder.glob("checkpoint-*/complete")]
        return max(saves, key=lambda s: int(s.name.partition("-")[2]), default=None)


def run_lora(
    progress: RecordedProgress,
    base: Path,
    *,
    examples: Sequence[dict[str, Any]] | None = None,
    held_out: Sequence[dict[str, Any]] = (),
    step: int = 0,
    epochs: int = 1,
    batch_size: int = 1,
    rate: float = 1.0,
    seed: int = 2**60,
    dtype: str = "float32",
    person: str | None = None,
) -> Path | None:
    """Train an adapter of a base; `step` is the job's last one."""
    job = SimpleNamespace(
        base=str(base),
        base_model=base.name,
        seed=seed,
        step=step,
        person=person,
        hyperparameters={
            "n_epochs": epochs,
            "batch_size": batch_size,
            "learning_rate_multiplier": rate,
        },
    )
    settings = {
        "dtype": dtype,
        "validation_examples": list(held_out),
    }
    progress.folder.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # PEFT uses attributes that transformers deprecates.
        warnings.simplefilter("ignore", FutureWarning)
        return train_lora(
            cast("Any", progress),
            dialogues() if examples is None else examples,
            cast("Any", job),
            settings,
        )
