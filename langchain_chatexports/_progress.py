"""How far work is, and how long it still takes: one estimate for every front end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeAlias

from langchain_chatexports._terminal import short_duration

Watch: TypeAlias = (
    "Callable[[str, Callable[[], int], int | None], AbstractContextManager[None]]"
)
"""Shows progress while a block runs: what is counted, how much is done, the total."""

_MIN_SECONDS = 1.0
# The time left is estimated when a 50th is done.
_FIRST_SHARE = 50
_MAX_SECONDS_IN_WORDS = 120


@contextmanager
def unwatched(what: str, done: Callable[[], int], total: int | None) -> Iterator[None]:
    """Show no progress."""
    del what, done, total
    yield


def seconds_left(done: float, total: float | None, seconds: float) -> float | None:
    """Estimate the seconds left, from what was done in some; `None` if not known."""
    if not total or seconds < _MIN_SECONDS or not 0 < done <= total:
        return None
    if _FIRST_SHARE * done < total:
        return None
    return seconds / done * (total - done)


def time_left(seconds: float) -> str:
    """Return how long something still takes in words."""
    if seconds < _MAX_SECONDS_IN_WORDS:
        return f"about {seconds:.0f} s left"
    return f"about {short_duration(seconds)} left"
