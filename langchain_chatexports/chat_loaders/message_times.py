"""When messages were sent."""

from __future__ import annotations

from datetime import datetime

from langchain_core.messages import BaseMessage


def end_time(message: BaseMessage, begin: float) -> float:
    """Return when the last bubble of a message was sent, in Unix seconds.

    A merged message has the times of its bubbles as `events`; its first one was sent at
    `begin`.
    """
    events = message.additional_kwargs.get("events")
    if not isinstance(events, list) or len(events) < 2:  # noqa: PLR2004 - a run of two
        return begin
    try:
        moment = datetime.fromisoformat(events[-1]["message_time"])
    except (KeyError, TypeError, ValueError):
        return begin
    # A time without a zone would be read in the machine's own.
    return begin if moment.tzinfo is None else moment.timestamp()
