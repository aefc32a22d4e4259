"""Whether a request that failed is sent again, and how long to wait before.

Temporary are 408, 409, 425, 429 and every status from 500, such as 529, unless the
account's quota is used up.
"""

from __future__ import annotations

import asyncio
import re
from email.utils import parsedate_to_datetime
from json import JSONDecodeError

__all__ = [
    "MAX_RETRY_AFTER",
    "is_quota",
    "is_temporary",
    "may_be_in_progress",
    "requested_wait",
    "status_of",
]

MAX_RETRY_AFTER = 120.0
"""The longest wait, in seconds, that a server may ask for and get."""

_TEMPORARY = frozenset({408, 409, 425, 429})
_TIMED_OUT = frozenset({408, 504})
_SERVER_ERROR = 500
_PAYMENT_REQUIRED = 402
_QUOTA_CODES = frozenset(
    {
        "insufficient_quota",
        "quota_exceeded",
        "billing_hard_limit_reached",
        "billing_not_active",
    }
)


def status_of(error: BaseException | None) -> int | None:
    """Return the HTTP status of an error, also of one that was made from it."""
    status = getattr(error, "status_code", None)
    if status is None and error is not None and error.__cause__ is not None:
        return status_of(error.__cause__)
    return status if isinstance(status, int) else None


def is_temporary(error: Exception) -> bool:
    """Return whether the same request may well succeed a moment later."""
    from openai import APIConnectionError

    from langchain_chatexports.finetuning.http_clients import UnreadableAnswerError

    status = status_of(error)
    if status is not None:
        temporary = status in _TEMPORARY or status >= _SERVER_ERROR
        return temporary and not is_quota(error)
    # The last two: a body that was cut off half-way.
    kinds = (APIConnectionError, UnreadableAnswerError, asyncio.TimeoutError)
    return isinstance(error, (*kinds, JSONDecodeError, UnicodeDecodeError))


def may_be_in_progress(error: Exception) -> bool:
    """Return whether the server may still be doing what was asked for."""
    from openai import APITimeoutError

    timeouts = (APITimeoutError, asyncio.TimeoutError)
    return isinstance(error, timeouts) or status_of(error) in _TIMED_OUT


def requested_wait(error: BaseException) -> float | None:
    """Return the seconds that the server asks to wait, if it does."""
    headers = getattr(getattr(error, "response", None), "headers", {})
    for name, divisor in (("retry-after-ms", 1000), ("retry-after", 1)):
        if re.fullmatch(r"\d+(\.\d*)?", headers.get(name, "").strip()):
            return float(headers[name]) / divisor
    try:
        # Against the server's own clock: ours may be wrong, or jump.
        until, now = map(
            parsedate_to_datetime, (headers["retry-after"], headers["date"])
        )
        return max(0.0, (until - now).total_seconds())
    except (KeyError, ValueError, TypeError):
        return None


def is_quota(error: Exception) -> bool:
    """Return whether the account's quota or credit is used up."""
    # Servers put it in one of these, or in the status.
    words = {str(getattr(error, name, None)) for name in ("code", "type")}
    return bool(words & _QUOTA_CODES) or status_of(error) == _PAYMENT_REQUIRED
