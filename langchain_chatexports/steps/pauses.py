"""Pauses between messages and the gap at which to split a conversation."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from statistics import median

from langchain_core.messages import BaseMessage

MIN_GAP_SECONDS = 5 * 60
"""The minimum automatic gap."""

MAX_GAP_SECONDS = 12 * 60 * 60
"""The maximum automatic gap: a dialogue ends at night."""

# The gap for a median pause of one minute, and the exponent of its growth.
_GAP_AT_ONE_MINUTE = 30 * 60
_EXPONENT = 0.6


def pauses_before(messages: Sequence[BaseMessage]) -> list[float | None]:
    """Return the pause before each message in seconds, `None` if unknown.

    A merged message lasts until the last of its `events`. Pauses are never negative. A
    message with a time in the future does not affect later pauses.
    """
    pauses: list[float | None] = []
    last_time: float | None = None
    was_older = False
    for message in messages:
        start = message.additional_kwargs.get("message_time")
        if not isinstance(start, (int, float)):
            pauses.append(None)
            continue
        pauses.append(None if last_time is None else max(0.0, start - last_time))
        is_older = last_time is not None and start < last_time
        # Two consecutive older messages mean that `last_time` was in the future.
        if was_older or not is_older:
            last_time = max(start, last_event_time(message, start))
        was_older = is_older
    return pauses


def last_event_time(message: BaseMessage, start: float) -> float:
    """Return the time of a message's last event, in Unix seconds."""
    events = message.additional_kwargs.get("events")
    if not isinstance(events, list) or len(events) < 2:  # noqa: PLR2004 - a run of two
        return start
    try:
        time = datetime.fromisoformat(events[-1]["message_time"])
    except (KeyError, TypeError, ValueError):
        return start
    # Ignore times without a time zone, which Python treats as local time.
    return start if time.tzinfo is None else time.timestamp()


def automatic_gap(pauses: Iterable[float]) -> float:
    """Return the gap in seconds at which to split a conversation.

    It grows with the median pause: 30 minutes for a median of one minute, six hours for
    a median of one hour. Where dialogues are known, this is as accurate as a mixture of
    distributions (`python -m benchmarks.split_sessions`). Where times have no seconds,
    a pause of 0 is one of up to a minute.
    """
    known = list(pauses) or [60.0]
    has_seconds = any(pause % 60 for pause in known)
    minutes = max(1.0 if has_seconds else 30.0, median(known)) / 60
    gap = _GAP_AT_ONE_MINUTE * minutes**_EXPONENT
    return float(min(max(gap, MIN_GAP_SECONDS), MAX_GAP_SECONDS))
