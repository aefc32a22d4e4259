"""The adapter of each epoch, of which the last ones and the best one are kept."""

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

__all__ = ["Checkpoints"]

_KEPT = 3
_RECORDS = "records.json"


class Checkpoints:
    """The epochs of a training, in a folder that a later trainer can take up.

    Attributes:
        records: What is known of each epoch that is kept, oldest first.
    """

    def __init__(self, folder: Path, *, by_validation: bool) -> None:
        """Name the folder.

        Args:
            folder: Where the epochs' adapters go.
            by_validation: Whether the epoch with the lowest validation loss becomes
                the model; else the last one does.
        """
        self.records: list[dict[str, Any]] = []
        self._folder = folder
        self._by_validation = by_validation

    def take_up(self, step: int) -> None:
        """Know again what an earlier trainer kept until a step."""
        known = read_json(self._folder / _RECORDS) or {}
        self.records = [r for r in known.get("checkpoints", ()) if r["step"] <= step]

    def keep(self, step: int, metrics: dict[str, Any], model: Any) -> None:
        """Keep the adapter of the epoch that ends with a step."""
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
        """Copy the best adapter into a model's folder, and the others below it.

        They are copied and not moved: a trainer that is killed on the way begins here
        again.

        Returns:
            The records, each with its folder within the model's.
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
