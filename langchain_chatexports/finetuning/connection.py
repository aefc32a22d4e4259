"""The connection to a server during a call of the tuner: requests, timeout, errors.

The work of the tuner is written once, as generators that yield seconds to sleep and the
results for the caller. `run` runs them synchronously, `arun` in threads, so that the
event loop is not blocked.
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
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from urllib.parse import urlsplit

from langchain_core.runnables.config import run_in_executor
from typing_extensions import Self

from langchain_chatexports.exceptions import FineTuningError, FineTuningTimeoutError
from langchain_chatexports.finetuning.errors import (
    UnreadableAnswerError,
    clean_text,
    explained,
    is_temporary,
    is_timeout,
    requested_wait,
    status_of,
)

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types.fine_tuning import FineTuningJob

logger = logging.getLogger(__name__)

T = TypeVar("T")
Steps: TypeAlias = Generator[Any, None, T]
"""Yields seconds to sleep (`float`) and results for the caller; returns a value."""

ASKING = "retrieving the job"
NOTHING_CREATED = "No job was created, so nothing costs."
PERHAPS_CREATED = (
    "The job may have been created, and may cost: repeat the same call, which finds "
    "the job if it exists."
)
_INTERRUPTED = (
    "Interrupted before the job was known: if it was created, it continues and may "
    "cost. The same call finds it; get(job_id).cancel() stops it. Uploaded files stay "
    "on the server."
)

_MAX_ATTEMPTS = 4
_MAX_RETRY_AFTER = 120.0  # As in the SDK.
_MIN_SECRET_LENGTH = 6
# Seconds between looks for an object whose creation was not answered; after a timeout,
# the server may still be creating it.
_PAUSES = (2.0, 4.0, 8.0, 16.0)
_END = object()


class Clock:
    """The clock for pauses and timeouts, which tests replace."""

    def now(self) -> float:
        """Return monotonic seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)

    async def asleep(self, seconds: float) -> None:
        """Sleep without blocking the event loop."""
        await asyncio.sleep(seconds)


