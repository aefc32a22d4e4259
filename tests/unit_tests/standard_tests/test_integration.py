"""The suites for large exports fail a broken loader and a broken step."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.chat_sessions import ChatSession
from pydantic import PrivateAttr

from langchain_chatexports.chat_loaders.schema import ExportSession
from langchain_chatexports.standard_tests import (
    ChatLoaderIntegrationTests,
    SessionTransformIntegrationTests,
)
from langchain_chatexports.steps import MergeChatRuns, SessionTransform
from tests.unit_tests.builders.sessions import talk
from tests.unit_tests.standard_tests.broken_loaders import SoundLoader, write_source

SESSIONS, LINES = 60, 100
TALKS = [talk(*(f"Hare: {n} {'x' * 200}" for n in range(20))) for _ in range(5)]


class LoaderSuite(ChatLoaderIntegrationTests):
    chat_loader_class: Any = SoundLoader
    expected_sessions = SESSIONS
    expected_messages = SESSIONS * LINES
    max_growth_bytes_per_message = 0.0


class StepSuite(SessionTransformIntegrationTests):
    transform_class: Any = MergeChatRuns
    max_growth_bytes_per_message = 0.0


class StoresTexts(SoundLoader):
    """Stores all texts, as a loader may do to find duplicates."""

    def lazy_load(self) -> Iterator[ExportSession]:
        seen = set()
        for session in super().lazy_load():
            seen |= {message.content for message in session["messages"]}
            yield session


class DropsASession(SoundLoader):
    def lazy_load(self) -> Iterator[ExportSession]:
        sessions = super().lazy_load()
        next(sessions)
        yield from sessions


class StoresSessions(SessionTransform):
    _stored: list[ChatSession] = PrivateAttr(default_factory=list)

    def transform_session(self, session: ChatSession) -> Iterable[ChatSession]:
        self._stored.append(session)
        return (session,)


BROKEN: dict[str, type[SoundLoader]] = {
    "test_loads_expected_counts": DropsASession,
    "test_memory_is_flat": StoresTexts,
}


@pytest.mark.parametrize("loader_class", [SoundLoader, *BROKEN.values()])
def test_broken_loader_fails_one_check(
    tmp_path: Path, loader_class: type[SoundLoader]
) -> None:
    source = write_source(tmp_path / "export", sessions=SESSIONS, lines=LINES)
    for check, broken in BROKEN.items():
        run_check = getattr(LoaderSuite(), check)
        if loader_class is broken:
            with pytest.raises(AssertionError):
                run_check(loader_class(source))
        else:
            run_check(loader_class(source))


def test_check_passes_sound_and_fails_broken_step() -> None:
    StepSuite().test_memory_is_flat(MergeChatRuns(), TALKS)
    with pytest.raises(AssertionError, match=r"bytes over [\d,]+ messages"):
        StepSuite().test_memory_is_flat(StoresSessions(), TALKS)
