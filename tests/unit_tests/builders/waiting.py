"""Waiting for another thread or process."""

import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

# A training on a busy machine takes minutes.
_MAX_SECONDS = 900


def wait_until(condition: Callable[[], Result]) -> Result:
    """Return the first true result of a condition, for minutes if needed."""
    started = time.monotonic()
    while not (found := condition()):
        waited = time.monotonic() - started
        assert waited < _MAX_SECONDS
        # Asking a server each hundredth of a second would slow down its training.
        time.sleep(min(0.01 + waited / 20, 0.25))
    return found
