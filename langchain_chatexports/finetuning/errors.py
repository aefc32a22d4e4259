"""Classify the SDK's errors, and translate them to ours.

Our messages name what failed, whether it may cost, and what to do next. They contain no
keys, no training text and no HTML.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from langchain_chatexports.exceptions import (
    FileProcessingError,
    FineTuningError,
    FineTuningUnavailableError,
)

CREATING = "creating the job"
UPLOADING = "uploading the training file"

NO_ROUTE = frozenset({404, 405, 501})
BAD_REQUEST = frozenset({400, 422})
_TEMPORARY = frozenset({408, 409, 425, 429})
_FULL = 507
_BAD_FILE = BAD_REQUEST | {413, 415}
_QUOTA_CODES = frozenset(
    {
        "insufficient_quota",
        "quota_exceeded",
        "billing_hard_limit_reached",
        "billing_not_active",
    }
)
_MAX_MESSAGE_LENGTH = 300
_QUOTED = re.compile(r"'([^'\n]*)'|\"([^\"\n]*)\"|`([^`\n]*)`|“([^”\n]*)”")
_WORD = re.compile(r"[\w./:-]{1,64}")
_KEY = re.compile(r"\b(?:sk|pk|gsk|key)-[\w*.-]{4,}|Bearer\s+\S+")


class UnreadableAnswerError(Exception):
    """An unexpected answer, such as the page of a gateway."""


def status_of(error: BaseException | None) -> int | None:
    """Return the HTTP status of an error of the SDK, or of ours that it caused."""
    if error is None:
        return None
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) else status_of(error.__cause__)


def is_temporary(error: Exception) -> bool:
    """Return whether the same request may succeed later."""
    from openai import APIConnectionError

    status = status_of(error)
    if status is None:
        return isinstance(error, (APIConnectionError, UnreadableAnswerError))
    is_known = status in _TEMPORARY or (status >= 500 and status != _FULL)  # noqa: PLR2004 - HTTP
    return is_known and not _is_quota(error)


def is_timeout(error: Exception) -> bool:
    """Return whether the server may still be working on the request."""
    from openai import APITimeoutError

    return isinstance(error, APITimeoutError) or status_of(error) in {408, 504}


def is_too_long(error: Exception) -> bool:
    """Return whether the prompt does not fit into the model's context."""
    return getattr(error, "code", None) == "context_length_exceeded"


def _is_quota(error: Exception) -> bool:
    words = {str(getattr(error, name, None)) for name in ("code", "type")}
    return bool(words & _QUOTA_CODES) or status_of(error) == 402  # noqa: PLR2004 - HTTP


def blames(error: BaseException, *fields: str) -> bool:
    """Return whether a server refused a request because of one of these fields."""
    blamed = f"{getattr(error, 'param', '')} {getattr(error, 'body', '')}".lower()
    return status_of(error) in BAD_REQUEST and any(field in blamed for field in fields)


def requested_wait(error: BaseException) -> float | None:
    """Return the seconds in the `Retry-After` header, if there is one."""
    headers = getattr(getattr(error, "response", None), "headers", {})
    for name, divisor in (("retry-after-ms", 1000), ("retry-after", 1)):
        if re.fullmatch(r"\d{1,12}(\.\d*)?", headers.get(name, "").strip()):
            return float(headers[name]) / divisor
    return None


def clean_text(value: object) -> str:
    """Return a server's text as one short line without quotations and keys.

    Quotations of several words may be training data, and keys the user's.
    """
    text = value if isinstance(value, str) else ""
    if "<html" in text.lower() or "<!doctype" in text.lower():
        return ""
    text = _QUOTED.sub(_unquoted, _KEY.sub("…", text))
    # Remove terminal codes, and characters that change the direction of text.
    text = "".join(char if char.isprintable() else " " for char in text)
    text = " ".join(text.split()).rstrip(".")
    limit = _MAX_MESSAGE_LENGTH
    return text if len(text) <= limit else f"{text[:limit]}…"


def _unquoted(match: re.Match[str]) -> str:
    quoted = next(group for group in match.groups() if group is not None)
    return match[0] if _WORD.fullmatch(quoted) else "'…'"


def explained(
    problem: Exception,
    doing: str,
    server: str,
    clean: Callable[[object], str],
    wait: float | None = None,
) -> tuple[type[FineTuningError], str]:
    """Return the class and the message of our error for one of the SDK's."""
    status, body = status_of(problem), getattr(problem, "body", None)
    fields = body if isinstance(body, Mapping) else {}
    reason = clean(fields.get("message") or fields.get("detail"))
    kind, what, advice = _reason(problem, doing, server, wait)
    details = f" ({status}{reason and f': {reason}'})" if status is not None else ""
    return kind, f"{server} {what} while {doing}{details}. {advice}".strip()


def _reason(  # noqa: C901, PLR0911, PLR0912 - one for each reason
    problem: Exception, doing: str, server: str, wait: float | None
) -> tuple[type[FineTuningError], str, str]:
    from openai import APIConnectionError, APITimeoutError

    status, unavailable = status_of(problem), FineTuningUnavailableError
    following = getattr(getattr(problem, "response", None), "next_request", None)
    if isinstance(problem, APITimeoutError):
        advice = "Check that the server runs, and try again."
        return unavailable, "did not answer in time", advice
    if isinstance(problem, APIConnectionError):
        advice = "Check `base_url`, the network, and that the server runs."
        return unavailable, "cannot be reached", advice
    if isinstance(problem, UnreadableAnswerError):
        advice = "Check `base_url`: is it an OpenAI-compatible API, or a web page?"
        return unavailable, "gave an answer that cannot be read", advice
    if status is None:
        what = f"was not asked (the SDK raised a {type(problem).__name__})"
        return FineTuningError, what, "Check `api_key` and `default_headers`."
    if following is not None:
        url = urlsplit(str(following.url))
        advice = (
            "Redirects are not followed, since requests contain the training text and "
            "the key: if it is the right server, set `base_url` to its address."
        )
        host = url.netloc.rpartition("@")[2]
        return FineTuningError, f"redirects to {url.scheme}://{host}", advice
    if wait is not None:
        return unavailable, f"asks to wait {wait:g} s", "Try again after that time."
    if status == 401:  # noqa: PLR2004 - HTTP
        advice = "Check `api_key` or OPENAI_API_KEY, and that it is for this server."
        return unavailable, "refused the API key", advice
    if _is_quota(problem):
        advice = "Add credit or raise the limit, then run again."
        return unavailable, "reports that the account's quota is used up", advice
    if is_temporary(problem):
        return unavailable, "kept failing", "Try again later."
    if doing == CREATING and status in {403, 404}:
        advice = "Check the model's name and that the account may fine-tune it."
        if "api.openai.com" in server:
            advice += (
                " OpenAI has closed fine-tuning to most organizations, and takes no "
                "new jobs after 2027-01-06; `base_url` can name another server."
            )
        return unavailable, "does not let this key fine-tune this model", advice
    if status in NO_ROUTE | {403}:
        advice = (
            "Check `base_url` (it usually ends in /v1) and the permissions of the key."
        )
        return unavailable, "does not support or allow the request", advice
    blames_file = blames(problem, "training_file", "validation_file")
    if (doing == UPLOADING and status in _BAD_FILE) or blames_file:
        return FileProcessingError, "refused the training file", ""
    return FineTuningError, "refused the request", ""
