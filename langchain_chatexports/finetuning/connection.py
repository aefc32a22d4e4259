"""Server connection for one tuner call: requests, timeout, errors.

The tuner is written once for sync and async, as generators that yield seconds to sleep
and results for the caller. `run` runs them synchronously; `arun` runs them in threads,
without blocking the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from collections.abc import (
    AsyncIterator,
    Callable,
    Generator,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import closing, contextmanager, suppress
from copy import copy
from functools import cache
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar
from urllib.parse import urlsplit

from langchain_core.runnables.config import run_in_executor

from langchain_chatexports.exceptions import FineTuningError, FineTuningTimeoutError
from langchain_chatexports.finetuning.errors import (
    UnreadableResponseError,
    clean_text,
    http_status,
    is_temporary,
    is_timeout,
    retry_after,
    translate_error,
)

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types.fine_tuning import FineTuningJob

logger = logging.getLogger(__name__)

T = TypeVar("T")
Steps: TypeAlias = Generator[Any, None, T]
"""Yields seconds to sleep (`float`) and results for the caller; returns a value."""

RETRIEVING_JOB = "retrieving the job"
NOT_CREATED = "No job was created, so nothing is billed."
MAYBE_CREATED = (
    "The job may have been created, and may be billed. Make the same call again: it "
    "finds the job if it exists."
)
_INTERRUPTED = (
    "Interrupted while creating the job. If it was created, it continues and may be "
    "billed. Make the same call again to find it; get(job_id).cancel() stops it. "
    "Uploaded files remain on the server."
)

_MAX_ATTEMPTS = 4
_MAX_RETRY_AFTER = 120.0  # As in the SDK.
_MIN_SECRET_LENGTH = 6
# Seconds between lookups of an object after a lost response; after a timeout, the
# server may still be creating it.
_PAUSES = (2.0, 4.0, 8.0, 16.0)
_END = object()


class Clock:
    """The clock for pauses and timeouts; tests replace it."""

    def now(self) -> float:
        """Return monotonic seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Block for some seconds."""
        time.sleep(seconds)

    async def async_sleep(self, seconds: float) -> None:
        """Sleep without blocking the event loop."""
        await asyncio.sleep(seconds)


class Connection:
    """Server connection for one tuner call, with the state of its job.

    It reads the environment once, so that a run and its chat model use the same server.
    """

    request_timeout = 30.0
    """The timeout of a request, in seconds without a byte."""

    client: OpenAI
    """The SDK's client with retries; valid inside `open`."""

    unretried_client: OpenAI
    """The client without retries, for requests that must not be repeated."""

    def __init__(
        self, settings: Mapping[str, Any], clock: Clock, timeout: float | None
    ) -> None:
        self._client = _new_client(settings)
        self.client = self.unretried_client = self._client
        self.headers: dict[str, str] = {**settings.get("default_headers", {})}
        if project := self._client.project:
            # `ChatOpenAI` has no such field.
            self.headers["OpenAI-Project"] = project
        self._clock = clock
        self._set_timeout(timeout)
        self.url = public_url(self._client.base_url)
        # Functions that return whether a string quotes a training file.
        self.quote_checks: Sequence[Callable[[str], bool]] = ()
        # For errors: the last sentence and the attributes.
        self.error_hint = NOT_CREATED
        self.job_id: str | None = None
        self.status: str | None = None

    def with_timeout(self, timeout: float | None) -> Self:
        """Return a connection to the same server for another call."""
        connection = copy(self)
        connection._set_timeout(timeout)  # noqa: SLF001 - same class
        return connection

    def _set_timeout(self, timeout: float | None) -> None:
        self.timeout = timeout
        self._end = self._clock.now() + (float("inf") if timeout is None else timeout)

    def remaining_seconds(self) -> float:
        """Return the seconds until the timeout; infinity without one."""
        return self._end - self._clock.now()

    @contextmanager
    def open(self) -> Iterator[Self]:
        """Open the clients."""
        with self._client.with_options(http_client=http_clients()[0]()) as self.client:
            self.unretried_client = self.client.with_options(max_retries=0)
            yield self

    # Steps

    def run(self, steps: Steps[Any]) -> Iterator[Any]:
        """Run steps, sleep between them, and yield their results."""
        with self.open(), self._annotate_interrupts(), closing(steps):
            for step in steps:
                if isinstance(step, float):
                    self._clock.sleep(step)
                else:
                    yield step

    async def arun(self, steps: Steps[Any]) -> AsyncIterator[Any]:
        """Run steps in threads, sleep between them, and yield their results."""
        with self.open(), self._annotate_interrupts():
            try:
                while True:
                    step = await run_in_executor(None, next, steps, _END)
                    if step is _END:
                        return
                    if isinstance(step, float):
                        await self._clock.async_sleep(step)
                    else:
                        yield step
            finally:
                # A generator that is running in a thread cannot be closed.
                with suppress(ValueError):
                    steps.close()

    @contextmanager
    def _annotate_interrupts(self) -> Iterator[None]:
        """Add a note about the job to `KeyboardInterrupt` and `CancelledError`."""
        try:
            yield
        except (KeyboardInterrupt, asyncio.CancelledError) as error:
            text = self.error_hint if self.job_id else _INTERRUPTED
            logger.warning(text)
            if hasattr(error, "add_note"):  # Python 3.11
                error.add_note(text)
            raise

    # Requests

    def send(self, request: Callable[..., Any], **arguments: Any) -> Any:
        """Send a request; an unexpected response raises `UnreadableResponseError`."""
        limit = min(self.request_timeout, max(self.remaining_seconds(), 1.0))
        with _validate_response():
            response = request(**{"timeout": limit, **arguments})
            if not isinstance(response.id, str):
                raise UnreadableResponseError
        return response

    def call(self, action: str, request: Callable[..., Any], **arguments: Any) -> Any:
        """Send a request; raise a `FineTuningError` if it fails."""
        with self.translate_errors(action):
            return self.send(request, **arguments)

    def retrieve_job(self, job_id: str) -> FineTuningJob:
        """Retrieve a job."""
        request = self.client.fine_tuning.jobs.retrieve
        return self.call(RETRIEVING_JOB, request, fine_tuning_job_id=job_id)  # type: ignore[no-any-return] # a job

    def iter_items(
        self, request: Callable[..., Any], **arguments: Any
    ) -> Iterator[Any]:
        """Yield the items of a paginated list, each id once."""
        seen_ids: set[str] = set()
        with _validate_response():
            for item in request(limit=100, timeout=self.request_timeout, **arguments):
                if item.id in seen_ids:
                    return  # The server ignores `after` and repeats the first page.
                seen_ids.add(item.id)
                yield item

    def create_once(
        self,
        action: str,
        create: Callable[[], T],
        find: Callable[[], T | None],
        uncertain: str = NOT_CREATED,
    ) -> Steps[T]:
        """Create an object exactly once.

        After a lost response, the object may exist: `uncertain` becomes the
        error hint, and `find` is called before each retry.
        """
        for _attempt in range(1, _MAX_ATTEMPTS + 1):
            try:
                return create()
            except Exception as error:  # noqa: BLE001 - classified below
                problem = error
            if not is_temporary(problem):
                raise self.to_error(problem, action)
            wait = retry_after(problem)
            if wait is not None and wait > min(
                _MAX_RETRY_AFTER, self.remaining_seconds()
            ):
                raise self.to_error(problem, action, wait)
            pauses = _PAUSES if is_timeout(problem) else _PAUSES[:1]
            is_rejected = http_status(problem) == 429  # noqa: PLR2004 - HTTP
            if is_rejected or wait is not None:
                pauses = (add_jitter(_PAUSES[0]) if wait is None else wait,)
            if not is_rejected:
                self.error_hint = uncertain
            for seconds in pauses:
                if seconds >= self.remaining_seconds():
                    raise self.timeout_error(action)
                yield seconds
                with self.translate_errors(f"looking for the result of {action}"):
                    if (existing := find()) is not None:
                        return existing
        raise self.to_error(problem, action)

    # Errors

    def clean(self, text: object) -> str:
        """Return a server's text without keys; empty if it quotes the examples."""
        cleaned = text if isinstance(text, str) else ""
        values = filter(None, (self._client.api_key, *self.headers.values()))
        secrets = {part for value in values for part in value.split()}
        # Before the text is shortened; longest first, as one may contain another.
        for secret in sorted(secrets, key=len, reverse=True):
            # Short values, such as the 7 of a version, are not secret.
            if len(secret) >= _MIN_SECRET_LENGTH:
                cleaned = cleaned.replace(secret, "…")
        cleaned = clean_text(cleaned)
        return (
            ""
            if any(is_quoted(cleaned) for is_quoted in self.quote_checks)
            else cleaned
        )

    @contextmanager
    def translate_errors(self, action: str) -> Iterator[None]:
        """Translate SDK errors to `FineTuningError`."""
        from openai import OpenAIError

        try:
            yield
        except (OpenAIError, UnreadableResponseError, ValueError) as problem:
            error = self.to_error(problem, action)
            raise error from error.__cause__

    def to_error(
        self, problem: Exception, action: str, wait: float | None = None
    ) -> FineTuningError:
        """Convert an SDK error to a `FineTuningError`, keeping it as the cause."""
        error_class, text = translate_error(problem, action, self.url, self.clean, wait)
        text = f"{text} {self.error_hint}"
        error = error_class(text, job_id=self.job_id, status=self.status)
        # Tracebacks show the cause: servers quote requests, and a `ValueError` quotes
        # undecodable bytes.
        problem.args = (self.clean(str(problem)),)
        error.__cause__ = None if isinstance(problem, ValueError) else problem
        return error

    def timeout_error(self, action: str) -> FineTuningTimeoutError:
        """Create the error for a timeout."""
        text = (
            f"Timed out after {self.timeout:g} s while {action} at {self.url}. "
            f"{self.error_hint}"
        )
        return FineTuningTimeoutError(text, job_id=self.job_id, status=self.status)


