"""Blocking calls that wait for hours, and that async callers can stop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from functools import partial
from typing import Any, TypeVar

from langchain_core.runnables.config import run_in_executor

T = TypeVar("T")


class AsyncCall:
    """The async call that waits for this thread."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self.explain: Callable[[BaseException], None] | None = None
        """Add a note to the exception that stops the call."""


async_call: ContextVar[AsyncCall | None] = ContextVar("async_call", default=None)

# Tests replace both.
now = time.monotonic


def sleep(seconds: float) -> None:
    """Block for some seconds, or until the async caller is cancelled."""
    if call := async_call.get():
        call.stopped.wait(seconds)
    else:
        time.sleep(seconds)  # On Windows, Ctrl-C does not interrupt `Event.wait`.


async def run_in_thread(function: Callable[..., T], *args: Any) -> T:
    """Run a blocking function in a thread, which ends if the task is cancelled."""
    call, context = AsyncCall(), copy_context()
    context.run(async_call.set, call)
    # The event loop has few threads, and a wait would occupy one for hours.
    executor = ThreadPoolExecutor(max_workers=1)
    try:
        return await run_in_executor(executor, partial(context.run, function, *args))
    except asyncio.CancelledError as error:
        call.stopped.set()
        if call.explain is not None:
            call.explain(error)
        raise
    finally:
        executor.shutdown(wait=False)
