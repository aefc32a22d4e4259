"""What a protocol may do: ask the server, and sleep.

A protocol is a generator that yields calls and pauses and is sent the answers. It is
written once; `drivers` runs it in the sync and in the async world, and tests run it
with a time of their own.
"""

from __future__ import annotations

import random
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from langchain_chatexports.exceptions import (
    FineTuningError,
    FineTuningTimeoutError,
)
from langchain_chatexports.finetuning.server_errors import (
    MAX_RETRY_AFTER,
    Situation,
    asks_to_wait,
    cause_of,
    explained,
    has_no_route,
    is_passing,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "Call",
    "Clock",
    "Deadline",
    "Protocol",
    "Sleep",
    "ask",
    "ask_once",
    "is_last_page",
    "list_all",
    "pause_before_retry",
]

_ATTEMPTS = 4
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 8.0
_PAGE = 100
MAX_PAGES = 1_000
_MAX_ID_LENGTH = 512


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
Protocol: TypeAlias = Generator[Call | Sleep, Any, T]


class Clock:
    """Time and chance, in one place, so that tests can bring their own."""

    def now(self) -> float:
        """Give seconds that only grow, whatever happens to the wall clock."""
        return time.monotonic()

    def today(self) -> date:
        """Give the date in UTC."""
        return datetime.now(timezone.utc).date()

    def sleep(self, seconds: float) -> None:
        """Block for a while."""
        time.sleep(seconds)

    async def asleep(self, seconds: float) -> None:
        """Let the event loop do something else for a while."""
        import asyncio

        await asyncio.sleep(seconds)

    def jitter(self) -> float:
        """Give a factor around 1, so that many clients do not ask in step."""
        return random.uniform(0.8, 1.2)  # noqa: S311 - nothing to guess here


class Deadline:
    """The moment after which nobody waits any longer."""

    def __init__(self, clock: Clock, seconds: float | None) -> None:
        """Count from now; `None` is never."""
        self.clock = clock
        self.seconds = seconds
        self._end = None if seconds is None else clock.now() + seconds

    def remaining(self) -> float:
        """Give the seconds that are left, infinity without a deadline."""
        return float("inf") if self._end is None else self._end - self.clock.now()

    def is_over(self) -> bool:
        """Tell whether the moment has come."""
        return self.remaining() <= 0

    def error(self, situation: Situation) -> FineTuningTimeoutError:
        """Build the error to raise when the moment has come."""
        msg = (
            f"The timeout of {self.seconds:g} s was reached while {situation.doing} "
            f"at {situation.server}. {situation.consequence}"
        )
        return FineTuningTimeoutError(
            msg, job_id=situation.job_id, status=situation.status
        )


def ask_once(method: str, /, **arguments: Any) -> Protocol[Any]:
    """Ask once, and take nothing but the object that was asked for.

    A gateway's page with status 200 comes out of the SDK as a string.
    """
    from langchain_chatexports.finetuning.http_clients import UnreadableAnswerError

    try:
        answer = yield Call(method, arguments)
    except AttributeError:
        # The SDK's lists take it for granted that the answer is one.
        raise UnreadableAnswerError from None
    is_list = method.endswith((".list", ".list_events"))
    wanted = getattr(answer, "data" if is_list else "id", None)
    if isinstance(wanted, list) if is_list else is_id(wanted):
        return answer
    raise UnreadableAnswerError


def ask(
    method: str, situation: Situation, deadline: Deadline, /, **arguments: Any
) -> Protocol[Any]:
    """Ask for something that may be asked for twice, and let passing errors pass.

    Raises:
        FineTuningError: If the server refuses, or fails again and again.
    """
    attempt = 0
    while True:
        attempt += 1
        try:
            return (yield from ask_once(method, **arguments))
        except Exception as error:  # noqa: BLE001 - sorted by `explained`
            problem = error
        yield from pause_before_retry(problem, attempt, situation, deadline)


def pause_before_retry(
    problem: Exception, attempt: int, situation: Situation, deadline: Deadline
) -> Protocol[None]:
    """Sleep before the next attempt, or raise if there should be none.

    Raises:
        FineTuningError: If the problem does not pass, asks for a long wait, or this was
            the last attempt.
    """
    if not is_passing(problem) or attempt >= _ATTEMPTS:
        raise explained(problem, situation) from cause_of(problem, situation)
    asked = asks_to_wait(problem)
    if asked is not None and (asked > MAX_RETRY_AFTER or asked > deadline.remaining()):
        raise explained(problem, situation, wait=asked) from cause_of(
            problem, situation
        )
    growing = min(_FIRST_PAUSE * 2 ** (attempt - 1), _LONGEST_PAUSE)
    pause = asked if asked is not None else growing * deadline.clock.jitter()
    if pause >= deadline.remaining():
        raise deadline.error(situation) from cause_of(problem, situation)
    yield Sleep(pause)


def list_all(
    method: str, situation: Situation, deadline: Deadline, /, **arguments: Any
) -> Protocol[list[Any] | None]:
    """Read all pages of a list.

    Returns:
        The items, or `None` if the server has no such list.
    """
    items: list[Any] = []
    seen: set[str] = set()
    after: dict[str, str] = {}
    for _ in range(MAX_PAGES):
        if after and deadline.is_over():
            raise deadline.error(situation)
        try:
            page = yield from ask(
                method, situation, deadline, limit=_PAGE, **after, **arguments
            )
        except Exception as error:
            if has_no_route(error):
                return None
            raise
        new = list(_new_items(page.data, seen))
        items.extend(new)
        if is_last_page(page, new):
            return items
        after = {"after": new[-1].id}
    msg = (
        f"A list of {situation.server} has no end: {MAX_PAGES:,} pages were read "
        f"while {situation.doing}. {situation.consequence}"
    )
    raise FineTuningError(msg, job_id=situation.job_id, status=situation.status)


def is_last_page(page: Any, new: Sequence[Any]) -> bool:
    """Tell whether there is nothing to ask for after a page of a list.

    Args:
        page: The SDK's page.
        new: What it holds that was not seen before.
    """
    # A server that ignores `after` sends the first page for ever, and one that does
    # not say whether there is more may well have more.
    return not new or getattr(page, "has_more", None) is False


def is_id(value: object) -> bool:
    """Return whether a value can be an id: ids stand in errors, logs and requests."""
    return (
        isinstance(value, str) and len(value) <= _MAX_ID_LENGTH and value.isprintable()
    )


def _new_items(items: Iterable[Any], seen: set[str]) -> Iterable[Any]:
    for item in items:
        if is_id(getattr(item, "id", None)) and item.id not in seen:
            seen.add(item.id)
            yield item
