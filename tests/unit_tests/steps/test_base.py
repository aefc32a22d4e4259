"""Steps as Runnables, with loaders of this and other packages."""

import asyncio
import threading
import tracemalloc
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import HumanMessage
from langchain_core.runnables import ConfigurableField, RunnableLambda

from langchain_chatexports import to_training_examples
from langchain_chatexports.steps import (
    ChunkSessions,
    MapAIMessages,
    MergeChatRuns,
    SessionPipeline,
    SessionTransform,
    iter_sessions,
)
from tests.unit_tests.builders.sessions import (
    GrowingLoader,
    ListLoader,
    SQLiteLoader,
    Trace,
    talk,
)

RACES = [
    talk("Hare: Speed", "Hare: is key!", "Tortoise: No.", id=f"race-{n}")
    for n in range(4)
]
PREPARE = MergeChatRuns() | MapAIMessages(sender="Tortoise")


class Fails(SessionTransform):
    def transform_session(self, session: ChatSession) -> Iterable[ChatSession]:
        del session
        msg = "the step failed"
        raise LookupError(msg)


def test_nested_iterables_are_read_in_order() -> None:
    nested: Any = [RACES[0], [RACES[1], (RACES[2],)], ListLoader(RACES[3:])]
    assert list(iter_sessions(nested)) == RACES


def test_message_instead_of_session_closes_the_source() -> None:
    closed = []

    def mixed() -> Iterator[Any]:
        try:
            yield RACES[0]
            yield HumanMessage("no session")
        finally:
            closed.append(True)

    with pytest.raises(TypeError, match="Wrap messages") as caught:
        MergeChatRuns().invoke(mixed())
    # The traceback keeps the frames alive, so garbage collection closed nothing.
    assert closed
    assert caught.value.__traceback__


def test_failing_step_closes_the_loader() -> None:
    loader = ListLoader(RACES)
    with pytest.raises(LookupError) as caught:
        (MergeChatRuns() | Fails()).invoke(loader)
    assert loader.closed == 1
    assert caught.value.__traceback__


@pytest.mark.parametrize(
    "right",
    [
        MergeChatRuns().with_config(run_name="merge"),
        MapAIMessages().configurable_fields(sender=ConfigurableField(id="ai")),
        RunnableLambda(len),
        MergeChatRuns() | RunnableLambda(len),
    ],
    ids=lambda right: type(right).__name__,
)
@pytest.mark.parametrize(
    "loader", [ListLoader(RACES), ListLoader(RACES) | MergeChatRuns()], ids=["", "ours"]
)
def test_loader_only_joins_with_steps(loader: Any, right: Any) -> None:
    with pytest.raises(TypeError, match=r"Expected a Runnable|Write .steps"):
        loader | right


def test_loader_after_a_step_is_an_error() -> None:
    loader: Any = ListLoader(RACES)
    with pytest.raises(TypeError, match="loader must come before its steps"):
        MergeChatRuns() | loader


def test_error_shows_how_to_call_a_function() -> None:
    left: Any
    for left in (MergeChatRuns(), ListLoader([]) | MergeChatRuns()):
        with pytest.raises(TypeError, match=r"to_training_examples\(loader \| steps\)"):
            left | to_training_examples


def test_steps_print_as_code() -> None:
    assert str(MergeChatRuns()) == "MergeChatRuns()"
    assert str(MergeChatRuns() | ChunkSessions()) == "MergeChatRuns() | ChunkSessions()"


def test_step_joins_with_a_custom_generator_function() -> None:
    def count(chunks: Iterator[list[ChatSession]]) -> Iterator[int]:
        yield sum(map(len, chunks))

    assert (MergeChatRuns() | count).invoke(RACES) == len(RACES)


def test_custom_step_has_its_own_namespace() -> None:
    assert Fails.get_lc_namespace() == __name__.split(".")


def test_pipeline_of_pipelines_is_flat() -> None:
    a, b, c = MergeChatRuns(), MapAIMessages(), ChunkSessions()
    assert SessionPipeline(steps=(a, SessionPipeline(steps=(b, c)))).steps == (a, b, c)


@pytest.mark.parametrize("bad", [3, "text", [HumanMessage("secret")]], ids=repr)
def test_bad_input_fails_the_run(bad: Any) -> None:
    trace = Trace()
    with pytest.raises(TypeError):
        MergeChatRuns().invoke(bad, {"callbacks": [trace]})
    assert [type(error) for error in trace.errors] == [TypeError]
    assert "secret" not in str(trace.errors)


def test_trace_contains_no_input_and_no_names() -> None:
    """A step's `sender` is a person's name, and traces may leave the machine."""
    trace = Trace()
    PREPARE.invoke(ListLoader(RACES), {"callbacks": [trace]})
    [(serialized, inputs, _)] = trace.starts
    assert (serialized, inputs) == (None, {"input": ""})
    assert "Tortoise" not in repr(trace.starts)


class LoopLoader(ListLoader):
    """Waits for the event loop, which must not be blocked, before each session."""

    def __init__(self, sessions: Sequence[ChatSession]) -> None:
        super().__init__(sessions)
        self.rounds = 0
        self._loop = asyncio.get_running_loop()

    def lazy_load(self) -> Iterator[ChatSession]:
        for session in super().lazy_load():
            is_called = threading.Event()
            self._loop.call_soon_threadsafe(is_called.set)
            if not is_called.wait(240):
                return
            self.rounds += 1
            yield session


