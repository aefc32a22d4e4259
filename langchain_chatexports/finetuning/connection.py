"""One server during one call of the tuner: requests, retries, pages, pauses.

What the tuner does is written once, as coroutines over a `Connection`. With a blocking
connection nothing in them suspends, so that `run_blocking` runs them without an event
loop.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from functools import partial
from itertools import count
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

from langchain_chatexports.exceptions import FineTuningError, FineTuningTimeoutError
from langchain_chatexports.finetuning.clients import public_url, scrub_secrets
from langchain_chatexports.finetuning.errors import (
    MAX_RETRY_AFTER,
    NO_ROUTE,
    PURPOSES,
    Situation,
    clean_text,
    error_of,
    is_temporary,
    requested_wait,
    safe_cause,
    status_of,
)

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterator,
        Awaitable,
        Callable,
        Collection,
        Coroutine,
        Iterator,
        Sequence,
    )

    from langchain_chatexports.finetuning.clients import ServerAccess

__all__ = [
    "Clock",
    "Connection",
    "Deadline",
    "id_of",
    "one_at_a_time",
    "run_blocking",
    "run_unblocked",
]

logger = logging.getLogger(__name__)

MAX_PAGES = 1_000
_MAX_ATTEMPTS = 4
_FIRST_PAUSE = 0.5
_MAX_PAUSE = 8.0
_PAGE_SIZE = 100
_MAX_ID_LENGTH = 512
_LOCK_INTERVAL = 0.05

# What a request may take after the deadline: the last look is at the deadline itself.
_MIN_SECONDS = 2.0

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

    def within(self, seconds: float) -> Deadline:
        """Return a deadline in so many seconds, or this one if it is earlier."""
        return Deadline(self.clock, min(seconds, self.remaining()))


def id_of(item: object) -> str | None:
    """Return the id of one of the SDK's objects, if it has one that can be shown."""
    name = getattr(item, "id", None)
    if isinstance(name, str) and len(name) <= _MAX_ID_LENGTH and name.isprintable():
        return name
    return None


