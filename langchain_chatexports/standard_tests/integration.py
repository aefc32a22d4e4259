"""Integration tests: a loader on a large or real export, a step on many sessions."""

import gc
import time
import tracemalloc
from collections.abc import Callable, Iterator
from copy import deepcopy

import pytest
from langchain_core.chat_loaders import BaseChatLoader
from langchain_core.chat_sessions import ChatSession

from langchain_chatexports.standard_tests.chat_loaders import ChatLoaderTests
from langchain_chatexports.standard_tests.resources import memory_traced
from langchain_chatexports.standard_tests.session_transforms import (
    SessionTransformTests,
)
from langchain_chatexports.steps import SessionTransform

_MIN_SESSIONS = 20


class ChatLoaderIntegrationTests(ChatLoaderTests):
    """Base class for chat loader integration tests, on a real or large export.

    The same properties and the same fixture `source` as in `ChatLoaderUnitTests`; here
    the source holds at least 20 sessions, best of about the same size. The bounds are
    properties. Select the timed test with `-m benchmark`.

    ```python
    class TestMyChatLoaderAtScale(ChatLoaderIntegrationTests):
        @property
        def chat_loader_class(self):
            return MyChatLoader

        @property
        def expected_sessions(self):
            return 500

        @pytest.fixture
        def source(self, tmp_path):
            return build_large_export(tmp_path, sessions=500)
    ```
    """

    @property
    def expected_sessions(self) -> int | None:
        """How many sessions the export holds, if known."""
        return None

    @property
    def expected_messages(self) -> int | None:
        """How many messages are loaded from the export, if known."""
        return None

    @property
    def max_growth_bytes_per_message(self) -> float:
        """Memory that may stay for each message that was read; 10 is 1 MB per 100k."""
        return 10.0

    @property
    def min_messages_per_second(self) -> float:
        """Messages to be loaded in a second of processor time."""
        return 5_000.0

    def test_holds_the_expected_sessions(self, loader: BaseChatLoader) -> None:
        """Test the numbers of sessions and messages.

        Runs where `expected_sessions` or `expected_messages` is set.

        ??? note "Troubleshooting"

            Count in the export with other means (`sqlite3`, `jq`) what the loader
            should give, and look at what it leaves out: reactions, events, empty
            messages.
        """
        if self.expected_sessions is None and self.expected_messages is None:
            pytest.skip("neither `expected_sessions` nor `expected_messages` is set")
        sessions = messages = 0
        for session in loader.lazy_load():
            sessions += 1
            messages += len(session["messages"])
        if self.expected_sessions is not None:
            assert sessions == self.expected_sessions
        if self.expected_messages is not None:
            assert messages == self.expected_messages

    def test_memory_is_flat(self, loader: BaseChatLoader) -> None:
        """Test that what was read does not stay in memory.

        The memory that is in use between two sessions may grow, over the pass, by
        `max_growth_bytes_per_message` only (and by 256 KiB, for caches).

        ??? note "Troubleshooting"

            Something of each message stays behind: a set of ids, a cache without a
            bound, a list of rows.
        """
        _check_flat(loader.lazy_load, self.max_growth_bytes_per_message)

    @pytest.mark.benchmark
    def test_throughput(self, loader: BaseChatLoader) -> None:
        """Test that messages are loaded fast enough, in processor time.

        ??? note "Troubleshooting"

            Building messages should be most of the work: one constructor call a
            message, one query for all sessions, no parsing twice.
        """
        _check_rate(loader.lazy_load(), self.min_messages_per_second)


class SessionTransformIntegrationTests(SessionTransformTests):
    """Base class for session transform integration tests, on many sessions.

    The same properties as in `SessionTransformUnitTests`; the fixture `sessions` is
    read again and again, as often as `repetitions` says.
    """

    @property
    def repetitions(self) -> int:
        """How often the sessions are repeated."""
        return 20

    @property
    def max_growth_bytes_per_message(self) -> float:
        """Memory that may stay for each message that came out."""
        return 10.0

    @property
    def min_messages_per_second(self) -> float:
        """Messages to come out in a second of processor time."""
        return 5_000.0

    def test_memory_is_flat(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test that sessions that were passed on do not stay in memory.

        ??? note "Troubleshooting"

            The step keeps something of each session: a list or a cache on itself, a
            variable of a generator that waits at its `yield`.
        """
        _check_flat(
            lambda: step.lazy_transform(_copies(sessions, self.repetitions)),
            self.max_growth_bytes_per_message,
        )

    @pytest.mark.benchmark
    def test_throughput(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test that messages come out fast enough, in processor time.

        ??? note "Troubleshooting"

            Work should grow with the number of messages: look for a loop over all
            messages within a loop over messages.
        """
        copies = list(_copies(sessions, self.repetitions))
        _check_rate(step.lazy_transform(copies), self.min_messages_per_second)


def _copies(sessions: list[ChatSession], repetitions: int) -> Iterator[ChatSession]:
    for _ in range(repetitions):
        for session in sessions:
            yield deepcopy(session)


def _check_flat(
    read: Callable[[], Iterator[ChatSession]], bytes_per_message: float
) -> None:
    total = sum(1 for _ in read())  # Warms up imports and caches, too.
    if total < _MIN_SESSIONS:
        pytest.skip(f"{total} sessions say nothing about growth")
    # The first sessions fill buffers: compare the end with the first fifth.
    fifth = total // 5
    level = growth = messages = 0
    with memory_traced():
        for index, session in enumerate(read(), start=1):
            messages += len(session.get("messages", ()))
            del session
            if index == fifth:
                level, messages = _memory_in_use(), 0
            elif index == total - 1:  # The generator is still alive.
                growth = _memory_in_use() - level
    bound = 256 * 1024 + bytes_per_message * messages
    assert growth <= bound, f"{growth:,} bytes over {messages:,} messages"


def _check_rate(sessions: Iterator[ChatSession], bound: float) -> None:
    start = time.process_time()
    messages = sum(len(session.get("messages", ())) for session in sessions)
    rate = messages / max(time.process_time() - start, 1e-3)
    assert rate >= bound, f"{rate:,.0f} messages a second"


def _memory_in_use() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]
