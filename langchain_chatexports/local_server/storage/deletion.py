"""Deleting without a server: a tuned model, or all that one ever kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.storage.data_directory import (
    DataDirectory,
    default_data_dir,
    read_json,
    remove_folder,
)
from langchain_chatexports.local_server.storage.locks import is_locked, only_server
from langchain_chatexports.local_server.storage.models import list_models

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["KeptData", "count_kept", "delete_everything", "delete_model"]

_LOCK_WAIT_SECONDS = 1.0


@dataclass(frozen=True)
class KeptData:
    """How much a data directory holds."""

    files: int
    """Uploads: the text of the training examples."""

    jobs: int
    models: int


def count_kept(data_dir: str | Path | None = None) -> KeptData:
    """Count what a data directory holds; needs no server, and changes nothing.

    Args:
        data_dir: The directory; the default one if `None`.

    Raises:
        LocalServerError: If there is something else than a local server's directory.
    """
    data = _directory(data_dir)
    if data.is_empty:
        return KeptData(0, 0, 0)
    data.require_own()
    entries = data.entries()
    return KeptData(
        files=sum(read_json(entry / "meta.json") is not None for entry in entries),
        jobs=sum(read_json(entry / "job.json") is not None for entry in entries),
        models=len(list_models(data.root)),
    )


def delete_model(name: str, *, data_dir: str | Path | None = None) -> None:
    """Delete a tuned model with its checkpoints; the file that it learned stays.

    Args:
        name: The model's name, `ft:…`.
        data_dir: The directory; the default one if `None`.

    Raises:
        LocalServerError: If there is no such model, or a server uses the directory.
    """
    data = _directory(data_dir)
    kept = {model.name: model.path for model in list_models(data.root)}
    if name not in kept:
        msg = f"There is no tuned model {name}. Kept are: {', '.join(kept) or 'none'}."
        raise LocalServerError(msg)
    data.require_own()
    with only_server(data, timeout=_LOCK_WAIT_SECONDS):
        remove_folder(kept[name])


def delete_everything(data_dir: str | Path | None = None) -> KeptData:
    """Delete all uploads, jobs and models of a data directory, and nothing else.

    What stays holds nothing of the chats: the empty folders, the base models in the
    caches, and what others than the server put beside its own.

    Args:
        data_dir: The directory; the default one if `None`.

    Returns:
        How much was deleted.

    Raises:
        LocalServerError: If there is something else than a local server's directory, or
            a server or a trainer still uses it.
    """
    data = _directory(data_dir)
    deleted = count_kept(data.root)
    if data.is_empty:
        return deleted
    with only_server(data, timeout=_LOCK_WAIT_SECONDS):
        entries = data.entries()
        if any(is_locked(entry / "trainer.lock") for entry in entries):
            msg = (
                f"A killed server left its trainer at work in {data.root}. Wait until "
                "it is done, or start a server on the directory and cancel the job."
            )
            raise LocalServerError(msg)
        for entry in entries:
            remove_folder(entry)
        data.delete_traces_of_file_managers()
    return deleted


def _directory(data_dir: str | Path | None) -> DataDirectory:
    return DataDirectory(default_data_dir() if data_dir is None else data_dir)
