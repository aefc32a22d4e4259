"""Tuned models: their names, records and the folders of their adapters."""

from __future__ import annotations

import re
import secrets
import threading
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from langchain_chatexports.local_server.storage.adapters import is_adapter
from langchain_chatexports.local_server.storage.data_directory import (
    MODEL_ID,
    DataDirectory,
    default_data_dir,
    read_json,
    remove_folder,
)

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ModelStore", "TunedModel", "list_models", "tuned_model_name"]

OWNER = "local"
"""The organization in the names of tuned models."""

_CHECKPOINT = re.compile(r"(?P<name>.+):ckpt-step-(?P<step>\d{1,9})")


@dataclass(frozen=True)
class TunedModel:
    """A tuned model on this machine."""

    name: str
    """The name for requests, `ft:<base>:local:<suffix>:<id>`."""

    base: str | None
    """The base that the server was started with; start it with the same one."""

    base_model: str
    """The base's short name."""

    created_at: datetime
    """When it was finished, in UTC."""

    job_id: str

    path: Path
    """The folder with the adapter in PEFT's format."""

    system_prompt: str | None = None
    """The system message that most of its training examples begin with."""


def list_models(data_dir: str | Path | None = None) -> list[TunedModel]:
    """Return the tuned models of a data directory, newest first.

    Args:
        data_dir: The directory; the default one if `None`.
    """
    data = DataDirectory(default_data_dir() if data_dir is None else data_dir)
    if not data.models.is_dir():
        return []
    return [
        TunedModel(
            name=record["name"],
            base=record["base"],
            base_model=record["base_model"],
            created_at=datetime.fromtimestamp(record["created_at"], timezone.utc),
            job_id=record["job_id"],
            path=data.models / record["id"],
            system_prompt=record.get("system_prompt"),
        )
        for record in _read_records(data)
    ]


def tuned_model_name(base_model: str, suffix: str | None, model_id: str) -> str:
    """Return the name of a tuned model; any text can be a suffix."""
    plain = re.sub(r"[^a-z0-9]+", "-", (suffix or "").lower()).strip("-")
    return f"ft:{base_model}:{OWNER}:{plain}:{model_id}"


def new_model_id() -> str:
    """Return a new id, the last part of a tuned model's name."""
    return secrets.token_hex(6)


class ModelStore:
    """The tuned models of one data directory, for a server with one base."""

    def __init__(self, data: DataDirectory, *, base_model: str, signature: str) -> None:
        """Initialize the store.

        Args:
            data: The data directory.
            base_model: The short name of the server's base.
            signature: The dimensions that adapter and base must share.
        """
        self._data = data
        self._lock = threading.RLock()
        self._base_model = base_model
        self._signature = signature
        self._records: dict[str, dict[str, Any]] = {}
        self.refresh()

    def refresh(self) -> None:
        """Read the records again."""
        with self._lock:
            self._records = {
                record["name"]: record for record in _read_records(self._data)
            }

    def newest_first(self) -> list[dict[str, Any]]:
        """Return the records of all models that can be served, newest first."""
        with self._lock:
            return [r for r in self._records.values() if self.is_of_this_base(r)]

    def get(self, name: str) -> dict[str, Any] | None:
        """Return the record of a model that can be served, or `None`."""
        with self._lock:
            record = self._records.get(name)
        return record if record is not None and self.is_of_this_base(record) else None

    def adapter_folder(self, name: str) -> Path | None:
        """Return the folder of a model's adapter, or of one of its checkpoints."""
        checkpoint = _CHECKPOINT.fullmatch(name)
        record = self.get(checkpoint["name"] if checkpoint else name)
        if record is None:
            return None
        folder = self.folder(record["id"])
        if checkpoint is None:
            return folder
        for kept in record.get("checkpoints", ()):
            if kept["step"] == int(checkpoint["step"]):
                return folder / str(kept["folder"])
        return None

    def is_of_this_base(self, record: dict[str, Any]) -> bool:
        """Return whether a model has the server's base."""
        return (record["base_model"], record["signature"]) == (
            self._base_model,
            self._signature,
        )

    def other_base(self, name: str) -> str | None:
        """Return the base of any model in the directory, or `None`."""
        with self._lock:
            record = self._records.get(name)
        return None if record is None else str(record["base_model"])

    def folder(self, model_id: str) -> Path:
        """Return the folder of a model, which may not exist."""
        if not MODEL_ID.fullmatch(model_id):
            msg = "not the id of a model"
            raise ValueError(msg)
        return self._data.models / model_id

    def delete(self, name: str) -> bool:
        """Delete a model with its checkpoints, and return whether it existed."""
        with self._lock:
            if name not in self._records:
                return False
            # If this fails, the model stays listed and can be deleted later.
            remove_folder(self.folder(self._records[name]["id"]))
            del self._records[name]
        return True


def _read_records(data: DataDirectory) -> list[dict[str, Any]]:
    records = []
    for folder in data.models.iterdir():
        record = read_json(folder / "model.json")
        if (
            record is not None
            and MODEL_ID.fullmatch(folder.name)
            and record.get("id") == folder.name
            and is_adapter(folder)
        ):
            records.append(record)
    return sorted(records, key=lambda r: (-r["created_at"], r["name"]))