@contextmanager
def _validate_response() -> Iterator[None]:
    try:
        yield
    except (AttributeError, TypeError, JSONDecodeError, UnicodeDecodeError):
        # The SDK does not validate responses.
        raise UnreadableResponseError from None


def add_jitter(seconds: float) -> float:
    """Add random jitter, so that clients do not retry at the same time."""
    return seconds * random.uniform(0.8, 1.2)  # noqa: S311 - no secret


def public_url(url: object) -> str:
    """Return a URL without its password and query, which may be secret."""
    parts = urlsplit(str(url))
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host, query="", fragment="").geturl().rstrip("/")


def _new_client(settings: Mapping[str, Any]) -> OpenAI:
    from openai import OpenAI

    # LangChain's chat models read this variable. OpenAI's client does not, and would
    # send the chats to an unexpected server.
    ignored_url = os.environ.get("OPENAI_API_BASE")
    if ignored_url and not (
        settings.get("base_url") or os.environ.get("OPENAI_BASE_URL")
    ):
        msg = (
            f"OPENAI_API_BASE is {public_url(ignored_url)}, but OpenAI's client "
            "ignores it and would send the examples to api.openai.com. Nothing was "
            "sent. Set the server with ChatFineTuner(base_url=...)."
        )
        raise FineTuningError(msg)
    try:
        return OpenAI(**settings)
    except Exception as error:
        msg = (
            f"Cannot create the OpenAI client ({type(error).__name__}). Nothing was "
            "sent. Set OPENAI_API_KEY or `api_key`, and check `base_url`."
        )
        raise FineTuningError(msg) from error


@cache
def http_clients() -> tuple[Any, Any]:
    """Return classes of HTTP clients, sync and async, that do not follow redirects."""
    # The SDK's clients would follow redirects and send the training text to any host.
    # These also close themselves. Defined here, as openai is imported on first use.
    from openai import DefaultAsyncHttpxClient, DefaultHttpxClient

    class Client(DefaultHttpxClient):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(follow_redirects=False, **kwargs)

        def __del__(self) -> None:
            with suppress(Exception):
                self.close()

    class AsyncClient(DefaultAsyncHttpxClient):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(follow_redirects=False, **kwargs)

        def __del__(self) -> None:
            # Without an event loop, its connections are already closed.
            with suppress(Exception):
                self._closing = asyncio.get_running_loop().create_task(self.aclose())

    return Client, AsyncClient
