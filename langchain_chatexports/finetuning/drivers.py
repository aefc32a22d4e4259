"""Run a protocol with a client: blocking, or on the event loop."""

from __future__ import annotations

import asyncio
import inspect
import threading
from contextlib import asynccontextmanager, closing, contextmanager
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakValueDictionary

from langchain_chatexports.finetuning.protocol import Call

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from langchain_chatexports.finetuning.protocol import Clock, Protocol

__all__ = ["adrive", "ahold", "drive", "hold"]

T = TypeVar("T")

_POLL_LOCK = 0.05


def drive(protocol: Protocol[T], client: Any, clock: Clock) -> T:
    """Run a protocol with a sync client.

    Args:
        protocol: What to do.
        client: The SDK's client.
        clock: How to sleep.

    Returns:
        What the protocol returns.
    """
    resume: Callable[[Any], Any] = protocol.send
    value: Any = None
    with closing(protocol):
        while True:
            try:
                action = resume(value)
            except StopIteration as stop:
                result: T = stop.value
                return result
            resume, value = protocol.send, None
            try:
                if isinstance(action, Call):
                    value = attrgetter(action.method)(client)(**action.arguments)
                else:
                    clock.sleep(action.seconds)
            except Exception as error:  # noqa: BLE001 - the protocol decides
                resume, value = protocol.throw, error


async def adrive(protocol: Protocol[T], client: Any, clock: Clock) -> T:
    """Run a protocol on the event loop.

    Args:
        protocol: What to do.
        client: The SDK's client; the requests of a sync one are made in a thread.
        clock: How to sleep.

    Returns:
        What the protocol returns.
    """
    resume: Callable[[Any], Any] = protocol.send
    value: Any = None
    with closing(protocol):
        while True:
            try:
                action = resume(value)
            except StopIteration as stop:
                result: T = stop.value
                return result
            resume, value = protocol.send, None
            try:
                if isinstance(action, Call):
                    value = await _acall(client, action)
                else:
                    await clock.asleep(action.seconds)
            except Exception as error:  # noqa: BLE001 - the protocol decides
                resume, value = protocol.throw, error


async def _acall(client: Any, action: Call) -> Any:
    from openai import OpenAI

    method = attrgetter(action.method)(client)
    if isinstance(client, OpenAI):
        return await asyncio.to_thread(method, **action.arguments)
    answer = method(**action.arguments)
    return await answer if inspect.isawaitable(answer) else answer


class _Gate:
    """A lock that a dictionary can forget."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


_gates: WeakValueDictionary[str, _Gate] = WeakValueDictionary()
_gates_lock = threading.Lock()


def _gate(key: str) -> _Gate:
    with _gates_lock:
        gate = _gates.get(key)
        if gate is None:
            gate = _gates[key] = _Gate()
        return gate


@contextmanager
def hold(key: str) -> Iterator[None]:
    """Let one call at a time, of all threads and loops, work on this key."""
    gate = _gate(key)
    with gate.lock:
        yield


@asynccontextmanager
async def ahold(key: str) -> AsyncIterator[None]:
    """Do the same as `hold` without blocking the event loop."""
    gate = _gate(key)
    # Asked for again and again: a cancelled wait must not leave a lock taken.
    while not gate.lock.acquire(blocking=False):  # noqa: ASYNC110 - a thread's lock
        await asyncio.sleep(_POLL_LOCK)
    try:
        yield
    finally:
        gate.lock.release()
