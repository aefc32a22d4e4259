"""Tests that every session transform (step) should pass."""

import asyncio
import pickle
import warnings
import weakref
from abc import abstractmethod
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from copy import deepcopy
from typing import Any, cast

import pytest
from langchain_core._api import LangChainBetaWarning
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.chat_loaders import BaseChatLoader
from langchain_core.chat_sessions import ChatSession
from langchain_core.load import dumps, loads
from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.runnables import RunnableLambda

from langchain_chatexports.standard_tests.base import (
    ChatExportStandardTests,
    MemoryLimit,
    close,
)
from langchain_chatexports.steps import MergeChatRuns, SessionSource, SessionTransform

_EXTRA_KEY = "x_standard_tests"
_NO_OUTPUT = "there is no output: override the fixture `sessions`"
_START = 1_693_182_723  # The first message of LangChain's iMessage tutorial.
_DAY = 86_400


class SessionTransformTests(ChatExportStandardTests):
    """Properties and fixtures of the session transform suites."""

    @property
    @abstractmethod
    def transform_class(self) -> type[SessionTransform]:
        """The step's class."""

    @property
    def transform_params(self) -> dict[str, Any]:
        """The step's arguments."""
        return {}

    @pytest.fixture
    def sessions(self) -> list[ChatSession]:
        """The input of the step; the step must change it.

        Defaults to four two-day conversations between `Tortoise` (the owner) and
        `Hare`, each with 24 messages that contain runs.
        """
        return [example_session(number) for number in range(4)]

    @pytest.fixture
    def step(self) -> SessionTransform:
        """The step."""
        return self.transform_class(**self.transform_params)


