"""A server with OpenAI's API, for one call of the tuner: requests, timeout, errors."""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from typing import Any, Protocol, Self, TypeVar

from openai import (
    APIError,
    APIResponseValidationError,
    DefaultAsyncHttpxClient,
    DefaultHttpxClient,
    OpenAI,
)
from openai.types.fine_tuning import FineTuningJob
from pydantic import SecretStr

from langchain_chatexports.exceptions import FineTuningError, FineTuningTimeoutError
from langchain_chatexports.finetuning import waiting
from langchain_chatexports.finetuning.errors import (
    NO_ROUTE,
    clean_text,
    describe,
    http_status,
    is_temporary,
    is_timeout,
    retry_after,
)
from langchain_chatexports.finetuning.settings import FineTunerSettings, public_url
from langchain_chatexports.finetuning.training_file import TrainingFile

logger = logging.getLogger(__name__)


class _HasId(Protocol):
    id: str


T = TypeVar("T")
Item = TypeVar("Item", bound=_HasId)

ENDED = frozenset({"succeeded", "failed", "cancelled", "canceled"})
"""The statuses of jobs that have ended."""

MAX_NOT_FOUND = 3
"""How often a new object may not be found at first."""

NOT_CREATED = "No job was created, so nothing is billed."
_INTERRUPTED = (
    "Interrupted while creating the job. If it was created, it continues and may be "
    "billed. Make the same call again to find it; get(job_id).cancel() stops it. "
    "Uploaded files remain on the server."
)
_REQUEST_TIMEOUT = 30.0  # Seconds without a byte.
_UPLOAD_TIMEOUT = 600.0  # Servers may check a large file.
_MAX_ATTEMPTS = 4
_MAX_RETRY_AFTER = 120.0  # As in the SDK.
_MIN_SECRET_LENGTH = 6
_LISTS = ("/files", "/jobs", "/events", "/checkpoints")
# Seconds between lookups of an object after a lost response; after a timeout, the
# server may still be creating it.
_PAUSES = (2.0, 4.0, 8.0, 16.0)


