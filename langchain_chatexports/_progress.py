"""Progress and remaining time, estimated in one way for every front end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeAlias

from langchain_chatexports._terminal import short_duration

Watch: TypeAlias = (
    "Callable[[str, Callable[[], int], int | None], AbstractContextManager[None]]"
)
"""Shows progress during a `with` block: a label, the count so far, the total."""

_MIN_SECONDS = 1.0
# Remaining time is estimated once a 50th is done.
_FIRST_SHARE = 50
_MAX_SECONDS_IN_WORDS = 120


@contextmanager
def unwatched(what: str, done: Callable[[], int], total: int | None) -> Iterator[None]:
    """Show no progress."""
    del what, done, total
    yield


def seconds_left(done: float, total: float | None, seconds: float) -> float | None:
    """Estimate the remaining seconds from progress so far; `None` if unknown."""
    if not total or seconds < _MIN_SECONDS or not 0 < done <= total:
        return None
    if _FIRST_SHARE * done < total:
        return None
    return seconds / done * (total - done)


def time_left(seconds: float) -> str:
    """Return a remaining time in words."""
    if seconds < _MAX_SECONDS_IN_WORDS:
        return f"about {seconds:.0f} s left"
    return f"about {short_duration(seconds)} left"