@dataclass
class Connection:
    """A server, as one call of the tuner reaches it.

    Attributes:
        client: The SDK's client; it does not retry by itself.
        access: The same server with the same key, for later.
        server: The server's URL, without secrets.
        deadline: When the call gives up. The user's own sync client has timeouts of its
            own.
        scrub: Takes out of a server's words what is known to be private.
        is_async: Whether the caller has an event loop, which must not be blocked.
        situation: What an error says about the order.
    """

    client: Any
    access: ServerAccess
    server: str
    deadline: Deadline
    scrub: Callable[[str], str]
    is_async: bool
    situation: Situation = field(default_factory=Situation)

    @property
    def clock(self) -> Clock:
        """The time that pauses are measured in."""
        return self.deadline.clock

    def clean(self, said: object) -> str:
        """Return a server's words without what may be private."""
        return clean_text(said, self.scrub)

    def error(
        self, problem: Exception, method: str, *, wait: float | None = None
    ) -> FineTuningError:
        """Return the error of ours for one of the SDK's; see `error_of`."""
        return error_of(
            problem, method, self.server, self.situation, self.scrub, wait=wait
        )

    def timed_out(self, method: str) -> FineTuningError:
        """Return the error to raise when the deadline is over."""
        text = (
            f"The timeout of {self.deadline.seconds:g} s was reached while "
            f"{PURPOSES[method]} at {self.server}."
        )
        return self.situation.error(FineTuningTimeoutError, text)

    @contextmanager
    def explaining_interrupts(self, text: str | None = None) -> Iterator[None]:
        """Say what becomes of the job, or `text`, if the call is interrupted."""
        try:
            yield
        except (KeyboardInterrupt, asyncio.CancelledError) as error:
            text = text or self.situation.consequence
            logger.warning(text)
            if hasattr(error, "add_note"):  # Python 3.11
                error.add_note(text)
            raise

    async def sleep(self, seconds: float) -> None:
        """Pause."""
        if self.is_async:
            await self.clock.asleep(seconds)
        else:
            self.clock.sleep(seconds)

    # Requests

    async def call(
        self, method: str, /, *, missing: Collection[int] = (), **arguments: Any
    ) -> Any:
        """Send a request once, and refuse a response of another type.

        `method` is the dotted name of the client's. With a status in `missing` a server
        says that it has no such thing: `None`. A gateway's page with status 200 comes
        out of the SDK as a string.
        """
        from langchain_chatexports.finetuning.http_clients import UnreadableAnswerError

        try:
            answer = await self._send(attrgetter(method)(self.client), arguments)
        except AttributeError:
            # The SDK's lists take it for granted that the answer is one.
            raise UnreadableAnswerError from None
        except Exception as error:
            if status_of(error) in missing:
                return None
            raise
        is_list = isinstance(getattr(answer, "data", None), list)
        lists = method.endswith((".list", ".list_events"))
        if not (is_list if lists else id_of(answer)):
            raise UnreadableAnswerError
        return answer

    async def _send(self, function: Callable[..., Any], arguments: Any) -> Any:
        from openai import AsyncOpenAI

        remaining = self.deadline.remaining()
        limit = None if remaining == float("inf") else max(remaining, _MIN_SECONDS)
        if isinstance(self.client, AsyncOpenAI):
            return await asyncio.wait_for(function(**arguments), limit)
        if self.is_async or limit is None or self.access.is_given:
            return await run_unblocked(
                lambda: function(**arguments), is_async=self.is_async
            )
        # A timeout of httpx is for each byte: only a closed connection ends them all.
        timer = threading.Timer(limit, self.client.close)
        timer.daemon = True
        timer.start()
        try:
            return function(**arguments)
        except Exception as error:
            if self.client.is_closed():
                raise asyncio.TimeoutError from error
            raise
        finally:
            timer.cancel()

    async def ask(
        self, method: str, /, *, missing: Collection[int] = (), **arguments: Any
    ) -> Any:
        """Send a request that may be repeated, and retry temporary errors; see `call`.

        Raises:
            FineTuningError: If the server refuses, or fails again and again.
        """
        send = partial(self.call, method, missing=missing, **arguments)
        return await self.persist(method, send)

    async def persist(
        self,
        method: str,
        send: Callable[[], Awaitable[T]],
        find: Callable[[], Awaitable[T | None]] | None = None,
        pauses_after: Callable[[Exception], Sequence[float]] = lambda _: (),
    ) -> T:
        """Send a request, and again after temporary errors if `find` finds no result.

        An answer that is lost says nothing about whether the request was carried out.
        The SDK's own retries know neither this nor the deadline nor a used-up quota.
        `pauses_after` is called with each problem and returns the seconds between
        further looks, since a list can lag.
        """
        for attempt in count(1):
            try:
                return await send()
            except Exception as error:  # noqa: BLE001 - sorted by `error_of`
                problem = error
            pauses = pauses_after(problem)
            refusal = await self._pause_before_retry(problem, method, attempt)
            if find is not None and is_temporary(problem):
                # There is a look before the error, too: the request may have arrived.
                pauses = (0, *pauses) if refusal is None else (0,)
                if (found := await self.look(find, pauses, method)) is not None:
                    return found
            if refusal is not None:
                raise refusal
        raise AssertionError  # Not reached: `count` has no end.

    async def _pause_before_retry(
        self, problem: Exception, method: str, attempt: int
    ) -> FineTuningError | None:
        """Sleep before the next attempt, or return why there should be none."""
        remaining = self.deadline.remaining()
        if not is_temporary(problem) or attempt >= _MAX_ATTEMPTS:
            return self.error(problem, method)
        asked = requested_wait(problem)
        if asked is not None and asked > min(MAX_RETRY_AFTER, remaining):
            return self.error(problem, method, wait=asked)
        growing = min(_FIRST_PAUSE * 2 ** (attempt - 1), _MAX_PAUSE)
        pause = asked if asked is not None else growing * self.clock.jitter()
        if pause >= remaining:
            refusal = self.timed_out(method)
            refusal.__cause__ = safe_cause(problem, self.scrub)
            return refusal
        await self.sleep(pause)
        return None

    async def look(
        self,
        find: Callable[[], Awaitable[T | None]],
        pauses: Sequence[float],
        method: str,
    ) -> T | None:
        """Look for something after each pause; return `None` if it never is there."""
        for pause in pauses:
            if pause:
                if pause >= self.deadline.remaining():
                    raise self.timed_out(method)
                await self.sleep(pause)
            if (found := await find()) is not None:
                return found
        return None

    async def list_all(
        self,
        method: str,
        /,
        *,
        missing: Collection[int] = NO_ROUTE,
        name_of: Callable[[Any], str | None] = id_of,
        known: Collection[str] = (),
        retries: bool = True,
        **arguments: Any,
    ) -> list[Any] | None:
        """Return a list in the server's order, or `None` if there is none; see `call`.

        Items without an id, as `name_of` returns it, are left out; the list ends at the
        first page with one that is `known`.
        """
        request = self.ask if retries else self.call
        items: dict[str, Any] = {}
        after: dict[str, str] = {}
        for _ in range(MAX_PAGES):
            if after and self.deadline.remaining() <= 0:
                raise self.timed_out(method)
            page = await request(
                method, missing=missing, limit=_PAGE_SIZE, **after, **arguments
            )
            if page is None:
                return None
            named = [(name, item) for item in page.data if (name := name_of(item))]
            # A server that ignores `after` sends the same ones again.
            new = {k: v for k, v in named if k not in items and k not in known}
            items.update(new)
            is_known = any(name in known for name, _ in named)
            # One that does not say whether there is more may well have more.
            if not new or is_known or getattr(page, "has_more", None) is False:
                return list(items.values())
            after = {"after": named[-1][1].id}
        text = (
            f"A list of {self.server} has no end: {MAX_PAGES:,} pages were read while "
            f"{PURPOSES[method]}."
        )
        raise self.situation.error(FineTuningError, text)


def run_blocking(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine over a blocking connection, in which nothing suspends."""
    with closing(coroutine):
        try:
            coroutine.send(None)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return] # it is a T
    msg = "A coroutine over a blocking connection has suspended."
    raise RuntimeError(msg)


@asynccontextmanager
async def connect(
    access: ServerAccess,
    deadline: Deadline,
    *,
    is_async: bool,
    scrub: Callable[[str], str] = str,
) -> AsyncIterator[Connection]:
    """Return a connection; a client that is made for it is closed at the end.

    `scrub` takes out of a server's words what is private beside the key.
    """
    client, access = access.open(is_async=is_async)
    try:
        yield Connection(
            client=client,
            access=access,
            server=public_url(client.base_url),
            deadline=deadline,
            scrub=lambda said: scrub(scrub_secrets(said, client)),
            is_async=is_async,
        )
    finally:
        # Or its connections outlive the event loop.
        if not access.is_given:
            closing = client.close()
            if is_async:
                await closing


async def run_unblocked(work: Callable[[], T], *, is_async: bool) -> T:
    """Do what blocks, in a thread if the caller has an event loop."""
    return await asyncio.to_thread(work) if is_async else work()


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
