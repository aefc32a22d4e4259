"""How the server is asked: with retries, page by page, blocking or on the event loop.

What the tuner does is written once, as generators that yield calls and pauses and are
sent the answers. `run` carries them out with a sync client, `arun` with an async one,
and tests with a time of their own.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Generator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from langchain_chatexports.exceptions import FineTuningError
from langchain_chatexports.finetuning.errors import (
    MAX_RETRY_AFTER,
    Situation,
    error_of,
    has_no_route,
    is_temporary,
    requested_wait,
    safe_cause,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from langchain_chatexports.finetuning.clock import Clock

__all__ = [
    "Call",
    "Requests",
    "Sleep",
    "alock",
    "arun",
    "ask",
    "ask_once",
    "is_last_page",
    "list_all",
    "lock",
    "pause_before_retry",
    "run",
]

MAX_PAGES = 1_000
_MAX_ATTEMPTS = 4
_FIRST_PAUSE = 0.5
_MAX_PAUSE = 8.0
_PAGE_SIZE = 100
_MAX_ID_LENGTH = 512
_LOCK_INTERVAL = 0.05


@dataclass(frozen=True)
class Call:
    """Ask the client, by the dotted name of the method."""

    method: str
    arguments: dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Sleep:
    """Do nothing for a while."""

    seconds: float


T = TypeVar("T")
Requests: TypeAlias = Generator[Call | Sleep, Any, T]
"""Calls and pauses, and what comes of them."""


def ask_once(method: str, /, **arguments: Any) -> Requests[Any]:
    """Ask once, and take nothing but the object that was asked for.

    A gateway's page with status 200 comes out of the SDK as a string.
    """
    from langchain_chatexports.finetuning.http_clients import UnreadableAnswerError

    try:
        answer = yield Call(method, arguments)
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


def ask(method: str, situation: Situation, /, **arguments: Any) -> Requests[Any]:
    """Ask for something that may be asked for twice, and let temporary errors pass.

    Raises:
        FineTuningError: If the server refuses, or fails again and again.
    """
    attempt = 0
    while True:
        attempt += 1
        try:
            return (yield from ask_once(method, **arguments))
        except Exception as error:  # noqa: BLE001 - sorted by `error_of`
            problem = error
        yield from pause_before_retry(problem, attempt, situation)


def pause_before_retry(
    problem: Exception, attempt: int, situation: Situation
) -> Requests[None]:
    """Sleep before the next attempt, or raise if there should be none.

    Raises:
        FineTuningError: If the problem does not pass, asks for a long wait, or this was
            the last attempt.
    """
    deadline = situation.deadline
    if not is_temporary(problem) or attempt >= _MAX_ATTEMPTS:
        raise error_of(problem, situation)
    asked = requested_wait(problem)
    if asked is not None and asked > min(MAX_RETRY_AFTER, deadline.remaining()):
        raise error_of(problem, situation, wait=asked)
    growing = min(_FIRST_PAUSE * 2 ** (attempt - 1), _MAX_PAUSE)
    pause = asked if asked is not None else growing * deadline.clock.jitter()
    if pause >= deadline.remaining():
        raise situation.timed_out() from safe_cause(problem, situation)
    yield Sleep(pause)


def list_all(
    method: str, situation: Situation, /, **arguments: Any
) -> Requests[list[Any] | None]:
    """Read all pages of a list.

    Returns:
        The items, or `None` if the server has no such list.
    """
    items: dict[str, Any] = {}
    after: dict[str, str] = {}
    for _ in range(MAX_PAGES):
        if after and situation.deadline.is_over():
            raise situation.timed_out()
        try:
            page = yield from ask(
                method, situation, limit=_PAGE_SIZE, **after, **arguments
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
        f"A list of {situation.server} has no end: {MAX_PAGES:,} pages were read while "
        f"{situation.doing}. {situation.consequence}"
    )
    raise FineTuningError(msg, job_id=situation.job_id, status=situation.status)


def is_last_page(page: Any, new: Sequence[Any]) -> bool:
    """Return whether there is nothing to ask for after a page of a list.

    Args:
        page: The SDK's page.
        new: What it holds that was not seen before.
    """
    # One that does not say whether there is more may well have more.
    return not new or getattr(page, "has_more", None) is False


def _has_id(item: object) -> bool:
    # Ids stand in errors, logs and requests.
    value = getattr(item, "id", None)
    return (
        isinstance(value, str) and len(value) <= _MAX_ID_LENGTH and value.isprintable()
    )


# Carried out


def run(requests: Requests[T], client: Any, clock: Clock) -> T:
    """Carry out requests with a sync client.

    Args:
        requests: What to do.
        client: The SDK's client.
        clock: How to sleep.

    Returns:
        What comes of them.
    """
    resume: Callable[[Any], Call | Sleep] = requests.send
    value: Any = None
    with closing(requests):
        while True:
            try:
                action = resume(value)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return] # it is a T
            resume, value = requests.send, None
            try:
                if isinstance(action, Call):
                    value = attrgetter(action.method)(client)(**action.arguments)
                else:
                    clock.sleep(action.seconds)
            except Exception as error:  # noqa: BLE001 - the generator decides
                resume, value = requests.throw, error


async def arun(requests: Requests[T], client: Any, clock: Clock) -> T:
    """Carry out requests on the event loop; those of a sync client in a thread."""
    resume: Callable[[Any], Call | Sleep] = requests.send
    value: Any = None
    with closing(requests):
        while True:
            try:
                action = resume(value)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return] # it is a T
            resume, value = requests.send, None
            try:
                if isinstance(action, Call):
                    value = await _acall(client, action)
                else:
                    await clock.asleep(action.seconds)
            except Exception as error:  # noqa: BLE001 - the generator decides
                resume, value = requests.throw, error


async def _acall(client: Any, call: Call) -> Any:
    from openai import OpenAI

    method = attrgetter(call.method)(client)
    if isinstance(client, OpenAI):
        return await asyncio.to_thread(method, **call.arguments)
    answer = method(**call.arguments)
    return await answer if inspect.isawaitable(answer) else answer


# One at a time


_locks: dict[str, threading.Lock] = {}


@contextmanager
def lock(key: str) -> Iterator[None]:
    """Let one call at a time, of all threads and loops, work on this key."""
    with _locks.setdefault(key, threading.Lock()):
        yield


@asynccontextmanager
async def alock(key: str) -> AsyncIterator[None]:
    """Do the same as `lock` without blocking the event loop."""
    held = _locks.setdefault(key, threading.Lock())
    # Asked for again and again: a cancelled wait must not leave a lock taken.
    while not held.acquire(blocking=False):  # noqa: ASYNC110 - a thread's lock
        await asyncio.sleep(_LOCK_INTERVAL)
    try:
        yield
    finally:
        held.release()
