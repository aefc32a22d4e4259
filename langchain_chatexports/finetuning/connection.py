"""A server during one call of the tuner: requests, pauses, timeout, errors.

What the tuner does is written once, as generators that yield seconds to pause and what
the caller gets. `paced` runs them where they are called, `apaced` in threads, so that
an event loop is not blocked.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from copy import copy
from functools import cache
from itertools import islice
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
"""Yields seconds to pause (`float`) and what the caller gets; returns a value."""

ASKING = "asking for the job"
NOTHING_CREATED = "No job was created, so nothing costs."
PERHAPS_CREATED = (
    "The job may have been created, and may cost: run the same call again, which finds "
    "it if it is there."
)
_INTERRUPTED = (
    "Interrupted before the job was known: if it was created, it continues and may "
    "cost. The same call finds it; get(job_id).cancel() stops it. A file that was "
    "uploaded stays on the server."
)

_MAX_ATTEMPTS = 4
_MAX_RETRY_AFTER = 120.0  # As in the SDK.
_MAX_LISTED = 100_000
_MIN_SECRET_LENGTH = 6
# Seconds between the looks for something whose creation was not answered: a list can
# lag, and what timed out here can still be in progress there.
_PAUSES = (2.0, 4.0)
_PAUSES_AFTER_TIMEOUT = (2.0, 4.0, 8.0, 16.0, 30.0)
_END = object()


class Clock:
    """The time that pauses and timeouts are measured in; tests bring their own."""

    def now(self) -> float:
        """Return seconds that only grow, whatever happens to the wall clock."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Block for a while."""
        time.sleep(seconds)

    async def asleep(self, seconds: float) -> None:
        """Sleep without blocking the event loop."""
        await asyncio.sleep(seconds)


