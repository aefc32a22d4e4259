"""What can happen to a trainer, as functions for `Queue(workspace, train=…)`."""

import errno
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from langchain_chatexports.local_server.errors import BaseMissingError
from langchain_chatexports.local_server.testing import train_steps


def _base_missing() -> None:
    msg = "The base is gone."
    raise BaseMissingError(msg)


def _read_error() -> None:
    raise OSError(errno.EIO, "secret words")


def _no_memory() -> None:
    raise MemoryError


def _bug() -> None:
    msg = "secret words"
    raise KeyError(msg)


def train_slowly(progress: Any, examples: Any, job: Any, settings: Any) -> Path | None:
    """Count steps, slowly enough to be interrupted."""
    hyperparameters = {**job.hyperparameters, "step_seconds": 0.1}
    job = replace(job, hyperparameters=hyperparameters)
    return train_steps(progress, examples, job, settings)


_ENDS: dict[str, Callable[[], None]] = {
    "exit": lambda: os._exit(3),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "base": _base_missing,
    "read": _read_error,
    "memory": _no_memory,
    "bug": _bug,
}


def train_and_fail(
    progress: Any, examples: Any, job: Any, settings: Any
) -> Path | None:
    """End as the hyperparameters say: `end`, perhaps `once`, and after `saves`."""
    marker = progress.folder / "failed"
    options = job.hyperparameters
    if options["end"] in _ENDS and not (marker.exists() and options.get("once")):
        marker.touch()
        if options.get("saves"):
            (progress.folder / "checkpoint-3").mkdir(exist_ok=True)
            progress.saved(progress.folder / "checkpoint-3")
        _ENDS[options["end"]]()
    return train_steps(progress, examples, job, settings)
