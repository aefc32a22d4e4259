"""Checkpoints: the adapters of the last epochs and of the best one."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING, Any

from langchain_chatexports.local_server.storage.adapters import save_adapter
from langchain_chatexports.local_server.storage.data_directory import (
    read_json,
    write_json,
)

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Checkpoints", "StoppedError"]

_KEPT = 3
_RECORDS = "records.json"


class StoppedError(Exception):
    """A training that was stopped, and continues from its last save."""


class Checkpoints:
    """The kept epochs of a job, in a folder that a resumed training continues.

    Attributes:
        records: Step, time and metrics of each kept epoch, oldest first.
    """

    def __init__(self, folder: Path, *, by_validation: bool) -> None:
        """Initialize the checkpoints.

        Args:
            folder: The folder for the adapters.
            by_validation: Whether the epoch with the lowest validation loss becomes
                the model, instead of the last one.
        """
        self.records: list[dict[str, Any]] = []
        self._folder = folder
        self._by_validation = by_validation

    def resume(self, step: int) -> None:
        """Load the records of an interrupted training up to a step."""
        known = read_json(self._folder / _RECORDS) or {}
        self.records = [r for r in known.get("checkpoints", ()) if r["step"] <= step]

    def keep(self, step: int, metrics: dict[str, Any], model: Any) -> None:
        """Save the adapter of the epoch that ends at a step."""
        save_adapter(model, self._folder / f"step-{step}")
        record = {"step": step, "created_at": int(time.time()), "metrics": metrics}
        self.records.append(record)
        best = self.best()
        for old in self.records[:-_KEPT]:
            if old is not best:
                self.records.remove(old)
                shutil.rmtree(self._folder / f"step-{old['step']}", ignore_errors=True)
        write_json(self._folder / _RECORDS, {"checkpoints": self.records})

    def best(self) -> dict[str, Any]:
        """Return the epoch that becomes the model."""
        losses = [_loss(record) for record in self.records]
        if self._by_validation and any(loss is not None for loss in losses):
            known = [loss for loss in losses if loss is not None]
            return self.records[losses.index(min(known))]
        return self.records[-1]

    def is_worsening(self) -> bool:
        """Return whether the validation loss of the last epoch is not the lowest."""
        return self._by_validation and self.best() is not self.records[-1]

    def publish(self, model_folder: Path) -> list[dict[str, Any]]:
        """Copy the best adapter into a model's folder, and the others into subfolders.

        They are copied, not moved: a trainer that is killed here starts this again.

        Returns:
            The records, each with its folder relative to the model's.
        """
        best = self.best()
        published = []
        for record in self.records:
            name = "." if record is best else f"checkpoints/step-{record['step']}"
            shutil.copytree(
                self._folder / f"step-{record['step']}",
                model_folder / name,
                dirs_exist_ok=True,
            )
            published.append({**record, "folder": name})
        return published


def _loss(record: dict[str, Any]) -> float | None:
    loss = record["metrics"].get("full_valid_loss")
    return loss if isinstance(loss, float) else None
