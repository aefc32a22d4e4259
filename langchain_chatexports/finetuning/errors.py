"""Errors of the SDK: which are worth a retry, and what ours say in their place.

Temporary are 408, 409, 425, 429 and every status from 500, such as 529, unless the
account's quota is used up. The texts name what failed, whether it may cost, and what to
do next. They hold neither keys nor training texts, and never a page of HTML.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from json import JSONDecodeError

from langchain_chatexports.exceptions import (
    FileProcessingError,
    FineTuningError,
    FineTuningUnavailableError,
)

__all__ = [
    "BAD_REQUEST",
    "MAX_RETRY_AFTER",
    "NO_ROUTE",
    "PURPOSES",
    "Situation",
    "clean_text",
    "error_of",
    "is_temporary",
    "is_too_long",
    "may_be_in_progress",
    "names_field",
    "requested_wait",
    "safe_cause",
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

NO_ROUTE = frozenset({404, 405, 501})
"""The server does not know this kind of request, or what it asks for."""

BAD_REQUEST = frozenset({400, 422})
"""The server understands the request and refuses its form."""

NOTHING_ORDERED = "Nothing was ordered, so nothing costs."
"""What an error before the creation of the job means."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_BAD_FILE = BAD_REQUEST | {413, 415}
_MAX_MESSAGE_LENGTH = 300
_QUOTED = re.compile(r"'([^'\n]*)'|\"([^\"\n]*)\"|`([^`\n]*)`|“([^”\n]*)”")
_WORD = re.compile(r"[\w./:-]{1,64}")
_KEY = re.compile(r"\b(?:sk|pk|gsk|key)-[\w*.-]{4,}|Bearer\s+\S+")

PURPOSES = {
    "files.create": "uploading the training file",
    "files.delete": "deleting the training file",
    "files.list": "looking for the training file",
    "files.retrieve": "waiting for the training file",
    "fine_tuning.jobs.cancel": "cancelling the job",
    "fine_tuning.jobs.checkpoints.list": "listing the checkpoints",
    "fine_tuning.jobs.create": "creating the job",
    "fine_tuning.jobs.list": "looking for the order's job",
    "fine_tuning.jobs.list_events": "reading the job's events",
    "fine_tuning.jobs.retrieve": "asking for the job",
    "models.delete": "deleting the model",
    "models.retrieve": "looking up the model",
}
"""What the SDK's requests are for, as in "while …"."""

# By what `_reason` finds: what the server does, and what to do. The rest follows.
_TEXTS = {
    "another server": ("answered with a redirect", "{told}"),
    "closed": (
        "does not let this key create a fine-tuning job with this model",
        "Check the model's name and that the account may fine-tune it.{closing}",
    ),
    "file": ("refused the training file", ""),
    "key": (
        "refused the API key",
        "Check `api_key` or OPENAI_API_KEY, and that the key is for this server.",
    ),
    "long wait": ("asks to wait {wait:g} s", "Try again after that time."),
    "no route": (
        "does not allow or does not know the request",
        "Check `base_url` (it usually ends in /v1) and what the key may do.",
    ),
    "not made": ("was not asked: the SDK raised a {error}", ""),
    "quota": (
        "says that the account's quota is used up",
        "Add credit or raise the limit, then run again.",
    ),
    "redirect": (
        "redirects{target}",
        (
            "Redirects are followed only a few times within one server, and never with "
            "a client of your own, since they carry the training text and the key: "
            "give the final address as `base_url`."
        ),
    ),
    "refused": ("refused the request", ""),
    "temporary": ("kept failing", "Try again later."),
    "timeout": (
        "did not answer in time",
        "Check that the server runs, and try again.",
    ),
    "unreachable": (
        "cannot be reached",
        "Check `base_url`, the network, and that the server runs.",
    ),
    "unreadable": (
        "gave an answer that cannot be read",
        "Check `base_url`: is it an OpenAI-compatible API, or a gateway's page?",
    ),
}
_ERRORS: dict[str, type[FineTuningError]] = {
    "another server": FineTuningError,
    "file": FileProcessingError,
    "not made": FineTuningError,
    "redirect": FineTuningError,
    "refused": FineTuningError,
}
_CLOSED_AT_OPENAI = (
    " OpenAI has closed fine-tuning to most organizations, and takes no new jobs "
    "after 2027-01-06; `base_url` can name another server."
)


@dataclass(frozen=True)
class Situation:
    """What an error says beside its cause.

    Attributes:
        consequence: What exists, whether it costs, what to do.
        job_id: The job, if there is one.
        status: Its status.
    """

    consequence: str = NOTHING_ORDERED
    job_id: str | None = None
    status: str | None = None

    def error(self, kind: type[FineTuningError], text: str) -> FineTuningError:
        """Return an error of this kind."""
        text = f"{text} {self.consequence}"
        return kind(text, job_id=self.job_id, status=self.status)


