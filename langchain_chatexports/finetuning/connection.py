"""One server during one call of the tuner: requests, retries, pages, pauses.

What the tuner does is written once, as coroutines over a `Connection`. With a blocking
connection nothing in them suspends, so that `run_blocking` runs them without an event
loop.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from datetime import date, datetime, timezone
from itertools import count
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

from langchain_chatexports.exceptions import FineTuningError, FineTuningTimeoutError
from langchain_chatexports.finetuning.errors import (
    Step,
    clean_text,
    error_of,
    has_no_route,
    safe_cause,
)
from langchain_chatexports.finetuning.retries import (
    MAX_RETRY_AFTER,
    is_temporary,
    requested_wait,
)

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterator,
        Awaitable,
        Callable,
        Coroutine,
        Sequence,
    )

    from typing_extensions import Self

__all__ = [
    "Clock",
    "Connection",
    "Deadline",
    "is_last_page",
    "one_at_a_time",
    "run_blocking",
]

MAX_PAGES = 1_000
_MAX_ATTEMPTS = 4
_FIRST_PAUSE = 0.5
_MAX_PAUSE = 8.0
_PAGE_SIZE = 100
_MAX_ID_LENGTH = 512
_LOCK_INTERVAL = 0.05

T = TypeVar("T")


class Clock:
    """The time that pauses and timeouts are measured in; tests bring their own."""

    def now(self) -> float:
        """Return seconds that only grow, whatever happens to the wall clock."""
        return time.monotonic()

    def today(self) -> date:
        """Return the date in UTC."""
        return datetime.now(timezone.utc).date()

    def sleep(self, seconds: float) -> None:
        """Block for a while."""
        time.sleep(seconds)

    async def asleep(self, seconds: float) -> None:
        """Sleep without blocking the event loop."""
        await asyncio.sleep(seconds)

    def jitter(self) -> float:
        """Return a random factor around 1, so that clients do not retry in step."""
        return random.uniform(0.8, 1.2)  # noqa: S311 - nothing to guess here


class Deadline:
    """The time at which calls give up; `None` seconds mean never."""

    def __init__(self, clock: Clock, seconds: float | None) -> None:
        self.clock = clock
        self.seconds = seconds
        self._end = None if seconds is None else clock.now() + seconds

    def remaining(self) -> float:
        """Return the seconds that are left, infinity without a deadline."""
        return float("inf") if self._end is None else self._end - self.clock.now()

    def is_over(self) -> bool:
        """Return whether the moment has come."""
        return self.remaining() <= 0


@dataclass(frozen=True)
class Connection:
    """A server, as one call of the tuner reaches it.

    Attributes:
        client: The SDK's client; it does not retry by itself.
        server: The server's URL, without secrets.
        deadline: When the call gives up.
        scrub: Takes out of a server's words what is known to be private.
        is_async: Whether the caller has an event loop, which must not be blocked.
    """

    client: Any
    server: str
    deadline: Deadline
    scrub: Callable[[str], str]
    is_async: bool

    @property
    def clock(self) -> Clock:
        """The time that pauses are measured in."""
        return self.deadline.clock

    def briefly(self, seconds: float) -> Self:
        """Return the same connection with an earlier deadline."""
        seconds = min(seconds, self.deadline.remaining())
        return replace(self, deadline=Deadline(self.clock, seconds))

    def clean(self, said: object) -> str:
        """Return a server's words without what may be private."""
        return clean_text(said, self.scrub)

    def error(
        self, problem: Exception, step: Step, *, wait: float | None = None
    ) -> FineTuningError:
        """Return the error of ours for one of the SDK's; see `error_of`."""
        return error_of(problem, step, self.server, self.scrub, wait=wait)

    def timed_out(self, step: Step) -> FineTuningTimeoutError:
        """Return the error to raise when the deadline is over."""
        msg = (
            f"The timeout of {self.deadline.seconds:g} s was reached while "
            f"{step.doing} at {self.server}. {step.consequence}"
        )
        return FineTuningTimeoutError(msg, job_id=step.job_id, status=step.status)

    async def sleep(self, seconds: float) -> None:
        """Pause."""
        if self.is_async:
            await self.clock.asleep(seconds)
        else:
            self.clock.sleep(seconds)

    async def call(self, method: str, /, **arguments: Any) -> Any:
        """Send a request once, and refuse a response of another type.

        `method` is the dotted name of the client's. A gateway's page with status 200
        comes out of the SDK as a string.
        """
        from openai import AsyncOpenAI

        from langchain_chatexports.finetuning.http_clients import UnreadableAnswerError

        function = attrgetter(method)(self.client)
        try:
            if isinstance(self.client, AsyncOpenAI):
                answer = await function(**arguments)
            elif self.is_async:
                answer = await asyncio.to_thread(function, **arguments)
            else:
                answer = function(**arguments)
        except AttributeError:
            # The SDK's lists take it for granted that the answer is one.
            raise UnreadableAnswerError from None
        if method.endswith((".list", ".list_events")):
            is_wanted = isinstance(getattr(answer, "data", None), list)
        else:
            is_wanted = _has_id(answer)
        if not is_wanted:
            raise UnreadableAnswerError
        return answer

    async def ask(self, method: str, step: Step, /, **arguments: Any) -> Any:
        """Send a request that is safe to repeat, and retry temporary errors.

        The SDK's own retries know neither the deadline nor a used-up quota.

        Raises:
            FineTuningError: If the server refuses, or fails again and again.
        """
        for attempt in count(1):
            try:
                return await self.call(method, **arguments)
            except Exception as error:  # noqa: BLE001 - sorted by `error_of`
                problem = error
            await self.pause_before_retry(problem, attempt, step)
        return None  # Not reached: the last attempt returns or raises.

    async def pause_before_retry(
        self, problem: Exception, attempt: int, step: Step
    ) -> None:
        """Sleep before the next attempt, or raise if there should be none.

        Raises:
            FineTuningError: If the problem is not temporary, asks for a long wait, or
                this was the last attempt.
        """
        remaining = self.deadline.remaining()
        if not is_temporary(problem) or attempt >= _MAX_ATTEMPTS:
            raise self.error(problem, step)
        asked = requested_wait(problem)
        if asked is not None and asked > min(MAX_RETRY_AFTER, remaining):
            raise self.error(problem, step, wait=asked)
        growing = min(_FIRST_PAUSE * 2 ** (attempt - 1), _MAX_PAUSE)
        pause = asked if asked is not None else growing * self.clock.jitter()
        if pause >= remaining:
            raise self.timed_out(step) from safe_cause(problem, self.scrub)
        await self.sleep(pause)

    async def create_once(
        self,
        send: Callable[[], Awaitable[T]],
        find: Callable[[], Awaitable[T | None]],
        step_after: Callable[[Exception], Step],
        patience: Callable[[Exception], Sequence[float]] = lambda _: (),
    ) -> T:
        """Create something; before each retry, look whether the server has it.

        An answer that is lost says nothing about whether the request was carried out.

        Args:
            send: Sends the request.
            find: Looks for what it creates.
            step_after: Returns what is being done, given what went wrong.
            patience: Returns the seconds between further looks: a list can lag.

        Raises:
            FineTuningError: If the server refuses, or fails again and again.
        """
        attempt = 0
        while True:
            attempt += 1
            try:
                return await send()
            except Exception as error:  # noqa: BLE001 - sorted below
                problem = error
            step = step_after(problem)
            if not is_temporary(problem):
                raise self.error(problem, step)
            refusal: FineTuningError | None = None
            try:
                await self.pause_before_retry(problem, attempt, step)
            except FineTuningError as error:
                # There is a look before the error, too: the request may have arrived.
                refusal = error
            found = await find()
            if found is None and refusal is not None:
                raise refusal
            for pause in patience(problem) if found is None else ():
                if pause >= self.deadline.remaining():
                    raise self.timed_out(step)
                await self.sleep(pause)
                found = await find()
                if found is not None:
                    break
            if found is not None:
                return found

    async def list_all(
        self, method: str, step: Step, /, **arguments: Any
    ) -> list[Any] | None:
        """Read all pages of a list; `None` if the server has no such list."""
        items: dict[str, Any] = {}
        after: dict[str, str] = {}
        for _ in range(MAX_PAGES):
            if after and self.deadline.is_over():
                raise self.timed_out(step)
            try:
                page = await self.ask(
                    method, step, limit=_PAGE_SIZE, **after, **arguments
                )
            except FineTuningError as error:
                if has_no_route(error):
                    return None
                raise
            # A server that ignores `after` sends the same ones again.
            new = [item for item in page.data if _has_id(item) and item.id not in items]
            items.update((item.id, item) for item in new)
            if is_last_page(page, new):
                return list(items.values())
            after = {"after": new[-1].id}
        msg = (
            f"A list of {self.server} has no end: {MAX_PAGES:,} pages were read while "
            f"{step.doing}. {step.consequence}"
        )
        raise FineTuningError(msg, job_id=step.job_id, status=step.status)


