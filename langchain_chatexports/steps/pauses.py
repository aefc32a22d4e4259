"""Pauses between messages, and the gap at which a thread is split."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from statistics import median

from langchain_core.messages import BaseMessage

MIN_GAP_SECONDS = 5 * 60
"""Seconds; no automatic gap is shorter."""

MAX_GAP_SECONDS = 12 * 60 * 60
"""Seconds; no automatic gap is longer, so that a night ends a conversation."""

# The gap of a thread whose median pause is a minute, and how it grows with the median.
_GAP_AT_A_MINUTE = 30 * 60
_EXPONENT = 0.6


def pauses_before(messages: Sequence[BaseMessage]) -> list[float | None]:
    """Return the pause before each message in seconds, `None` where it is unknown.

    A merged message lasts until the last of its `events`. A pause is never negative,
    and a late message does not create a pause after it.
    """
    pauses: list[float | None] = []
    last: float | None = None
    was_older = False
    for message in messages:
        begin = message.additional_kwargs.get("message_time")
        if not isinstance(begin, (int, float)):
            pauses.append(None)
            continue
        pauses.append(None if last is None else max(0.0, begin - last))
        is_older = last is not None and begin < last
        # After two older ones in a row, the previous time was in the future.
        if was_older or not is_older:
            last = max(begin, _end_time(message, begin))
        was_older = is_older
    return pauses


def _end_time(message: BaseMessage, begin: float) -> float:
    """Return when the last bubble of a merged message was sent, in Unix seconds."""
    events = message.additional_kwargs.get("events")
    if not isinstance(events, list) or len(events) < 2:  # noqa: PLR2004 - a run of two
        return begin
    try:
        moment = datetime.fromisoformat(events[-1]["message_time"])
    except (KeyError, TypeError, ValueError):
        return begin
    # A time without a zone would be read as local time.
    return begin if moment.tzinfo is None else moment.timestamp()


def automatic_gap(pauses: Iterable[float]) -> float:
    """Return the gap in seconds at which to split a thread.

    It grows with the median pause: 30 minutes for people who answer within a minute,
    six hours for those who take an hour. On threads with known conversations, this is
    as good as a mixture of distributions (`python -m benchmarks.split_sessions`).
    """
    minutes = max(1.0, median(list(pauses) or [60.0])) / 60
    gap = _GAP_AT_A_MINUTE * minutes**_EXPONENT
    return float(min(max(gap, MIN_GAP_SECONDS), MAX_GAP_SECONDS))