# Whether a request is sent again, and when


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


def is_too_long(error: Exception) -> bool:
    """Return whether the prompt does not fit into the model's context."""
    return getattr(error, "code", None) == "context_length_exceeded"


# What an error says


def names_field(error: BaseException | None, *fields: str) -> bool:
    """Return whether the server refuses the request and blames one of these fields."""
    blamed = f"{getattr(error, 'param', '')} {getattr(error, 'body', '')}".lower()
    return status_of(error) in BAD_REQUEST and any(field in blamed for field in fields)


def clean_text(said: object, scrub: Callable[[str], str] = str) -> str:
    """Return a server's words in one short line, without what may be private.

    Everything that a server says goes through here on its way into an error or a log.
    Quotations of more than a word may come from the data, keys may be the user's.
    """
    text = "" if said is None else str(said)
    if "<html" in text.lower() or "<!doctype" in text.lower():
        return ""
    text = _QUOTED.sub(_unquoted, _KEY.sub("…", scrub(text)))
    # Codes that a terminal would carry out, or that turn the text around.
    text = "".join(char if char.isprintable() else " " for char in text)
    text = " ".join(text.split()).rstrip(".")
    limit = _MAX_MESSAGE_LENGTH
    return text if len(text) <= limit else f"{text[:limit]}…"


def _unquoted(match: re.Match[str]) -> str:
    quoted = next(group for group in match.groups() if group is not None)
    return match[0] if _WORD.fullmatch(quoted) else "'…'"


def safe_cause(error: Exception, scrub: Callable[[str], str]) -> Exception | None:
    """Return the error to chain, with nothing private in its text.

    Tracebacks and traces show it, and servers repeat what they were sent.
    """
    from openai import APIError

    if isinstance(error, APIError):
        error.message = clean_text(error.message, scrub)
        error.args = (error.message,)
        return error
    # These hold the bytes that they could not read or write.
    return None if isinstance(error, ValueError) else error


def error_of(
    problem: Exception,
    method: str,
    server: str,
    situation: Situation,
    scrub: Callable[[str], str] = str,
    *,
    wait: float | None = None,
) -> FineTuningError:
    """Return the error of ours that says what to do, chained to the SDK's `problem`.

    `wait` is what the server asked for, if it is too long.
    """
    from langchain_chatexports.finetuning.http_clients import RedirectError, origin_of

    body = getattr(problem, "body", None)  # A mapping, a page, or nothing.
    told = body.get("message") or body.get("detail") if isinstance(body, Mapping) else 0
    said = clean_text(told, scrub) if isinstance(told, str) else ""
    following = getattr(getattr(problem, "response", None), "next_request", None)
    reason, status = _reason(problem, method, wait), status_of(problem)
    details = f" ({status}{said and f': {said}'})" if status is not None else ""
    what, advice = (
        part.format(
            wait=wait,
            target=f" to {origin_of(following.url)}" if following is not None else "",
            told=problem.args[0] if isinstance(problem, RedirectError) else "",
            error=type(problem).__name__,
            closing=_CLOSED_AT_OPENAI if "api.openai.com" in server else "",
        )
        for part in _TEXTS[reason]
    )
    text = f"{server} {what} while {PURPOSES[method]}{details}. {advice}".strip()
    error = situation.error(_ERRORS.get(reason, FineTuningUnavailableError), text)
    error.__cause__ = safe_cause(problem, scrub)
    return error


def _reason(problem: Exception, method: str, wait: float | None) -> str:
    from openai import APIConnectionError, APITimeoutError

    from langchain_chatexports.finetuning.http_clients import RedirectError

    status, temporary = status_of(problem), is_temporary(problem)
    creates_job = method == "fine_tuning.jobs.create"
    blames_file = names_field(problem, "training_file", "validation_file")
    refuses_file = method == "files.create" and status in _BAD_FILE
    timeouts = (APITimeoutError, asyncio.TimeoutError)
    reasons = (
        (isinstance(problem, RedirectError), "another server"),
        (isinstance(problem, timeouts), "timeout"),
        (isinstance(problem, APIConnectionError), "unreachable"),
        (status is None, "unreadable" if temporary else "not made"),
        (wait is not None, "long wait"),
        (status == 401, "key"),  # noqa: PLR2004 - HTTP
        (is_quota(problem), "quota"),
        (temporary, "temporary"),
        (creates_job and status in {403, 404}, "closed"),
        (status in _REDIRECTS, "redirect"),
        (status in NO_ROUTE | {403}, "no route"),
        (refuses_file or (creates_job and blames_file), "file"),
    )
    return next((reason for holds, reason in reasons if holds), "refused")
