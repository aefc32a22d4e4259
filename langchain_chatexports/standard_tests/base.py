"""Base classes of the suites, with the check for overrides and the memory limit."""

import gc
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
    """Base class of the suites in this package."""

    # The check in langchain-tests only covers its own classes.

    def test_no_overrides_DO_NOT_OVERRIDE(self) -> None:  # noqa: N802 - langchain-tests' name
        """Test that no standard test is overridden or removed.

        To override a test that fails, mark it as xfail with a reason and call the
        original, so that you notice when it starts to pass:

        ```python
        @pytest.mark.xfail(strict=True, reason="why it fails")
        def test_repr_shows_no_content(self, loader):
            super().test_repr_shows_no_content(loader)
        ```

        Fixtures and properties may be overridden freely.
        """
        standard: set[str] = set()
        overridden: dict[str, Any] = {}
        for cls in reversed(type(self).__mro__):
            tests = {name for name in vars(cls) if name.startswith("test_")}
            if f"{cls.__module__}.".startswith(_SUITES):
                standard |= tests
            else:
                overridden |= {name: vars(cls)[name] for name in tests & standard}
        unmarked = sorted(
            n for n, test in overridden.items() if not _is_expected_failure(test)
        )
        assert standard > {"test_no_overrides_DO_NOT_OVERRIDE"}, (
            "No base class is a standard test suite."
        )
        assert not unmarked, (
            "Standard tests are overridden without "
            f'@pytest.mark.xfail(reason="..."): {unmarked}. '
            "State why they fail."
        )


class MemoryLimit:
    """Mixin for the memory limit in the integration suites."""

    @property
    def max_growth_bytes_per_message(self) -> float:
        """Maximum memory growth per message; 10 is 1 MB for 100,000 messages."""
        return 10.0

    def check_memory(self, read: Callable[[], Iterator[ChatSession]]) -> None:
        """Check that memory growth is within the limit, plus 256 KiB for caches."""
        total = sum(1 for _ in read())  # Also warms up imports and caches.
        if total < _MIN_SESSIONS:
            pytest.skip(f"{total} sessions are not enough to measure growth")
        # Measure after the first fifth, when buffers are full.
        baseline = growth = messages = 0
        with trace_memory():
            for index, session in enumerate(read(), start=1):
                messages += len(session.get("messages", ()))
                del session
                if index == total // 5:
                    baseline, messages = _memory_in_use(), 0
                elif index == total - 1:  # The generator is still alive.
                    growth = _memory_in_use() - baseline
        bound = 256 * 1024 + self.max_growth_bytes_per_message * messages
        assert growth <= bound, f"{growth:,} bytes over {messages:,} messages"


@contextmanager
def trace_memory() -> Iterator[None]:
    """Collect garbage, then trace allocations inside the `with` block."""
    if tracemalloc.is_tracing():
        pytest.skip("tracemalloc is already in use")
    gc.collect()
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


def close(iterator: Iterator[object]) -> None:
    """Close an iterator if it has a `close` method."""
    close_method = getattr(iterator, "close", None)
    if close_method is not None:
        close_method()


def _memory_in_use() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def _is_expected_failure(test: Any) -> bool:
    marks = getattr(test, "pytestmark", ())
    return any(mark.name == "xfail" and mark.kwargs.get("reason") for mark in marks)