class Connection:
    """A server, for one call of the tuner, and the job of that call.

    It reads the environment once, so that a run and its chat model use the same server.
    Inside `open`, the SDK's errors become `FineTuningError`.
    """

    def __init__(self, settings: FineTunerSettings) -> None:
        self.client = _new_client(settings)
        self.headers = dict(settings.default_headers or {})
        if project := self.client.project:
            # `ChatOpenAI` has no such field.
            self.headers["OpenAI-Project"] = project
        self.url = public_url(self.client.base_url)
        self.files: Sequence[TrainingFile] = ()
        """The training files, which errors must not quote."""

        self.job_id: str | None = None
        self.status: str | None = None
        self.hint = NOT_CREATED
        """The last sentence of errors: what became of the job, and what it costs."""

        self._set_timeout(settings.timeout)

    def with_timeout(self, timeout: float | None) -> Self:
        """Return a connection to the same server for another call."""
        connection = copy(self)
        connection._set_timeout(timeout)  # noqa: SLF001 - same class
        return connection

    def _set_timeout(self, timeout: float | None) -> None:
        self.timeout = timeout
        self._end = waiting.now() + (float("inf") if timeout is None else timeout)

    @contextmanager
    def open(self) -> Iterator[Self]:
        """Open the client and close it after the call."""
        hooks = {"request": [self._before_request], "response": [self._after_response]}
        client = self.client.with_options(http_client=HttpClient(event_hooks=hooks))
        with client as self.client:
            try:
                yield self
            except APIError as problem:
                raise self._to_error(problem) from problem
            except KeyboardInterrupt as error:
                self._explain_interrupt(error)
                raise

    def _check_caller(self) -> None:
        """Stop if an async caller has stopped, who may ask what becomes of the job."""
        if call := waiting.async_call.get():
            call.explain = self._explain_interrupt
            if call.stopped.is_set():
                raise asyncio.CancelledError

    def _explain_interrupt(self, error: BaseException) -> None:
        text = self.hint if self.job_id else _INTERRUPTED
        logger.warning(text)
        error.add_note(text)

    def set_job(self, job: FineTuningJob) -> None:
        """Set the job, which errors name."""
        self.job_id, self.status = job.id, str(job.status)
        get = f"get({job.id!r})"
        self.hint = (
            f"Job {job.id} has {job.status}: {get}.wait() returns its result."
            if self.status in ENDED
            else f"Job {job.id} continues, and may be billed: {get}.wait() waits for "
            f"it, {get}.cancel() stops it."
        )

    # Time

    def check_timeout(self) -> None:
        """Raise an error after the timeout."""
        if self._remaining_seconds() <= 0:
            msg = f"Timed out after {self.timeout:g} s at {self.url}. {self.hint}"
            raise FineTuningTimeoutError(msg, job_id=self.job_id, status=self.status)

    def pause(self, seconds: float) -> None:
        """Sleep, at most until the timeout; after that, raise an error."""
        self.check_timeout()
        self._check_caller()
        waiting.sleep(min(seconds, self._remaining_seconds()))

    def _remaining_seconds(self) -> float:
        return self._end - waiting.now()

    def _is_too_long(self, wait: float | None) -> bool:
        return (wait or 0) > min(_MAX_RETRY_AFTER, self._remaining_seconds())

    # Requests

    def _before_request(self, request: Any) -> None:
        """Limit each attempt of the SDK to the remaining time."""
        self._check_caller()
        is_upload = request.method == "POST" and request.url.path.endswith("/files")
        limit = _UPLOAD_TIMEOUT if is_upload else _REQUEST_TIMEOUT
        limit = min(limit, max(self._remaining_seconds(), 1.0))
        names = ("connect", "read", "write", "pool")
        request.extensions["timeout"] = dict.fromkeys(names, limit)

    def _after_response(self, response: Any) -> None:
        """Check waits and the ids of objects, which the SDK does not."""
        if self._is_too_long(retry_after(response)):
            response.headers["x-should-retry"] = "false"
        if response.is_success:
            response.read()
            try:
                body, request = response.json(), response.request
                is_list = request.method == "GET" and request.url.path.endswith(_LISTS)
                ids = [item["id"] for item in (body["data"] if is_list else [body])]
            except (KeyError, TypeError, ValueError):
                ids = [None]
            if not all(isinstance(item_id, str) and item_id for item_id in ids):
                raise APIResponseValidationError(response, None)

    def create_once(self, create: Callable[[], T], find: Callable[[], T | None]) -> T:
        """Create an object and look for it before each retry.

        The SDK's own retries would create another one after a lost response.
        """
        for _ in range(_MAX_ATTEMPTS):
            try:
                return create()
            except APIError as error:
                failure = error
            wait = retry_after(failure)
            if not is_temporary(failure) or self._is_too_long(wait):
                break
            pauses = _PAUSES if is_timeout(failure) else _PAUSES[:1]
            for seconds in map(add_jitter, pauses) if wait is None else (wait,):
                self.pause(seconds)
                if (existing := find()) is not None:
                    return existing
        raise failure

    def has_model(self, job: FineTuningJob) -> bool:
        """Return whether a succeeded job's model exists; true for other jobs."""
        models, name = self.client.models, job.fine_tuned_model
        # Some servers cannot retrieve models.
        if job.status != "succeeded" or not name or is_missing(models, job.model):
            return True
        for _ in range(MAX_NOT_FOUND):
            if not is_missing(models, name):
                return True
            self.pause(2.0)
        return False

    def delete_files(self, file_ids: Iterable[str]) -> None:
        """Delete files that no unfinished job needs and log the remaining ones."""
        used_ids: set[str | None] = set()
        with suppress(APIError):
            for job in each_once(self.client.fine_tuning.jobs.list(limit=100)):
                if str(job.status) not in ENDED:
                    used_ids |= {str(job.training_file), str(job.validation_file)}
        for file_id in file_ids:
            if file_id in used_ids:
                logger.warning("File %s was not deleted: another job uses it.", file_id)
                continue
            try:
                delete(self.client.files, file_id)
            except APIError:
                text = "File %s could not be deleted and remains on %s."
                logger.warning(text, file_id, self.url)

    # Errors

    def _to_error(self, problem: APIError) -> FineTuningError:
        wait = retry_after(problem)
        wait = wait if self._is_too_long(wait) else None
        error_class, text = describe(problem, self.url, self.clean, wait)
        # Tracebacks show the cause, and servers quote requests.
        problem.args = (self.clean(str(problem)),)
        return error_class(
            f"{text} {self.hint}", job_id=self.job_id, status=self.status
        )

    def clean(self, text: object) -> str:
        """Return a server's text without keys; empty if it quotes the examples."""
        cleaned = text if isinstance(text, str) else ""
        values = filter(None, (self.client.api_key, *self.headers.values()))
        secrets = {part for value in values for part in value.split()}
        # Before the text is shortened; longest first, as one may contain another.
        for secret in sorted(secrets, key=len, reverse=True):
            # Short values, such as the 7 of a version, are not secret.
            if len(secret) >= _MIN_SECRET_LENGTH:
                cleaned = cleaned.replace(secret, "…")
        cleaned = clean_text(cleaned)
        return "" if any(file.is_quoted_in(cleaned) for file in self.files) else cleaned


