"""What an error of the SDK means: passing or not, how long to wait, what to say.

The texts name what failed, whether it may cost, and what to do next. They hold neither
keys nor training texts, and never a page of HTML.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any

from langchain_chatexports.exceptions import (
    FileProcessingError,
    FineTuningError,
    FineTuningUnavailableError,
)

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "MAX_RETRY_AFTER",
    "Situation",
    "asks_to_wait",
    "cause_of",
    "explained",
    "has_no_route",
    "is_bad_request",
    "is_passing",
    "is_perhaps_in_work",
    "public_text",
    "refuses",
    "status_of",
]

MAX_RETRY_AFTER = 120.0
"""The longest wait, in seconds, that a server may ask for and get."""

_PASSING = frozenset({408, 409, 425, 429})
_TIMED_OUT = frozenset({408, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NO_ROUTE = frozenset({404, 405, 501})
_BAD_REQUEST = frozenset({400, 422})
_BAD_FILE = frozenset({400, 413, 415, 422})
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
_LONGEST_MESSAGE = 300
_QUOTED = re.compile(r"'([^'\n]*)'|\"([^\"\n]*)\"|`([^`\n]*)`|“([^”\n]*)”")
_WORD = re.compile(r"[\w./:-]{1,64}")
_KEY = re.compile(r"\b(?:sk|pk|gsk|key)-[\w*.-]{4,}|Bearer\s+\S+")


@dataclass(frozen=True)
class Situation:
    """Where in the order an error comes up, for the text about it."""

    server: str
    """The server's base URL."""

    doing: str
    """What was being done, as in "while ...": `creating the job`."""

    consequence: str
    """What it means for the order: what exists, whether it costs, what to do."""

    job_id: str | None = None
    status: str | None = None
    creates_file: bool = False
    creates_job: bool = False

    hides: Callable[[str], str] = str
    """Takes what is private out of a server's message."""

    def with_(self, **changes: Any) -> Self:
        """Give a situation that differs in some points."""
        return replace(self, **changes)


def is_passing(error: Exception) -> bool:
    """Tell whether the same request may well succeed a moment later."""
    from openai import APIConnectionError

    from langchain_chatexports.finetuning.http_clients import UnreadableAnswerError

    status = status_of(error)
    if status is not None:
        if _is_quota(error):
            return False
        return status in _PASSING or status >= _SERVER_ERROR
    # The last two: a body that was cut off half-way.
    return isinstance(
        error,
        (
            APIConnectionError,
            UnreadableAnswerError,
            JSONDecodeError,
            UnicodeDecodeError,
        ),
    )


def is_perhaps_in_work(error: Exception) -> bool:
    """Tell whether the server may still be doing what was asked for."""
    from openai import APITimeoutError

    return isinstance(error, APITimeoutError) or status_of(error) in _TIMED_OUT


def status_of(error: BaseException) -> int | None:
    """Give the HTTP status of an error, also of one that was made from it."""
    status = getattr(error, "status_code", None)
    if status is None and error.__cause__ is not None:
        return status_of(error.__cause__)
    return status if isinstance(status, int) else None


def has_no_route(error: BaseException) -> bool:
    """Tell whether the server does not know this kind of request."""
    return status_of(error) in _NO_ROUTE


def is_bad_request(error: BaseException) -> bool:
    """Tell whether the server understands the request and refuses its form."""
    return status_of(error) in _BAD_REQUEST


def refuses(error: BaseException, *words: str) -> bool:
    """Tell whether the server refuses the request and blames one of these fields."""
    if not is_bad_request(error):
        return False
    blamed = f"{getattr(error, 'param', '')} {getattr(error, 'body', '')}".lower()
    return any(word in blamed for word in words)


def asks_to_wait(error: BaseException) -> float | None:
    """Give the seconds that the server asks to wait, if it does."""
    response = getattr(error, "response", None)
    headers = getattr(response, "headers", {})
    for name, divisor in (("retry-after-ms", 1000), ("retry-after", 1)):
        if re.fullmatch(r"\d+(\.\d*)?", headers.get(name, "").strip()):
            return float(headers[name]) / divisor
    try:
        # Against the server's own clock: ours may be wrong, or jump.
        until = parsedate_to_datetime(headers["retry-after"])
        return max(
            0.0, (until - parsedate_to_datetime(headers["date"])).total_seconds()
        )
    except (KeyError, ValueError, TypeError):
        return None


def cause_of(error: Exception, situation: Situation) -> Exception | None:
    """Give the error to chain, with nothing private in its text.

    Tracebacks and traces show it, and servers repeat what they were sent.
    """
    from openai import APIError

    if isinstance(error, APIError):
        error.message = public_text(error.message, situation.hides)
        error.args = (error.message,)
        return error
    # These hold the bytes that they could not read or write.
    return None if isinstance(error, ValueError) else error


def explained(
    error: Exception, situation: Situation, *, wait: float | None = None
) -> FineTuningError:
    """Turn an error of the SDK into one of ours that says what to do.

    Args:
        error: What the request ended with.
        situation: What was being done.
        wait: The wait that the server asked for, if it is too long.

    Returns:
        The error to raise.
    """
    from langchain_chatexports.finetuning.http_clients import RedirectError

    if isinstance(error, RedirectError):
        text = f"{error.args[0]} This was while {situation.doing}."
        return FineTuningError(
            f"{text} {situation.consequence}",
            job_id=situation.job_id,
            status=situation.status,
        )
    if isinstance(error, FineTuningError):
        return error
    status = status_of(error)
    kind, reason = _reason(error, status, situation, wait)
    return kind(
        f"{reason} {situation.consequence}",
        job_id=situation.job_id,
        status=situation.status,
    )


