"""Progress and remaining time, for all front ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeAlias

from langchain_chatexports._terminal import short_duration
from langchain_chatexports._translation import _

Watch: TypeAlias = (
    "Callable[[str, Callable[[], int], int | None], AbstractContextManager[None]]"
)
"""Creates a context manager that shows progress: label, counter function, total."""

_MIN_SECONDS = 1.0
# Do not estimate the remaining time before this fraction is done.
_MIN_FRACTION = 1 / 50
_MAX_SECONDS = 120
# How much longer a training takes than estimated: on a busy machine, and a slow one.
_MEASURED_SLOWNESS, _MAX_SLOWNESS = 2, 4
# To load the base and to write the model.
_START_SECONDS = 60


@contextmanager
def no_progress(
    label: str, done: Callable[[], int], total: int | None
) -> Iterator[None]:
    """Show no progress."""
    del label, done, total
    yield


def seconds_left(done: float, total: float | None, seconds: float) -> float | None:
    """Estimate the remaining seconds from the progress so far; `None` if unknown."""
    if not total or seconds < _MIN_SECONDS or not 0 < done <= total:
        return None
    if done < _MIN_FRACTION * total:
        return None
    return seconds / done * (total - done)


def estimated_duration(seconds: float, *, is_measured: bool) -> str:
    """Format an estimate as a range, wider if it was not measured on this machine."""
    slowness = _MEASURED_SLOWNESS if is_measured else _MAX_SLOWNESS
    shortest = short_duration(seconds)
    longest = short_duration(slowness * seconds + _START_SECONDS)
    if shortest == longest:
        return _("about {duration}", duration=shortest)
    if is_measured:
        return _("{shortest} to {longest}", shortest=shortest, longest=longest)
    return _(
        "{shortest} to {longest} (not measured here yet)",
        shortest=shortest,
        longest=longest,
    )


def time_left(seconds: float) -> str:
    """Format a remaining time, such as `about 3 min left`."""
    if seconds < _MAX_SECONDS:
        return _("about {seconds} s left", seconds=round(seconds))
    return _("about {duration} left", duration=short_duration(seconds))
