from collections.abc import Iterable, Iterator
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from threading import current_thread
from typing import Any

import pytest
from langchain_core.chat_sessions import ChatSession
from langchain_core.runnables import RunnableLambda

from langchain_chatexports.chat_loaders.pipe import TransformedChatLoader
from langchain_chatexports.chat_loaders.schema import ExportSession
from langchain_chatexports.steps import (
    ChunkSessions,
    MapAIMessages,
    MergeChatRuns,
    SessionTransform,
)
from tests.unit_tests.builders.sessions import ExportLoader, ListLoader, talk

RACES = [
    talk("Hare: Speed", "Hare: is key!", "Tortoise: Indeed."),
    talk("Tortoise: Slow."),
]


def test_path_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert ExportLoader([], "~/chat.db").path == tmp_path / "chat.db"


@pytest.mark.parametrize("option", ["start", "end"])
def test_naive_datetime_is_refused(option: str) -> None:
    bounds: Any = {option: datetime(2023, 8, 28)}  # noqa: DTZ001 - the point
    with pytest.raises(ValueError, match=f"{option} has no time zone"):
        ExportLoader([], **bounds)


def test_unknown_kind_in_keep_is_refused() -> None:
    with pytest.raises(ValueError, match=r"keep: \['reactions'\]\. .*'reaction'"):
        ExportLoader([], keep=("reactions", "system"))
    assert ExportLoader([], keep="channel").keep == {"channel"}


def test_repr_shows_class_and_path() -> None:
    loader = ExportLoader(RACES, "races.json", owner="Harry Potter")
    assert repr(loader) == "ExportLoader(path='races.json')"


def test_repr_shows_steps() -> None:
    joined = ExportLoader(RACES) | MergeChatRuns() | ChunkSessions(size=4)
    assert repr(joined) == (
        "ExportLoader(path='races.json') | MergeChatRuns() | ChunkSessions(size=4)"
    )


async def test_async_load_equals_load() -> None:
    loader = ExportLoader(RACES)
    assert await loader.aload() == loader.load()
    assert [session async for session in loader.alazy_load()] == loader.load()


async def test_async_load_is_lazy_and_uses_a_thread() -> None:
    threads: list[str] = []

    class ThreadRecorder(ExportLoader):
        def lazy_load(self) -> Iterator[ExportSession]:
            threads.append(current_thread().name)
            return super().lazy_load()

    sessions = ThreadRecorder(RACES).alazy_load()
    assert not threads
    async with aclosing(sessions):
        await anext(sessions)
    assert threads != [current_thread().name]


@pytest.mark.parametrize("other", [3, "step", RunnableLambda(len), ListLoader([])])
def test_loader_joins_with_steps_only(other: Any) -> None:
    with pytest.raises(TypeError, match=r"Write \(steps \| other\).invoke\(loader\)"):
        ExportLoader(RACES) | other


def test_inspect_counts_foreign_loader() -> None:
    summary = (ListLoader(RACES) | MergeChatRuns()).inspect()
    assert (summary.platform, summary.found, summary.kept) == ("unknown", 4, 4)
    assert summary.skipped == {}


def test_inspect_sees_through_nested_loaders() -> None:
    loader = ExportLoader(RACES)
    inner = loader | MergeChatRuns()
    summary = TransformedChatLoader(inner, MapAIMessages() | ChunkSessions()).inspect()
    names = [step.name for step in summary.steps]
    assert names == ["MergeChatRuns", "MapAIMessages", "ChunkSessions"]
    assert summary.platform == "races"
    assert (loader.passes, loader.closed) == (1, 1)


def test_dropped_iterator_closes_export() -> None:
    """Without waiting for the garbage collector."""
    loader = ExportLoader(RACES)
    sessions = loader.lazy_load()
    next(sessions)
    del sessions
    assert loader.closed == 1


def test_inspect_closes_export_if_step_fails() -> None:
    class Fails(SessionTransform):
        def transform_session(self, session: ChatSession) -> Iterable[ChatSession]:
            raise LookupError(len(session))

    loader = ExportLoader(RACES)
    with pytest.raises(LookupError) as caught:
        (loader | MergeChatRuns() | Fails()).inspect()
    assert loader.closed == 1
    # The traceback keeps the frames alive, so that only `inspect` closes the export.
    assert caught.value.__traceback__