class SessionTransformUnitTests(SessionTransformTests):
    """Base class for session transform unit tests.

    A subclass names the step in `transform_class` and `transform_params`, and overrides
    the fixture `sessions` if the step does not change the default ones.

    Most tests pass for any `SessionTransform`. The docstrings of the others explain
    what to do if they fail.
    """

    def test_returns_sessions(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test that the step returns sessions: plain dicts of messages."""
        output = step.invoke(sessions)
        assert output, _NO_OUTPUT
        for session in output:
            assert type(session) is dict
            for message in session.get("messages", ()):
                assert isinstance(message, BaseMessage)

    def test_input_forms_are_equivalent(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test that a list, an iterator, a loader, chunks and one session are accepted.

        If it fails: read the input of `lazy_transform` with `iter_sessions`.
        """
        expected = step.invoke(sessions)
        chunks: Any = [[session] for session in sessions]
        loader = CountingChatLoader(sessions)
        for source in (tuple(sessions), iter(sessions), loader, chunks):
            assert step.invoke(source) == expected
        assert step.invoke(sessions[0]) == step.invoke([sessions[0]])
        no_sessions: Any = [HumanMessage("a message")]
        with pytest.raises(TypeError, match=r"[Ss]ession"):
            step.invoke(no_sessions)

    @pytest.mark.parametrize("empty_input", [[], [{"messages": []}], [{}]], ids=repr)
    def test_empty_input_is_accepted(
        self, step: SessionTransform, empty_input: list[ChatSession]
    ) -> None:
        """Test that the step accepts an empty list and sessions without messages.

        If it fails: read the messages with `session.get("messages", ())`.
        """
        output = step.invoke(empty_input)
        assert empty_input or output == []
        assert not any(session.get("messages") for session in output)

    def test_parameters_are_validated_and_frozen(self, step: SessionTransform) -> None:
        """Test that unknown parameters are rejected and that steps are immutable.

        If it fails: do not override the `model_config` of `SessionTransform`.
        """
        params = {**self.transform_params, "no_such_parameter": 1}
        with pytest.raises((TypeError, ValueError), match="no_such_parameter"):
            self.transform_class(**params)
        for name in type(step).model_fields:
            with pytest.raises((TypeError, ValueError, AttributeError)):
                setattr(step, name, getattr(step, name))

    def test_input_is_not_changed(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test that the step does not modify sessions, messages or `additional_kwargs`.

        If it fails: copy messages with `message.model_copy(update={"content": …})`, and
        also copy `additional_kwargs` and the lists in it.
        """
        before = deepcopy(sessions)
        step.invoke(sessions)
        assert sessions == before

    def test_output_shares_no_objects(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test that output messages and sessions share no lists or `additional_kwargs`.

        If it fails: copy messages that appear in several sessions.
        """
        _check_no_shared_objects(step.invoke(sessions))

    def test_session_keys_are_kept(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test that sessions keep their other keys.

        If it fails: build sessions as `{**session, "messages": messages}`.
        """
        for session in sessions:
            extended: Any = {**session, _EXTRA_KEY: "kept"}
            for output in step.invoke([extended]):
                assert extended.keys() <= output.keys()
                assert dict(output)[_EXTRA_KEY] == "kept"

    def test_sessions_do_not_influence_each_other(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test that each session is transformed independently.

        If it fails: steps cannot work across sessions, for example to find duplicates
        or to split off validation data. Write a function over an iterable.
        """
        outputs = [step.invoke(session) for session in sessions]
        reversed_output = step.invoke(sessions[::-1])
        assert step.invoke(sessions) == [s for output in outputs for s in output]
        assert reversed_output == [s for output in outputs[::-1] for s in output]

    def test_input_is_read_lazily(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test that sessions are read one by one and that the input is closed.

        If it fails: iterate in `with closing(…)`, as `lazy_transform` does.
        """
        loader = CountingChatLoader(sessions)
        has_output = [bool(step.invoke(session)) for session in sessions]
        assert any(has_output), _NO_OUTPUT
        for output in (step.stream(loader), (loader | step).lazy_load()):
            loader.reads = loader.closed = 0
            next(output)
            assert loader.reads == 1 + has_output.index(True)
            close(output)
            assert loader.closed == 1

        async def read_first(outputs: AsyncGenerator[object, None]) -> None:
            loader.reads = loader.closed = 0
            async with aclosing(outputs):
                await anext(outputs)
                assert loader.reads == 1 + has_output.index(True)
            assert loader.closed == 1

        asyncio.run(read_first(step.astream(loader)))
        asyncio.run(read_first((loader | step).alazy_load()))

    def test_processed_sessions_are_released(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test that the step keeps no reference to a processed session.

        If it fails: look for a list on the step, a cache, or a local variable in a
        generator (`del` it before `yield`).
        """
        last, refs = sessions[-1], []

        def copies() -> Iterator[ChatSession]:
            for session in sessions:
                copied = deepcopy(session)
                refs.append([weakref.ref(m) for m in copied.get("messages", ())])
                yield copied
                del copied
            assert not any(ref() for session_refs in refs for ref in session_refs)
            yield last

        for chunk in step.stream(copies()):
            del chunk
        assert refs

    def test_works_in_pipes_and_chains(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test that `|` composes a step with loaders, steps and other runnables.

        If it fails: do not override `__or__` and `__ror__` of `SessionTransform`.
        """
        loader = CountingChatLoader(sessions)
        joined = loader | step
        assert isinstance(joined, BaseChatLoader)
        assert joined.load() == joined.load() == step.invoke(sessions)
        for left, right in ((step, MergeChatRuns()), (MergeChatRuns(), step)):
            expected = right.invoke(left.invoke(sessions))
            assert isinstance(left | right, SessionTransform)
            assert (loader | (left | right)).load() == expected
            assert ((loader | left) | right).load() == expected
        counter = step | RunnableLambda(len)
        assert list(counter.stream(sessions)) == [len(step.invoke(sessions))]

    def test_run_methods_are_equivalent(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test that all other run methods return the same sessions as `invoke`.

        If it fails: the streamed chunks are lists of sessions; concatenated, they must
        equal the result of `invoke`. For random numbers, use a `random.Random` with the
        seed from a parameter, and sort the items of sets.
        """
        expected = step.invoke(sessions)
        for chunks in (step.stream(sessions), step.transform(iter([*sessions]))):
            assert [s for chunk in chunks for s in chunk] == expected
        inputs: list[SessionSource] = [sessions, sessions[:1]]
        assert step.batch(inputs) == [expected, step.invoke(sessions[:1])]

        async def stream() -> list[ChatSession]:
            chunks = step.astream(sessions)
            return [session async for chunk in chunks for session in chunk]

        assert asyncio.run(step.ainvoke(sessions)) == expected
        assert asyncio.run(stream()) == expected

    def test_trace_has_name_and_counts_only(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test that traces, which LangSmith uploads, have counts but no content."""
        trace = _Recorder()
        output = step.invoke(sessions, {"callbacks": [trace]})
        assert [start["name"] for _, _, start in trace.starts] == [step.get_name()]
        assert trace.outputs == [{"sessions": len(output)}]
        trace_text = repr((trace.starts, trace.outputs))
        for message in (m for s in sessions for m in s.get("messages", ())):
            assert not message.text or str(message.text) not in trace_text

    def test_serializes(self, step: SessionTransform) -> None:
        """Test that `dumps` and `loads` return an equal step.

        Skipped if `is_lc_serializable` is false. If it fails: parameters must be JSON
        types or parsed from them, and the class must be importable from the module in
        `get_lc_namespace`.
        """
        if not step.is_lc_serializable():
            pytest.skip("`is_lc_serializable` is False")
        step_types = {type(part) for part in step.flattened()} | {type(step)}
        namespaces = {cls.get_lc_namespace()[0] for cls in step_types}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LangChainBetaWarning)
            restored = loads(
                dumps(step),
                allowed_objects=list(step_types),
                valid_namespaces=sorted(namespaces),
            )
        assert restored == step

    def test_pickles_and_hashes(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test that a step can be pickled and hashed and that equal steps work alike.

        If it fails: remove lambdas and open files from the parameters and private
        attributes, and declare collections as tuples.
        """
        restored = pickle.loads(pickle.dumps(step))
        for equal_step in (restored, self.transform_class(**self.transform_params)):
            assert equal_step == step
            assert equal_step.invoke(sessions) == step.invoke(sessions)
            assert hash(equal_step) == hash(step)


class SessionTransformIntegrationTests(MemoryLimit, SessionTransformTests):
    """Base class for session transform integration tests, on many sessions.

    Properties are as in `SessionTransformUnitTests`; the fixture `sessions` is repeated
    `repetitions` times.
    """

    @property
    def repetitions(self) -> int:
        """The number of repetitions of the sessions."""
        return 20

    def test_memory_is_flat(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test that processed sessions do not stay in memory."""
        self.check_memory(lambda: step.lazy_transform(self._copies(sessions)))

    def _copies(self, sessions: list[ChatSession]) -> Iterator[ChatSession]:
        for _ in range(self.repetitions):
            for session in sessions:
                yield deepcopy(session)


def _check_no_shared_objects(sessions: list[ChatSession]) -> None:
    """Check that no two messages or sessions share a list or `additional_kwargs`."""
    messages = [m for session in sessions for m in session.get("messages", ())]
    for objects in (
        sessions,
        [session.get("messages") for session in sessions],
        messages,
        [message.additional_kwargs for message in messages],
    ):
        assert len({id(item) for item in objects}) == len(objects)


class CountingChatLoader(BaseChatLoader):
    """A loader that counts the sessions read and the calls of `close`."""

    def __init__(self, sessions: list[ChatSession]) -> None:
        self.sessions = sessions
        self.reads = 0
        self.closed = 0

    def lazy_load(self) -> Iterator[ChatSession]:
        """Yield the sessions one by one."""
        try:
            for session in self.sessions:
                self.reads += 1
                yield session
        finally:
            self.closed += 1


class _Recorder(BaseCallbackHandler):
    """Records the starts and outputs of runs."""

    def __init__(self) -> None:
        self.starts: list[tuple[Any, Any, dict[str, Any]]] = []
        self.outputs: list[Any] = []

    def on_chain_start(
        self, serialized: dict[str, Any], inputs: dict[str, Any], **kwargs: Any
    ) -> None:
        self.starts.append((serialized, inputs, kwargs))

    def on_chain_end(self, outputs: dict[str, Any], **kwargs: Any) -> None:
        del kwargs
        self.outputs.append(outputs)


def example_session(number: int) -> ChatSession:
    """Build a conversation of 24 messages with runs, the second half a day later."""
    senders = ("Tortoise", "Hare", "Hare", "Tortoise", "Tortoise", "Hare")
    messages = []
    for index in range(24):
        sender = senders[(index + number) % len(senders)]
        kwargs = {
            "message_time": _START + index * 30 + (_DAY if index >= 12 else 0),
            "sender": sender,
            "is_from_me": sender == "Tortoise",
            "events": [{"message_time": f"2023-08-28T00:00:{index:02}+00:00"}],
        }
        text = f"Line {index} of race {number}, by {sender}."
        message_id = f"race-{number}-{index}"
        messages.append(HumanMessage(text, additional_kwargs=kwargs, id=message_id))
    session: Any = {"messages": messages, "metadata": {"id": f"race-{number}"}}
    return cast("ChatSession", session)