class Connection:
    """The connection to a server during a call of the tuner, and the state of its job.

    The environment is read once, so that a run and its chat model use the same server.
    """

    request_timeout = 30.0
    """The timeout of requests, in seconds without a byte."""

    client: OpenAI
    """The SDK's client, with retries; valid inside `opened`."""

    once: OpenAI
    """The client without retries, for requests that must not be repeated."""

    def __init__(
        self, settings: Mapping[str, Any], clock: Clock, timeout: float | None
    ) -> None:
        self._client = _new_client(settings)
        self.client = self.once = self._client
        self.headers: dict[str, str] = {**settings.get("default_headers", {})}
        if project := self._client.project:
            # ChatOpenAI has no field for it.
            self.headers["OpenAI-Project"] = project
        self._clock = clock
        self._set_timeout(timeout)
        self.url = public_url(self._client.base_url)
        # Return whether a text quotes a training file.
        self.quotes: Sequence[Callable[[str], bool]] = ()
        # The last sentence and the attributes of every error.
        self.consequence = NOTHING_CREATED
        self.job_id: str | None = None
        self.status: str | None = None

    def with_timeout(self, timeout: float | None) -> Self:
        """Return a connection to the same server for another call."""
        other = copy(self)
        other._set_timeout(timeout)  # noqa: SLF001 - our own
        return other

    def _set_timeout(self, timeout: float | None) -> None:
        self.timeout = timeout
        self._end = self._clock.now() + (float("inf") if timeout is None else timeout)

    def remaining(self) -> float:
        """Return the seconds until the timeout; infinity without one."""
        return self._end - self._clock.now()

    @contextmanager
    def opened(self) -> Iterator[Self]:
        """Open the clients."""
        with self._client.with_options(http_client=http_clients()[0]()) as self.client:
            self.once = self.client.with_options(max_retries=0)
            yield self

    # Steps

    def run(self, steps: Steps[Any]) -> Iterator[Any]:
        """Run steps, sleep between them, and yield their results."""
        with self.opened(), self._noting_interrupts(), closing(steps):
            for step in steps:
                if isinstance(step, float):
                    self._clock.sleep(step)
                else:
                    yield step

    async def arun(self, steps: Steps[Any]) -> AsyncIterator[Any]:
        """Run steps in threads, sleep between them, and yield their results."""
        with self.opened(), self._noting_interrupts():
            try:
                while True:
                    step = await run_in_executor(None, next, steps, _END)
                    if step is _END:
                        return
                    if isinstance(step, float):
                        await self._clock.asleep(step)
                    else:
                        yield step
            finally:
                # A step that is running in its thread cannot be closed.
                with suppress(ValueError):
                    steps.close()

    @contextmanager
    def _noting_interrupts(self) -> Iterator[None]:
        """Add a note about the job to `KeyboardInterrupt` and `CancelledError`."""
        try:
            yield
        except (KeyboardInterrupt, asyncio.CancelledError) as error:
            text = self.consequence if self.job_id else _INTERRUPTED
            logger.warning(text)
            if hasattr(error, "add_note"):  # Python 3.11
                error.add_note(text)
            raise

    # Requests

    def send(self, request: Callable[..., Any], **arguments: Any) -> Any:
        """Send a request, and raise an error for an unexpected answer."""
        limit = min(self.request_timeout, max(self.remaining(), 1.0))
        with _read_as_expected():
            answer = request(**{"timeout": limit, **arguments})
            if not isinstance(answer.id, str):
                raise UnreadableAnswerError
        return answer

    def ask(self, doing: str, request: Callable[..., Any], **arguments: Any) -> Any:
        """Send a request, and raise our error if it fails."""
        with self.explaining(doing):
            return self.send(request, **arguments)

    def job(self, job_id: str) -> FineTuningJob:
        """Retrieve a job."""
        request = self.client.fine_tuning.jobs.retrieve
        return self.ask(ASKING, request, fine_tuning_job_id=job_id)  # type: ignore[no-any-return] # a job

    def items(self, request: Callable[..., Any], **arguments: Any) -> Iterator[Any]:
        """Yield the items of a list, each id once."""
        seen: set[str] = set()
        with _read_as_expected():
            for item in request(limit=100, timeout=self.request_timeout, **arguments):
                if item.id in seen:
                    return  # The server ignores `after`, and repeats the first page.
                seen.add(item.id)
                yield item

    def create_once(
        self,
        doing: str,
        create: Callable[[], T],
        find: Callable[[], T | None],
        perhaps: str = NOTHING_CREATED,
    ) -> Steps[T]:
        """Create an object exactly once.

        After a lost answer the object may exist, so `find` is called before each
        further attempt, and `perhaps` becomes the consequence.
        """
        for _attempt in range(1, _MAX_ATTEMPTS + 1):
            try:
                return create()
            except Exception as error:  # noqa: BLE001 - sorted below
                problem = error
            if not is_temporary(problem):
                raise self.error(problem, doing)
            wait = requested_wait(problem)
            if wait is not None and wait > min(_MAX_RETRY_AFTER, self.remaining()):
                raise self.error(problem, doing, wait)
            pauses = _PAUSES if is_timeout(problem) else _PAUSES[:1]
            is_refused = status_of(problem) == 429  # noqa: PLR2004 - HTTP
            if is_refused or wait is not None:
                pauses = (jittered(_PAUSES[0]) if wait is None else wait,)
            if not is_refused:
                self.consequence = perhaps
            for seconds in pauses:
                if seconds >= self.remaining():
                    raise self.timed_out(doing)
                yield seconds
                with self.explaining(f"looking for the result of {doing}"):
                    if (found := find()) is not None:
                        return found
        raise self.error(problem, doing)

    # Errors

    def clean(self, text: object) -> str:
        """Return a server's text without keys; empty if it quotes the examples."""
        said = text if isinstance(text, str) else ""
        values = filter(None, (self._client.api_key, *self.headers.values()))
        secrets = {part for value in values for part in value.split()}
        # Before the text is cut, and the longest first: one may be in another.
        for secret in sorted(secrets, key=len, reverse=True):
            # Shorter values, such as the 7 of a version, are not secret.
            if len(secret) >= _MIN_SECRET_LENGTH:
                said = said.replace(secret, "…")
        said = clean_text(said)
        return "" if any(is_quoted(said) for is_quoted in self.quotes) else said

    @contextmanager
    def explaining(self, doing: str) -> Iterator[None]:
        """Raise our error in place of the SDK's."""
        from openai import OpenAIError

        try:
            yield
        except (OpenAIError, UnreadableAnswerError, ValueError) as problem:
            error = self.error(problem, doing)
            raise error from error.__cause__

    def error(
        self, problem: Exception, doing: str, wait: float | None = None
    ) -> FineTuningError:
        """Return our error for one of the SDK's, which becomes its cause."""
        kind, text = explained(problem, doing, self.url, self.clean, wait)
        text = f"{text} {self.consequence}"
        error = kind(text, job_id=self.job_id, status=self.status)
        # Tracebacks show the cause. Servers quote requests, and a `ValueError` quotes
        # the bytes that could not be decoded.
        problem.args = (self.clean(str(problem)),)
        error.__cause__ = None if isinstance(problem, ValueError) else problem
        return error

    def timed_out(self, doing: str) -> FineTuningTimeoutError:
        """Return the error for a timeout."""
        text = (
            f"The timeout of {self.timeout:g} s was reached while {doing} at "
            f"{self.url}. {self.consequence}"
        )
        return FineTuningTimeoutError(text, job_id=self.job_id, status=self.status)


@contextmanager
def _read_as_expected() -> Iterator[None]:
    try:
        yield
    except (AttributeError, TypeError, JSONDecodeError, UnicodeDecodeError):
        # The SDK does not check whether an answer is a list, or has an id.
        raise UnreadableAnswerError from None


def jittered(seconds: float) -> float:
    """Add jitter to seconds, so that clients do not retry at the same time."""
    return seconds * random.uniform(0.8, 1.2)  # noqa: S311 - no secret


def public_url(url: object) -> str:
    """Return a URL without password and query, which may be secret."""
    parts = urlsplit(str(url))
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host, query="", fragment="").geturl().rstrip("/")


def _new_client(settings: Mapping[str, Any]) -> OpenAI:
    from openai import OpenAI

    # LangChain's chat models read this variable. OpenAI's client does not, and would
    # send the chats to another server than the user expects.
    other = os.environ.get("OPENAI_API_BASE")
    if other and not (settings.get("base_url") or os.environ.get("OPENAI_BASE_URL")):
        msg = (
            f"OPENAI_API_BASE names {public_url(other)}, but OpenAI's client does not "
            "read it, and would send the examples to api.openai.com. Name the server: "
            "ChatFineTuner(base_url=...). Nothing was sent."
        )
        raise FineTuningError(msg)
    try:
        return OpenAI(**settings)
    except Exception as error:
        msg = (
            f"The OpenAI client cannot be created ({type(error).__name__}): set "
            "OPENAI_API_KEY or `api_key`, and check `base_url`. Nothing was sent."
        )
        raise FineTuningError(msg) from error


@cache
def http_clients() -> tuple[Any, Any]:
    """Return the classes of HTTP clients, sync and async, that follow no redirects."""
    # The SDK's clients would follow redirects to any host, with the training text. Like
    # them, these close themselves. Defined here, since openai is imported on first use.
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
