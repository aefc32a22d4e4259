"""What a server says of its models: there, gone, or soon to be shut down."""

from __future__ import annotations

import warnings
from datetime import date
from typing import TYPE_CHECKING, Any

from langchain_chatexports.exceptions import FineTuningError
from langchain_chatexports.finetuning.protocol import Sleep, ask
from langchain_chatexports.finetuning.server_errors import Situation, has_no_route

if TYPE_CHECKING:
    from langchain_chatexports.finetuning.protocol import Deadline, Protocol

__all__ = ["is_gone", "look_up_model", "warn_of_shutdown"]

_WARN_DAYS = 90
_LOOKS = 3


def look_up_model(name: str, situation: Situation, deadline: Deadline) -> Protocol[Any]:
    """Look a model up, and let trouble with it pass.

    Args:
        name: The model.
        situation: What for.
        deadline: When to give up.

    Returns:
        The SDK's model; `None` where the server says that there is none; the error
        where it says something else.
    """
    try:
        return (yield from ask("models.retrieve", situation, deadline, model=name))
    except FineTuningError as error:
        return None if has_no_route(error) else error


def is_gone(
    job: Any, situation: Situation, deadline: Deadline, interval: float
) -> Protocol[bool]:
    """Tell whether a job's model was deleted.

    Only if the server knows models at all, and keeps saying so: a new model may need a
    moment.

    Args:
        job: The SDK's job, succeeded.
        situation: What for.
        deadline: When to give up.
        interval: Seconds between looks.
    """
    name = job.fine_tuned_model
    if not name or (yield from look_up_model(job.model, situation, deadline)) is None:
        return False
    for _ in range(_LOOKS):
        if (yield from look_up_model(name, situation, deadline)) is not None:
            return False
        if deadline.remaining() <= interval:
            return False
        yield Sleep(interval)
    return True


def warn_of_shutdown(model: Any, today: date) -> None:
    """Warn if the server says that a model ends soon.

    Args:
        model: The SDK's model, if there is one.
        today: The date.
    """
    ends = getattr(model, "shutdown_date", None)
    try:
        days = (date.fromisoformat(ends) - today).days  # type: ignore[arg-type] # whatever the server sent
    except (TypeError, ValueError):
        return
    if days <= _WARN_DAYS:
        warnings.warn(
            f"The server shuts the model {model.id} down on {ends}, and what is tuned "
            "from it with it.",
            stacklevel=2,
        )