def _reason(
    error: Exception, status: int | None, situation: Situation, wait: float | None
) -> tuple[type[FineTuningError], str]:
    server, doing = situation.server, situation.doing
    said = _server_message(error, situation)
    if wait is not None:
        return FineTuningUnavailableError, (
            f"{server} asks to wait {wait:g} s while {doing} (status {status}). "
            "Try again after that time."
        )
    if status is None:
        return _without_status(error, situation)
    if status == 401:  # noqa: PLR2004 - HTTP
        return FineTuningUnavailableError, (
            f"{server} refused the API key while {doing} (401). Check `api_key` or "
            "OPENAI_API_KEY, and that the key is for this server."
        )
    if _is_quota(error):
        return FineTuningUnavailableError, (
            f"The account's quota at {server} is used up ({status}{_colon(said)}), "
            f"seen while {doing}. Add credit or raise the limit, then run again."
        )
    if is_passing(error):
        return FineTuningUnavailableError, (
            f"{server} failed again and again while {doing} (status {status}"
            f"{_colon(said)}). Try again later."
        )
    return _refusal(error, status, situation, said)


def _refusal(
    error: Exception, status: int, situation: Situation, said: str
) -> tuple[type[FineTuningError], str]:
    server, doing = situation.server, situation.doing
    if situation.creates_job and status in {403, 404}:
        return FineTuningUnavailableError, _closed(server, status, said)
    if status in _REDIRECTS:
        return FineTuningError, _redirected(error, situation)
    if status in _NO_ROUTE or status == 403:  # noqa: PLR2004 - HTTP
        return FineTuningUnavailableError, (
            f"{server} does not allow or does not know the request while {doing} "
            f"({status}{_colon(said)}). Check `base_url` (it usually ends in /v1) and "
            "what the key may do."
        )
    bad_file = situation.creates_file and status in _BAD_FILE
    if bad_file or (
        situation.creates_job and refuses(error, "training_file", "validation_file")
    ):
        return FileProcessingError, (
            f"{server} refused the training file while {doing} ({status}"
            f"{_colon(said)})."
        )
    return FineTuningError, (
        f"{server} refused the request while {doing} ({status}{_colon(said)})."
    )


def _without_status(
    error: Exception, situation: Situation
) -> tuple[type[FineTuningError], str]:
    server, doing = situation.server, situation.doing
    from openai import APIConnectionError, APITimeoutError

    from langchain_chatexports.finetuning.http_clients import UnreadableAnswerError

    if isinstance(error, APITimeoutError):
        return FineTuningUnavailableError, (
            f"{server} did not answer in time while {doing}. Check that the server "
            "runs, and try again."
        )
    if isinstance(error, APIConnectionError):
        return FineTuningUnavailableError, (
            f"{server} cannot be reached while {doing}. Check `base_url`, the network, "
            "and that the server runs."
        )
    if isinstance(error, UnreadableAnswerError) or is_passing(error):
        return FineTuningUnavailableError, (
            f"{server} gave an answer that cannot be read while {doing}. Check "
            "`base_url`: is it an OpenAI-compatible API, or a gateway's page?"
        )
    return FineTuningError, (
        f"The request to {server} could not be made while {doing} "
        f"({type(error).__name__})."
    )


def _redirected(error: Exception, situation: Situation) -> str:
    from langchain_chatexports.finetuning.http_clients import origin_of

    response: Any = getattr(error, "response", None)
    following = getattr(response, "next_request", None)
    to = f" to {origin_of(following.url)}" if following is not None else ""
    return (
        f"{situation.server} redirects{to} while {situation.doing}. Redirects are "
        "followed only a few times within one server, and never with a client of your "
        "own, since they carry the training text and the key: give the final address "
        "as `base_url`."
    )


def _closed(server: str, status: int, said: str) -> str:
    reason = (
        f"{server} does not let this key create a fine-tuning job with this model "
        f"({status}{_colon(said)}). Check the model's name and that the account may "
        "fine-tune it."
    )
    if "api.openai.com" in server:
        reason += (
            " OpenAI has closed fine-tuning to most organizations, and takes no new "
            "jobs after 2027-01-06; `base_url` can name another server."
        )
    return reason


def _is_quota(error: Exception) -> bool:
    # Servers put it in one of these, or in the status.
    words = {str(getattr(error, name, None)) for name in ("code", "type")}
    return bool(words & _QUOTA_CODES) or status_of(error) == _PAYMENT_REQUIRED


def _colon(said: str) -> str:
    return f": {said}" if said else ""


def _server_message(error: Exception, situation: Situation) -> str:
    body = getattr(error, "body", None)
    if not isinstance(body, Mapping):
        return ""  # A page, or nothing.
    said = body.get("message") or body.get("detail")
    return public_text(said, situation.hides) if isinstance(said, str) else ""


def public_text(said: str, hides: Callable[[str], str] = str) -> str:
    """Shorten a server's message and take out what may be private.

    Quotations of more than a word may come from the data; keys may be the user's.

    Args:
        said: The message.
        hides: Takes out what is known to be private.

    Returns:
        The message in one line.
    """
    if "<html" in said.lower() or "<!doctype" in said.lower():
        return ""
    text = _QUOTED.sub(_unquoted, _KEY.sub("…", hides(said)))
    # Codes that a terminal would carry out, or that turn the text around.
    text = "".join(char if char.isprintable() else " " for char in text)
    text = " ".join(text.split()).rstrip(".")
    return text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]}…"


def _unquoted(match: re.Match[str]) -> str:
    quoted = next(group for group in match.groups() if group is not None)
    return match[0] if _WORD.fullmatch(quoted) else "'…'"
