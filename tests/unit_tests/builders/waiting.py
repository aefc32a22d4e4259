"""Waiting for another thread or process."""

import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def wait_until(condition: Callable[[], Result]) -> Result:
    """Return the first true result of a condition; wait for minutes if needed."""
    deadline = time.monotonic() + 300
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found