class Connection:
    """A server during one call of the tuner, with what is known of the job there.

    What the environment says of the server is read once: a run and its chat model stay
    with the server that trains.
    """

    request_timeout = 30.0
    """Seconds without a byte after which a request ends."""

    client: OpenAI
    """The SDK's client, while `opened` lasts; it retries by itself."""

    once: OpenAI
    """The same, without retries: for what must not be done twice."""

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
        self.scrubs: list[Callable[[str], str]] = [self._without_secrets]
        # What every error ends with, and has as attributes.
        self.consequence = NOTHING_CREATED
        self.job_id: str | None = None
        self.status: str | None = None

    def again(self, timeout: float | None) -> Self:
        """Return a connection to the same server for another call."""
        other = copy(self)
        other._set_timeout(timeout)  # noqa: SLF001 - our own
        return other

    def _set_timeout(self, timeout: float | None) -> None:
        self.timeout = timeout
        self._end = self._clock.now() + (float("inf") if timeout is None else timeout)

    def remaining(self) -> float:
        """Return the seconds until the timeout, infinity without one."""
        return self._end - self._clock.now()

    @contextmanager
    def opened(self) -> Iterator[Self]:
        """Open the clients."""
        with self._client.with_options(http_client=http_clients()[0]()) as self.client:
            self.once = self.client.with_options(max_retries=0)
            yield self

    # Steps

    def paced(self, steps: Steps[Any]) -> Iterator[Any]:
        """Run steps, pause between them, and yield what they yield."""
        with self.opened(), self._naming_the_job(), closing(steps):
            for step in steps:
                if isinstance(step, float):
                    self._clock.sleep(step)
                else:
                    yield step

    async def apaced(self, steps: Steps[Any]) -> AsyncIterator[Any]:
        """Run steps in threads, pause between them, and yield what they yield."""
        with self.opened(), self._naming_the_job():
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
                # A step that still runs in its thread cannot be closed: it ends there.
                with suppress(ValueError):
                    steps.close()

    @contextmanager
    def _naming_the_job(self) -> Iterator[None]:
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
        """Send a request, and refuse an answer of another type."""
        limit = min(self.request_timeout, max(self.remaining(), 1.0))
        with _read_as_expected():
            answer = request(**{"timeout": limit, **arguments})
        name = getattr(answer, "id", None)
        is_list = isinstance(getattr(answer, "data", None), list)
        if not is_list and not (isinstance(name, str) and name.isprintable()):
            raise UnreadableAnswerError
        return answer

    def ask(self, doing: str, request: Callable[..., Any], **arguments: Any) -> Any:
        """Send a request that may be repeated; raise our error if it fails."""
        with self.explaining(doing):
            return self.send(request, **arguments)

    def job(self, job_id: str) -> FineTuningJob:
        """Ask for a job."""
        request = self.client.fine_tuning.jobs.retrieve
        return self.ask(ASKING, request, fine_tuning_job_id=job_id)  # type: ignore[no-any-return] # a job

    def items(self, request: Callable[..., Any], **arguments: Any) -> Iterator[Any]:
        """Yield the items of a list, each once; they are known by their ids."""
        seen: set[str] = set()
        with _read_as_expected():
            for item in islice(self.send(request, limit=100, **arguments), _MAX_LISTED):
                name = getattr(item, "id", None)
                if not isinstance(name, str):
                    raise UnreadableAnswerError
                if name in seen:
                    return  # A server that ignores `after` sends the same ones again.
                seen.add(name)
                yield item

    def create_once(
        self,
        doing: str,
        create: Callable[[], T],
        find: Callable[[], T | None],
        perhaps: str = NOTHING_CREATED,
    ) -> Steps[T]:
        """Create something that must exist only once.

        An answer that is lost does not say whether the request was carried out: there
        is a look before each further attempt. `perhaps` is the consequence from then.
        """
        for attempt in range(1, _MAX_ATTEMPTS + 1):
            try:
                return create()
            except Exception as error:  # noqa: BLE001 - sorted below
                problem = error
            if not is_temporary(problem):
                raise self.error(problem, doing)
            wait = requested_wait(problem)
            if wait is not None and wait > min(_MAX_RETRY_AFTER, self.remaining()):
                raise self.error(problem, doing, wait)
            pauses = [jittered(0.5 * 2**attempt) if wait is None else wait]
            # 429 is a refusal for certain.
            if status_of(problem) != 429:  # noqa: PLR2004 - HTTP
                self.consequence = perhaps
                pauses += _PAUSES_AFTER_TIMEOUT if is_timeout(problem) else _PAUSES
            for seconds in pauses:
                if seconds >= self.remaining():
                    raise self.timed_out(doing)
                yield seconds
                with self.explaining(f"looking for the result of {doing}"):
                    if (found := find()) is not None:
                        return found
        raise self.error(problem, doing)

    # Errors

    def clean(self, said: object) -> str:
        """Return a server's words without what may be private."""
        return clean_text(said, self._scrub)

    def _scrub(self, said: str) -> str:
        for scrub in self.scrubs:
            said = scrub(said)
        return said

    def _without_secrets(self, said: str) -> str:
        values = filter(None, (self._client.api_key, *self.headers.values()))
        texts = {text for value in values for text in (value, *value.split()[-1:])}
        for text in sorted(texts, key=len, reverse=True):
            # A shorter value, such as the 7 of a version, stands everywhere.
            if len(text) >= _MIN_SECRET_LENGTH:
                said = said.replace(text, "…")
        return said

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
        kind, text = explained(problem, doing, self.url, wait, self._scrub)
        text = f"{text} {self.consequence}"
        error = kind(text, job_id=self.job_id, status=self.status)
        # Tracebacks show the cause. Servers repeat what they were sent, and a
        # `ValueError` holds the bytes that could not be read or written.
        problem.args = (self.clean(str(problem)),)
        error.__cause__ = None if isinstance(problem, ValueError) else problem
        return error

    def timed_out(self, doing: str) -> FineTuningTimeoutError:
        """Return the error to raise when the timeout is over."""
        text = (
            f"The timeout of {self.timeout:g} s was reached while {doing} at "
            f"{self.url}. {self.consequence}"
        )
        return FineTuningTimeoutError(text, job_id=self.job_id, status=self.status)


@contextmanager
def _read_as_expected() -> Iterator[None]:
    try:
        yield
    except (AttributeError, JSONDecodeError, UnicodeDecodeError):
        # The SDK's lists take it for granted that the answer is one.
        raise UnreadableAnswerError from None


def jittered(seconds: float) -> float:
    """Return about as many seconds, so that clients do not come back in step."""
    return seconds * random.uniform(0.8, 1.2)  # noqa: S311 - no secret


def public_url(url: object) -> str:
    """Return a URL without what may be secret in it: a password, a query."""
    parts = urlsplit(str(url))
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host, query="", fragment="").geturl().rstrip("/")


def _new_client(settings: Mapping[str, Any]) -> OpenAI:
    from openai import OpenAI

    # LangChain's chat models read this variable, and OpenAI's client does not: whoever
    # set it would see the chats go to a server that it does not name.
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
            f"The OpenAI client cannot be made ({type(error).__name__}): set "
            "OPENAI_API_KEY or give `api_key`, and check `base_url`. Nothing was sent."
        )
        raise FineTuningError(msg) from error


@cache
def http_clients() -> tuple[Any, Any]:
    """Return the classes of HTTP clients, sync and async, that follow no redirects."""
    # The SDK's own follow redirects anywhere, with the training text. Like them, these
    # close themselves. Made here, since openai is imported on first use.
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
            # Without a loop, its connections went with theirs.
            with suppress(Exception):
                self._closing = asyncio.get_running_loop().create_task(self.aclose())

    return Client, AsyncClient
