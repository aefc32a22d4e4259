"""What all suites share: the guard of overrides, and bounds of memory and speed."""

import gc
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from langchain_core.chat_sessions import ChatSession
from langchain_tests.base import BaseStandardTests

_SUITES = "langchain_chatexports.standard_tests."
_MIN_SESSIONS = 20


class ChatExportStandardTests(BaseStandardTests):
    """Base class of the suites of this package."""

    # langchain-tests' own guard looks at classes of langchain-tests only.

    def test_no_overrides_DO_NOT_OVERRIDE(self) -> None:  # noqa: N802 - langchain-tests' name
        """Test that no standard test is replaced or removed.

        A standard test that cannot pass yet is overridden with its reason, and calls
        the original, so that a repair is noticed:

        ```python
        @pytest.mark.xfail(strict=True, reason="why it fails")
        def test_repr_shows_no_content(self, loader):
            super().test_repr_shows_no_content(loader)
        ```

        Fixtures and properties may be overridden freely.
        """
        standard: set[str] = set()
        replaced: dict[str, Any] = {}
        for cls in reversed(type(self).__mro__):
            tests = {name for name in vars(cls) if name.startswith("test_")}
            if f"{cls.__module__}.".startswith(_SUITES):
                standard |= tests
            else:
                replaced |= {name: vars(cls)[name] for name in tests & standard}
        silent = sorted(name for name, test in replaced.items() if not _is_xfail(test))
        assert standard > {"test_no_overrides_DO_NOT_OVERRIDE"}, (
            "There is no standard test suite among the base classes."
        )
        assert not silent, (
            f"Standard tests overridden without "
            f'@pytest.mark.xfail(reason="..."): {silent}. '
            "The reason says why the standard test is expected to fail."
        )


class Bounds:
    """Bounds of the integration suites, on memory and time for each message."""

    @property
    def max_growth_bytes_per_message(self) -> float:
        """Memory that may stay for each message; 10 is 1 MB for 100,000 messages."""
        return 10.0

    @property
    def min_messages_per_second(self) -> float:
        """Messages in a second of processor time."""
        return 5_000.0

    def check_memory(self, read: Callable[[], Iterator[ChatSession]]) -> None:
        """Check that little of what was read stays in memory (256 KiB for caches)."""
        total = sum(1 for _ in read())  # Warms up imports and caches, too.
        if total < _MIN_SESSIONS:
            pytest.skip(f"{total} sessions say nothing about growth")
        # The first sessions fill buffers: compare the end with the first fifth.
        level = growth = messages = 0
        with memory_traced():
            for index, session in enumerate(read(), start=1):
                messages += len(session.get("messages", ()))
                del session
                if index == total // 5:
                    level, messages = _memory_in_use(), 0
                elif index == total - 1:  # The generator is still alive.
                    growth = _memory_in_use() - level
        bound = 256 * 1024 + self.max_growth_bytes_per_message * messages
        assert growth <= bound, f"{growth:,} bytes over {messages:,} messages"

    def check_speed(self, sessions: Iterator[ChatSession]) -> None:
        """Check that messages come fast enough."""
        start = time.process_time()
        messages = sum(len(session.get("messages", ())) for session in sessions)
        rate = messages / max(time.process_time() - start, 1e-3)
        assert rate >= self.min_messages_per_second, f"{rate:,.0f} messages a second"


def check_nothing_is_shared(sessions: list[ChatSession]) -> None:
    """Check that no message, list or `additional_kwargs` is in two places."""
    messages = [m for session in sessions for m in session.get("messages", ())]
    for objects in (
        sessions,
        [session.get("messages") for session in sessions],
        messages,
        [message.additional_kwargs for message in messages],
    ):
        assert len({id(item) for item in objects}) == len(objects)


@contextmanager
def memory_traced() -> Iterator[None]:
    """Trace allocations, from an empty garbage heap."""
    if tracemalloc.is_tracing():
        pytest.skip("tracemalloc is in use already")
    gc.collect()
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


def close(sessions: Iterator[object]) -> None:
    """Close an iterator if it can be closed, as a generator can."""
    close_it = getattr(sessions, "close", None)
    if close_it is not None:
        close_it()


def _memory_in_use() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def _is_xfail(test: Any) -> bool:
    marks = getattr(test, "pytestmark", ())
    return any(mark.name == "xfail" and mark.kwargs.get("reason") for mark in marks)