async def test_event_loop_stays_free_while_a_loader_reads() -> None:
    loader = LoopLoader(RACES)
    await PREPARE.ainvoke(loader)
    assert loader.rounds == len(RACES)


async def test_sqlite_loader_is_used_on_one_thread(tmp_path: Path) -> None:
    loader = SQLiteLoader(tmp_path / "lines.db", 50)
    async with aclosing((loader | MergeChatRuns()).alazy_load()) as sessions:
        await anext(sessions)
    assert loader.closed == 1


ASYNC_READS: dict[str, Callable[[Any], AsyncGenerator[object, None]]] = {
    "loader": lambda loader: (loader | PREPARE).alazy_load(),
    "stream": PREPARE.astream,
    "transform": lambda loader: PREPARE.atransform(_chunks_of(loader)),
}


async def _chunks_of(loader: Any) -> AsyncGenerator[Any, None]:
    yield loader


@pytest.mark.parametrize("read", ASYNC_READS.values(), ids=ASYNC_READS)
async def test_async_output_is_lazy_and_closes_the_loader(
    read: Callable[[Any], AsyncGenerator[object, None]],
) -> None:
    loader = ListLoader(RACES)
    async with aclosing(read(loader)) as outputs:
        await anext(outputs)
        assert (loader.reads, loader.closed) == (1, 0)
    assert (loader.reads, loader.closed) == (1, 1)


@pytest.mark.parametrize("read", ASYNC_READS.values(), ids=ASYNC_READS)
async def test_async_output_uses_one_thread(
    read: Callable[[Any], AsyncGenerator[object, None]], tmp_path: Path
) -> None:
    loader = SQLiteLoader(tmp_path / "lines.db", 50)
    assert len([item async for item in read(loader)]) == len(loader.load())
    async with aclosing(read(loader)) as outputs:
        await anext(outputs)
    assert loader.closed == 3


async def test_async_stream_leaves_the_event_loop_free() -> None:
    loader = LoopLoader(RACES)
    assert len([chunk async for chunk in PREPARE.astream(loader)]) == len(RACES)
    assert loader.rounds == len(RACES)


async def test_async_streams_of_steps_add_up() -> None:
    chain = PREPARE | RunnableLambda(len)
    assert [size async for size in chain.astream(RACES)] == [len(RACES)]
    async with aclosing(PREPARE.astream(RACES)) as chunks:
        assert [s async for c in chunks for s in c] == PREPARE.invoke(RACES)


@pytest.mark.parametrize("is_closed_early", [False, True])
async def test_async_run_is_traced(is_closed_early: bool) -> None:
    trace = Trace()
    async with aclosing(PREPARE.astream(RACES, {"callbacks": [trace]})) as chunks:
        async for _ in chunks:
            if is_closed_early:
                break
    assert len(trace.starts) == 1
    assert trace.outputs == [{"sessions": 1 if is_closed_early else len(RACES)}]


async def test_async_error_is_traced_and_closes_the_loader() -> None:
    trace, loader = Trace(), ListLoader(RACES)
    with pytest.raises(LookupError):
        await anext(Fails().astream(loader, {"callbacks": [trace]}))
    assert [type(error) for error in trace.errors] == [LookupError]
    assert loader.closed == 1


class WaitingLoader(ListLoader):
    """Waits in its second session until it is released."""

    def __init__(self, sessions: Sequence[ChatSession]) -> None:
        super().__init__(sessions)
        self.is_waiting, self.is_released = threading.Event(), threading.Event()

    def lazy_load(self) -> Iterator[ChatSession]:
        for session in super().lazy_load():
            yield session
            self.is_waiting.set()
            assert self.is_released.wait(240)


async def test_cancelled_task_closes_the_loader() -> None:
    trace, loader = Trace(), WaitingLoader(RACES)

    async def read() -> None:
        async for _ in PREPARE.astream(loader, {"callbacks": [trace]}):
            pass

    task = asyncio.create_task(read())
    await asyncio.to_thread(loader.is_waiting.wait, 240)
    task.cancel()
    await asyncio.sleep(0)
    loader.is_released.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert loader.closed == 1
    assert [type(error) for error in trace.errors] == [asyncio.CancelledError]


@pytest.mark.parametrize("step", [MergeChatRuns(), MapAIMessages() | MergeChatRuns()])
def test_bound_arguments_are_an_error(step: SessionTransform) -> None:
    with pytest.raises(TypeError, match=r"MergeChatRuns\(delimiter=\.\.\.\)"):
        step.bind(delimiter=" ").invoke(RACES)


READS: dict[str, Callable[[GrowingLoader], Iterable[object]]] = {
    "loader": lambda loader: (loader | PREPARE).lazy_load(),
    "stream": PREPARE.stream,
    "transform": lambda loader: PREPARE.transform([s] for s in loader.lazy_load()),
    "with config": lambda loader: PREPARE.with_config(tags=["x"]).stream(loader),
    "traced": lambda loader: PREPARE.stream(loader, {"callbacks": [Trace()]}),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_one_session_is_in_memory_at_a_time(
    read: Callable[[GrowingLoader], Iterable[object]],
) -> None:
    """100 sessions of 20 messages take about 3 MB if they are all in memory."""
    for chunk in read(GrowingLoader(2)):
        del chunk
    tracemalloc.start()
    try:
        for chunk in read(GrowingLoader(100)):
            del chunk
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 400_000