def each_once(items: Iterable[Item]) -> Iterator[Item]:
    """Yield the items of a list's pages."""
    seen_ids: set[str] = set()
    for item in items:
        if item.id in seen_ids:
            return  # The server ignores `after` and repeats the first page.
        seen_ids.add(item.id)
        yield item


def get_metadata(job: FineTuningJob) -> Mapping[str, Any]:
    """Return the metadata of a job; empty if the server does not store any."""
    metadata: object = getattr(job, "metadata", None)
    return metadata if isinstance(metadata, Mapping) else {}


def is_missing(resource: Any, name: str) -> bool:
    """Return whether `client.files` or `client.models` has no such item."""
    try:
        resource.retrieve(name)
    except APIError as error:
        return http_status(error) in NO_ROUTE
    return False


def delete(resource: Any, name: str) -> None:
    """Delete an item of `client.files` or `client.models`; ignore missing ones."""
    try:
        resource.delete(name)
    except APIError as error:
        # The item is missing, or the server does not support deletion.
        if not (http_status(error) in NO_ROUTE and is_missing(resource, name)):
            raise


def add_jitter(seconds: float) -> float:
    """Add random jitter, so that clients do not retry at the same time."""
    return seconds * random.uniform(0.8, 1.2)  # noqa: S311 - no secret


def _new_client(settings: FineTunerSettings) -> OpenAI:
    # LangChain's chat models read this variable. OpenAI's client does not, and would
    # send the examples to an unexpected server.
    ignored_url = os.environ.get("OPENAI_API_BASE")
    if ignored_url and not (settings.base_url or os.environ.get("OPENAI_BASE_URL")):
        msg = (
            f"OPENAI_API_BASE is {public_url(ignored_url)}, but OpenAI's client "
            "ignores it and would send the examples to api.openai.com. Nothing was "
            "sent. Set the server with ChatFineTuner(base_url=...)."
        )
        raise FineTuningError(msg)
    key, headers = settings.api_key, settings.default_headers or {}
    try:
        client = OpenAI(
            base_url=settings.base_url,
            api_key=key.get_secret_value() if isinstance(key, SecretStr) else key,
            organization=settings.organization,
            project=settings.project,
            default_headers=headers,
        )
    except Exception as error:
        msg = (
            f"Cannot create the OpenAI client ({type(error).__name__}). Nothing was "
            "sent. Set OPENAI_API_KEY or `api_key`, and check `base_url`."
        )
        raise FineTuningError(msg) from error
    if not " ".join((client.api_key, *headers.values())).isascii():
        msg = "`api_key` or `default_headers` is not ASCII, so it cannot be sent."
        raise FineTuningError(msg)
    return client


# The SDK's clients would follow redirects and send the training text to any host. These
# also close themselves.


class HttpClient(DefaultHttpxClient):
    """The SDK's client, without redirects."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(follow_redirects=False, **kwargs)

    def __del__(self) -> None:
        """Close the connections."""
        with suppress(Exception):
            self.close()


class AsyncHttpClient(DefaultAsyncHttpxClient):
    """The SDK's async client, without redirects."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(follow_redirects=False, **kwargs)

    def __del__(self) -> None:
        """Close the connections; without an event loop, they are already closed."""
        with suppress(Exception):
            self._closing = asyncio.get_running_loop().create_task(self.aclose())
