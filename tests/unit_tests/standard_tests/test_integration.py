"""The suite for large exports bites, too."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from langchain_chatexports.standard_tests import ChatLoaderIntegrationTests
from tests.unit_tests.standard_tests.broken_loaders import SoundLoader, write_source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from langchain_core.chat_loaders import BaseChatLoader
    from langchain_core.chat_sessions import ChatSession

SESSIONS, LINES = 60, 100


class RemembersTexts(SoundLoader):
    """Keeps every text that it saw, as a loader that looks for duplicates may."""

    def lazy_load(self) -> Iterator[ChatSession]:
        seen = set()
        for session in super().lazy_load():
            seen |= {message.content for message in session["messages"]}
            yield session


class Slow(SoundLoader):
    def lazy_load(self) -> Iterator[ChatSession]:
        end = time.process_time() + 0.05
        yield from super().lazy_load()
        while time.process_time() < end:
            pass


class Suite(ChatLoaderIntegrationTests):
    @property
    def chat_loader_class(self) -> type[Any]:
        return SoundLoader

    @property
    def max_growth_bytes_per_message(self) -> float:
        return 0.0


def loader_of(kind: type[SoundLoader], tmp_path: Path) -> BaseChatLoader:
    return kind(write_source(tmp_path / "export", sessions=SESSIONS, lines=LINES))


def test_growing_memory_fails(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"bytes over [\d,]+ messages"):
        Suite().test_memory_is_flat(loader_of(RemembersTexts, tmp_path))


def test_growing_memory_within_the_bound_passes(tmp_path: Path) -> None:
    class Lenient(Suite):
        @property
        def max_growth_bytes_per_message(self) -> float:
            return 1000.0

    Lenient().test_memory_is_flat(loader_of(RemembersTexts, tmp_path))


def test_low_throughput_fails(tmp_path: Path) -> None:
    class Demanding(Suite):
        @property
        def min_messages_per_second(self) -> float:
            return SESSIONS * LINES / 0.05

    with pytest.raises(AssertionError, match="messages a second"):
        Demanding().test_throughput(loader_of(Slow, tmp_path))


@pytest.mark.parametrize("name", ["expected_sessions", "expected_messages"])
def test_other_counts_fail(name: str, tmp_path: Path) -> None:
    wrong = type("Wrong", (Suite,), {name: property(lambda _: 59)})
    with pytest.raises(AssertionError, match="== 59"):
        wrong().test_holds_the_expected_sessions(loader_of(SoundLoader, tmp_path))


class TestSoundLoaderAtScale(ChatLoaderIntegrationTests):
    @property
    def chat_loader_class(self) -> type[Any]:
        return SoundLoader

    @property
    def expected_sessions(self) -> int:
        return SESSIONS

    @property
    def expected_messages(self) -> int:
        return SESSIONS * LINES

    @property
    def min_messages_per_second(self) -> float:
        return 1000.0

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        return write_source(tmp_path / "export", sessions=SESSIONS, lines=LINES)
