"""Base classes of all suites: a check of overrides, a limit of memory."""

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
    """Base class of the suites of this package."""

    # The check in langchain-tests only considers its own classes.

    def test_no_overrides_DO_NOT_OVERRIDE(self) -> None:  # noqa: N802 - langchain-tests' name
        """Test that no standard test is replaced or removed.

        Override a standard test that fails with its reason, and call the original, so
        that you notice when it passes:

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
            "None of the base classes is a standard test suite."
        )
        assert not silent, (
            f"Standard tests overridden without "
            f'@pytest.mark.xfail(reason="..."): {silent}. '
            "Give the reason why the standard test fails."
        )


class Bounds:
    """The limit of memory per message in the integration suites."""

    @property
    def max_growth_bytes_per_message(self) -> float:
        """Maximum memory kept per message; 10 is 1 MB for 100,000 messages."""
        return 10.0

    def check_memory(self, read: Callable[[], Iterator[ChatSession]]) -> None:
        """Check that sessions do not stay in memory, except 256 KiB for caches."""
        total = sum(1 for _ in read())  # Also warms up imports and caches.
        if total < _MIN_SESSIONS:
            pytest.skip(f"{total} sessions are too few to measure growth")
        # Compare the end with the first fifth, which fills buffers.
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
    """Close an iterator if it has a `close` method."""
    close_it = getattr(sessions, "close", None)
    if close_it is not None:
        close_it()


def _memory_in_use() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def _is_xfail(test: Any) -> bool:
    marks = getattr(test, "pytestmark", ())
    return any(mark.name == "xfail" and mark.kwargs.get("reason") for mark in marks)
