"""Which of a server's jobs is the order's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from langchain_chatexports.finetuning.orders import KEY

if TYPE_CHECKING:
    from langchain_chatexports.finetuning.orders import Order

__all__ = [
    "ENDED",
    "NOT_TAKEN_UP",
    "has_key",
    "hyperparameters_of",
    "is_of_files",
    "metadata_of",
]

ENDED = frozenset({"succeeded", "failed", "cancelled", "canceled"})
"""The statuses that end a job; every other one, known or not, does not."""

_NUMBERS = ("n_epochs", "batch_size", "learning_rate_multiplier", "beta")

NOT_TAKEN_UP = frozenset({"failed", "cancelled", "canceled"})
"""A job that ended so is no reason not to order a new one."""


def has_key(job: Any, order: Order) -> bool:
    """Tell whether a job carries the order's key.

    Args:
        job: The SDK's job.
        order: The order.
    """
    return _key_of(job) == order.key


def is_of_files(job: Any, order: Order, files: tuple[str, str | None]) -> bool:
    """Tell whether a job without any key trains the order's files as the order says.

    Args:
        job: The SDK's job, of a server that keeps no metadata.
        order: The order.
        files: The ids of the training and the validation file.
    """
    return (
        _key_of(job) is None
        and (job.training_file, job.validation_file or None) == files
        and _has_settings(job, order)
    )


def hyperparameters_of(job: Any) -> dict[str, Any]:
    """Give the numbers that a job says it uses; what is missing says nothing.

    Args:
        job: The SDK's job.
    """
    method = getattr(job, "method", None)
    inner = getattr(method, str(getattr(method, "type", "")), None)
    # In `method` or, as it used to be, by themselves.
    for holder in (getattr(inner, "hyperparameters", None), job.hyperparameters):
        if holder is not None:
            values = {name: getattr(holder, name, None) for name in _NUMBERS}
            return {k: v for k, v in values.items() if v not in (None, "auto")}
    return {}


def metadata_of(job: Any) -> Mapping[str, Any]:
    """Give a job's labels; none where the server keeps none.

    Args:
        job: The SDK's job.
    """
    metadata = getattr(job, "metadata", None)
    return metadata if isinstance(metadata, Mapping) else {}


def _key_of(job: Any) -> str | None:
    return metadata_of(job).get(KEY)


def _has_settings(job: Any, order: Order) -> bool:
    # An alias such as gpt-4o-mini comes back with its date.
    if not re.fullmatch(rf"{re.escape(order.model)}(-\d[\d-]*)?", str(job.model)):
        return False
    suffix = getattr(job, "suffix", None)
    if suffix is not None and suffix != order.suffix:
        return False
    if None not in (job.seed, order.seed) and job.seed != order.seed:
        return False
    taken = hyperparameters_of(job)
    return all(
        value in ("auto", taken.get(name, value))
        for name, value in order.hyperparameters.items()
    )
