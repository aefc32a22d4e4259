"""Time and chance, in one place, so that tests can bring their own."""

from __future__ import annotations

import asyncio
import random
import time
from datetime import date, datetime, timezone

__all__ = ["Clock", "Deadline"]


class Clock:
    """The time that pauses and timeouts are measured in."""

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
        """Let the event loop do something else for a while."""
        await asyncio.sleep(seconds)

    def jitter(self) -> float:
        """Return a factor around 1, so that many clients do not ask in step."""
        return random.uniform(0.8, 1.2)  # noqa: S311 - nothing to guess here


class Deadline:
    """The moment after which nobody waits any longer."""

    def __init__(self, clock: Clock, seconds: float | None) -> None:
        """Count from now; `None` is never."""
        self.clock = clock
        self.seconds = seconds
        self._end = None if seconds is None else clock.now() + seconds

    def remaining(self) -> float:
        """Return the seconds that are left, infinity without a deadline."""
        return float("inf") if self._end is None else self._end - self.clock.now()

    def is_over(self) -> bool:
        """Return whether the moment has come."""
        return self.remaining() <= 0
