"""Errors of the SDK as errors of this package, and what they say.

The texts name what failed, whether it may cost, and what to do next. They hold neither
keys nor training texts, and never a page of HTML.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from langchain_chatexports.exceptions import (
    FileProcessingError,
    FineTuningError,
    FineTuningUnavailableError,
)
from langchain_chatexports.finetuning.retries import is_quota, is_temporary, status_of

__all__ = [
    "Step",
    "clean_text",
    "error_of",
    "has_no_route",
    "is_bad_request",
    "names_field",
    "safe_cause",
]

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NO_ROUTE = frozenset({404, 405, 501})
_BAD_REQUEST = frozenset({400, 422})
_BAD_FILE = frozenset({400, 413, 415, 422})
_MAX_MESSAGE_LENGTH = 300
_QUOTED = re.compile(r"'([^'\n]*)'|\"([^\"\n]*)\"|`([^`\n]*)`|“([^”\n]*)”")
_WORD = re.compile(r"[\w./:-]{1,64}")
_KEY = re.compile(r"\b(?:sk|pk|gsk|key)-[\w*.-]{4,}|Bearer\s+\S+")

# By what `_reason` finds; what it means for the order follows.
_TEXTS = {
    "another server": "{told} This was while {doing}.",
    "closed": (
        "{server} does not let this key create a fine-tuning job with this model "
        "({status}{said}). Check the model's name and that the account may fine-tune "
        "it.{closing}"
    ),
    "file": ("{server} refused the training file while {doing} ({status}{said})."),
    "key": (
        "{server} refused the API key while {doing} (401). Check `api_key` or "
        "OPENAI_API_KEY, and that the key is for this server."
    ),
    "long wait": (
        "{server} asks to wait {wait:g} s while {doing} (status {status}). Try again "
        "after that time."
    ),
    "no route": (
        "{server} does not allow or does not know the request while {doing} "
        "({status}{said}). Check `base_url` (it usually ends in /v1) and what the key"
        " may do."
    ),
    "not made": ("The request to {server} could not be made while {doing} ({error})."),
    "quota": (
        "The account's quota at {server} is used up ({status}{said}), seen while "
        "{doing}. Add credit or raise the limit, then run again."
    ),
    "redirect": (
        "{server} redirects{target} while {doing}. Redirects are followed only a few "
        "times within one server, and never with a client of your own, since they "
        "carry the training text and the key: give the final address as `base_url`."
    ),
    "refused": "{server} refused the request while {doing} ({status}{said}).",
    "temporary": (
        "{server} kept failing while {doing} (status {status}{said}). Try again later."
    ),
    "timeout": (
        "{server} did not answer in time while {doing}. Check that the server runs, "
        "and try again."
    ),
    "unreachable": (
        "{server} cannot be reached while {doing}. Check `base_url`, the network, and"
        " that the server runs."
    ),
    "unreadable": (
        "{server} gave an answer that cannot be read while {doing}. Check `base_url`:"
        " is it an OpenAI-compatible API, or a gateway's page?"
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
class Step:
    """What the tuner is doing, for the text of an error.

    Attributes:
        doing: As in "while ...": `creating the job`.
        consequence: What exists, whether it costs, what to do.
        job_id: The job, if there is one.
        status: Its status.
        creates: What a refusal may be about.
    """

    doing: str
    consequence: str
    job_id: str | None = None
    status: str | None = None
    creates: Literal["file", "job"] | None = None


# What kind of error it is


def has_no_route(error: BaseException) -> bool:
    """Return whether the server does not know this kind of request."""
    return status_of(error) in _NO_ROUTE


def is_bad_request(error: BaseException) -> bool:
    """Return whether the server understands the request and refuses its form."""
    return status_of(error) in _BAD_REQUEST


def names_field(error: BaseException, *fields: str) -> bool:
    """Return whether the server refuses the request and blames one of these fields."""
    if not is_bad_request(error):
        return False
    blamed = f"{getattr(error, 'param', '')} {getattr(error, 'body', '')}".lower()
    return any(field in blamed for field in fields)


# What to say about it


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
    step: Step,
    server: str,
    scrub: Callable[[str], str] = str,
    *,
    wait: float | None = None,
) -> FineTuningError:
    """Return the error of ours that says what to do, chained to the SDK's.

    Args:
        problem: What the request ended with.
        step: What was being done.
        server: The server's URL.
        scrub: Takes out of the server's words what is known to be private.
        wait: The wait that the server asked for, if it is too long.
    """
    from langchain_chatexports.finetuning.http_clients import RedirectError, origin_of

    body = getattr(problem, "body", None)  # A mapping, a page, or nothing.
    said = ""
    if isinstance(body, Mapping):
        told = body.get("message") or body.get("detail")
        said = clean_text(told, scrub) if isinstance(told, str) else ""
    following = getattr(getattr(problem, "response", None), "next_request", None)
    kind = _reason(problem, step, wait)
    reason = _TEXTS[kind].format(
        server=server,
        doing=step.doing,
        status=status_of(problem),
        said=f": {said}" if said else "",
        wait=wait,
        target=f" to {origin_of(following.url)}" if following is not None else "",
        told=problem.args[0] if isinstance(problem, RedirectError) else "",
        error=type(problem).__name__,
        closing=_CLOSED_AT_OPENAI if "api.openai.com" in server else "",
    )
    error = _ERRORS.get(kind, FineTuningUnavailableError)(
        f"{reason} {step.consequence}", job_id=step.job_id, status=step.status
    )
    error.__cause__ = safe_cause(problem, scrub)
    return error


def _reason(problem: Exception, step: Step, wait: float | None) -> str:
    status = status_of(problem)
    if status is None:
        return _reason_without_status(problem)
    creates_job = step.creates == "job"
    blames_file = names_field(problem, "training_file", "validation_file")
    is_bad_file = step.creates == "file" and status in _BAD_FILE
    reasons = (
        (wait is not None, "long wait"),
        (status == 401, "key"),  # noqa: PLR2004 - HTTP
        (is_quota(problem), "quota"),
        (is_temporary(problem), "temporary"),
        (creates_job and status in {403, 404}, "closed"),
        (status in _REDIRECTS, "redirect"),
        (status in _NO_ROUTE | {403}, "no route"),
        (is_bad_file or (creates_job and blames_file), "file"),
    )
    return next((reason for holds, reason in reasons if holds), "refused")


def _reason_without_status(problem: Exception) -> str:
    from openai import APIConnectionError, APITimeoutError

    from langchain_chatexports.finetuning.http_clients import RedirectError

    if isinstance(problem, RedirectError):
        return "another server"
    if isinstance(problem, APITimeoutError):
        return "timeout"
    if isinstance(problem, APIConnectionError):
        return "unreachable"
    return "unreadable" if is_temporary(problem) else "not made"