def is_last_page(page: Any, new: Sequence[Any]) -> bool:
    """Return whether nothing follows a page that holds these `new` items."""
    # One that does not say whether there is more may well have more.
    return not new or getattr(page, "has_more", None) is False


def _has_id(item: object) -> bool:
    # Ids are shown in errors and logs.
    value = getattr(item, "id", None)
    return (
        isinstance(value, str) and len(value) <= _MAX_ID_LENGTH and value.isprintable()
    )


def run_blocking(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine over a blocking connection, in which nothing suspends."""
    with closing(coroutine):
        try:
            coroutine.send(None)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return] # it is a T
    msg = "A coroutine over a blocking connection has suspended."
    raise RuntimeError(msg)


_locks: dict[str, threading.Lock] = {}


@asynccontextmanager
async def one_at_a_time(key: str, *, is_async: bool) -> AsyncIterator[None]:
    """Let one call at a time, of all threads and event loops, work on this key."""
    lock = _locks.setdefault(key, threading.Lock())
    # Polled on an event loop: a cancelled wait must not leave a lock taken.
    while not lock.acquire(blocking=not is_async):  # noqa: ASYNC110 - a thread's lock
        await asyncio.sleep(_LOCK_INTERVAL)
    try:
        yield
    finally:
        lock.release()
