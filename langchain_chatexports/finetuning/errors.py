"""Classify SDK errors and describe them to users.

The descriptions say what failed and what to do next. They never contain keys, training
text or HTML.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from langchain_chatexports.exceptions import (
    FileProcessingError,
    FineTuningError,
    FineTuningUnavailableError,
)

if TYPE_CHECKING:
    from openai import APIError

UPLOAD = "POST /files"
CREATE = "POST /fine_tuning/jobs"

NO_ROUTE = frozenset({404, 405, 501})
BAD_REQUEST = frozenset({400, 422})
_TEMPORARY = frozenset({408, 409, 425, 429})
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


def http_status(error: Exception) -> int | None:
    """Return the HTTP status of an error; `None` without a readable response."""
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) and status >= 300 else None  # noqa: PLR2004 - HTTP


def is_temporary(error: Exception) -> bool:
    """Return whether a retry may succeed."""
    status = http_status(error)
    # 507: the server's disk is full.
    return status is None or (
        (status in _TEMPORARY or (status >= 500 and status != 507))  # noqa: PLR2004 - HTTP
        and not _is_quota(error)
    )


def is_timeout(error: Exception) -> bool:
    """Return whether the server may still be working on the request."""
    from openai import APITimeoutError

    return isinstance(error, APITimeoutError) or http_status(error) in {408, 504}


def is_context_length_error(error: Exception) -> bool:
    """Return whether the prompt exceeds the model's context."""
    return getattr(error, "code", None) == "context_length_exceeded"


def _is_quota(error: Exception) -> bool:
    words = {str(getattr(error, name, None)) for name in ("code", "type")}
    return bool(words & _QUOTA_CODES) or http_status(error) == 402  # noqa: PLR2004 - HTTP


def rejects_field(error: Exception, *fields: str) -> bool:
    """Return whether a server rejected a request because of one of these fields."""
    text = f"{getattr(error, 'param', '')} {getattr(error, 'body', '')}".lower()
    return http_status(error) in BAD_REQUEST and any(field in text for field in fields)


def retry_after(error_or_response: Any) -> float | None:
    """Return the seconds in the `Retry-After` header, if there is one."""
    response = getattr(error_or_response, "response", error_or_response)
    headers = getattr(response, "headers", {})
    for name, divisor in (("retry-after-ms", 1000), ("retry-after", 1)):
        if re.fullmatch(r"\d{1,12}(\.\d*)?", headers.get(name, "").strip()):
            return float(headers[name]) / divisor
    return None


def clean_text(value: object) -> str:
    """Clean a server's message: one short line, without long quotations or keys.

    Quotations of several words may be training data.
    """
    text = value if isinstance(value, str) else ""
    if "<html" in text.lower() or "<!doctype" in text.lower():
        return ""
    text = _QUOTED.sub(_hide_quotation, _KEY.sub("…", text))
    # Remove terminal codes, and characters that change the direction of text.
    text = "".join(char if char.isprintable() else " " for char in text)
    text = " ".join(text.split()).rstrip(".")
    limit = _MAX_MESSAGE_LENGTH
    return text if len(text) <= limit else f"{text[:limit]}…"


def _hide_quotation(match: re.Match[str]) -> str:
    quoted = next(group for group in match.groups() if group is not None)
    return match[0] if _WORD.fullmatch(quoted) else "'…'"


def describe(
    problem: APIError, server: str, clean: Callable[[object], str], wait: float | None
) -> tuple[type[FineTuningError], str]:
    """Return the class and the message of the `FineTuningError` for an SDK error.

    Args:
        problem: The SDK's error.
        server: The server's URL.
        clean: Removes secrets from the server's message.
        wait: The server's `Retry-After`, if that is too long.
    """
    fields = problem.body if isinstance(problem.body, Mapping) else {}
    reason = clean(fields.get("message") or fields.get("detail"))
    # Ids and the names of models are left out.
    path = re.search(r"/(files|models|fine_tuning/jobs)", problem.request.url.path)
    request = f"{problem.request.method} {path[0] if path else ''}"
    details = ", ".join(filter(None, (request, str(http_status(problem) or ""))))
    error_class, failure, advice = _classify(problem, request, server, wait)
    text = f"{server} {failure} ({details}{reason and f': {reason}'}). {advice}"
    return error_class, text.strip()


def _classify(  # noqa: C901, PLR0911 - a branch for each reason
    problem: APIError, request: str, server: str, wait: float | None
) -> tuple[type[FineTuningError], str, str]:
    from openai import APIResponseValidationError, APITimeoutError

    status, unavailable = http_status(problem), FineTuningUnavailableError
    if isinstance(problem, APITimeoutError):
        advice = "Check that the server is running, and try again."
        return unavailable, "did not respond in time", advice
    unreadable = APIResponseValidationError
    if isinstance(problem, unreadable) or isinstance(problem.__cause__, unreadable):
        advice = "Check `base_url`: is it an OpenAI-compatible API, or a web page?"
        return unavailable, "sent an unreadable response", advice
    if status is None:
        advice = "Check `base_url`, the network, and that the server is running."
        return unavailable, "cannot be reached", advice
    if target := getattr(getattr(problem, "response", None), "next_request", None):
        host = target.url.netloc.decode().rpartition("@")[2]
        advice = (
            "Redirects are not followed, as requests contain the training text and the "
            "key. If it is the right server, set `base_url` to its address."
        )
        return FineTuningError, f"redirects to {target.url.scheme}://{host}", advice
    if wait is not None:
        return unavailable, f"asked to retry after {wait:g} s", "Try again later."
    if status == 401:  # noqa: PLR2004 - HTTP
        advice = "Check that `api_key` or OPENAI_API_KEY is for this server."
        return unavailable, "rejected the API key", advice
    if _is_quota(problem):
        advice = "Add credit or raise the limit, then try again."
        return unavailable, "reports that the quota is exceeded", advice
    if is_temporary(problem):
        return unavailable, "kept failing", "Try again later."
    if request == CREATE and status in {403, 404}:
        advice = "Check the model's name, and that the account is allowed to tune it."
        if "api.openai.com" in server:
            advice += (
                " OpenAI has closed fine-tuning to most organizations, and accepts no "
                "new jobs after 2027-01-06; set `base_url` to another server."
            )
        return unavailable, "does not allow this key to fine-tune the model", advice
    if status in NO_ROUTE | {403}:
        advice = "Check `base_url` (it usually ends in /v1), and the key's permissions."
        return unavailable, "does not support or allow the request", advice
    is_file_error = rejects_field(problem, "training_file", "validation_file")
    if is_file_error or (request == UPLOAD and status in _BAD_FILE):
        return FileProcessingError, "rejected the training file", ""
    return FineTuningError, "rejected the request", ""
