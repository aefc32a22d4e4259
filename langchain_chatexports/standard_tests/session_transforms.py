"""Tests that every session transform (step) should pass."""

import asyncio
import pickle
import warnings
import weakref
from abc import abstractmethod
from collections.abc import Iterator
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
    Bounds,
    ChatExportStandardTests,
    check_nothing_is_shared,
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
        """Sessions that the step changes.

        By default four conversations of two people (`Tortoise`, the owner, and
        `Hare`), each of 24 messages with runs, over two days.
        """
        return [example_session(number) for number in range(4)]

    @pytest.fixture
    def step(self) -> SessionTransform:
        """The step."""
        return self.transform_class(**self.transform_params)


class SessionTransformUnitTests(SessionTransformTests):
    """Base class for session transform unit tests.

    ```python
    class TestDropShortSessions(SessionTransformUnitTests):
        @property
        def transform_class(self):
            return DropShortSessions

        @property
        def transform_params(self):
            return {"at_least": 10}
    ```

    Override the fixture `sessions` if the step does not change the default ones.

    `SessionTransform` passes most tests. The docstrings of the others explain what to
    do if they fail.
    """

    # --- inputs and outputs

    def test_gives_something_for_the_sessions(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test that the step returns sessions: plain dicts of messages."""
        output = step.invoke(sessions)
        assert output, _NO_OUTPUT
        for session in output:
            assert type(session) is dict
            for message in session.get("messages", ()):
                assert isinstance(message, BaseMessage)

    def test_every_input_form_gives_the_same(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test a list, a generator, a chat loader, chunks and one session.

        If it fails: read the input of `lazy_transform` with `iter_sessions`.
        """
        expected = step.invoke(sessions)
        chunks: Any = [[session] for session in sessions]
        loader = CountingChatLoader(sessions)
        for given in (tuple(sessions), iter(sessions), loader, chunks):
            assert step.invoke(given) == expected
        assert step.invoke(sessions[0]) == step.invoke([sessions[0]])
        no_sessions: Any = [HumanMessage("a message")]
        with pytest.raises(TypeError, match=r"[Ss]ession"):
            step.invoke(no_sessions)

    @pytest.mark.parametrize("given", [[], [{"messages": []}], [{}]], ids=repr)
    def test_nothing_to_transform_is_no_error(
        self, step: SessionTransform, given: list[ChatSession]
    ) -> None:
        """Test no sessions, an empty session, and one without the key `messages`.

        If it fails: read the messages with `session.get("messages", ())`.
        """
        output = step.invoke(given)
        assert given or output == []
        assert not any(session.get("messages") for session in output)

    def test_parameters_are_checked_and_fixed(self, step: SessionTransform) -> None:
        """Test that unknown parameters are errors, and that steps are immutable.

        If it fails: keep the `model_config` of `SessionTransform`.
        """
        params = {**self.transform_params, "no_such_parameter": 1}
        with pytest.raises((TypeError, ValueError), match="no_such_parameter"):
            self.transform_class(**params)
        for name in type(step).model_fields:
            with pytest.raises((TypeError, ValueError, AttributeError)):
                setattr(step, name, getattr(step, name))

    # --- data

    def test_input_is_not_changed(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test that sessions, messages and `additional_kwargs` are not changed.

        If it fails: use copies, `message.model_copy(update={"content": …})`, with a new
        dict for `additional_kwargs` and new lists in it.
        """
        before = deepcopy(sessions)
        step.invoke(sessions)
        assert sessions == before

    def test_output_shares_nothing(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test that no message, list or `additional_kwargs` is twice in the output.

        If it fails: copy messages that are in several sessions.
        """
        check_nothing_is_shared(step.invoke(sessions))

    def test_session_keys_are_kept(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test that sessions keep their other keys.

        If it fails: build sessions as `{**session, "messages": messages}`.
        """
        for session in sessions:
            given: Any = {**session, _EXTRA_KEY: "kept"}
            for output in step.invoke([given]):
                assert given.keys() <= output.keys()
                assert dict(output)[_EXTRA_KEY] == "kept"

    def test_is_deterministic(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test that the result is the same again, and with an equal step.

        If it fails: use a `random.Random` whose seed is a parameter, and sort the items
        of sets.
        """
        expected = step.invoke(sessions)
        assert step.invoke(sessions) == expected
        again = self.transform_class(**self.transform_params)
        assert again.invoke(sessions) == expected

    def test_sessions_do_not_influence_each_other(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test that each session is transformed independently.

        If it fails: write a function over an iterable for work across sessions, such as
        finding duplicates or splitting off a validation set.
        """
        alone = [step.invoke(session) for session in sessions]
        backwards = step.invoke(sessions[::-1])
        assert step.invoke(sessions) == [s for output in alone for s in output]
        assert backwards == [s for output in alone[::-1] for s in output]

    # --- laziness

    def test_reads_only_what_an_output_needs(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test that sessions are read one by one, and that an early stop closes.

        If it fails: iterate in `with closing(…)`, as `lazy_transform` does.
        """
        loader = CountingChatLoader(sessions)
        gives = [bool(step.invoke(session)) for session in sessions]
        assert any(gives), _NO_OUTPUT
        for output in (step.stream(loader), (loader | step).lazy_load()):
            loader.reads = loader.closed = 0
            next(output)
            assert loader.reads == 1 + gives.index(True)
            close(output)
            assert loader.closed == 1

    def test_forgets_sessions(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test that the step keeps no reference to a processed session.

        If it fails: look for a list on the step, a cache, or a local variable of a
        generator (`del` it before `yield`).
        """
        last, refs = sessions[-1], []

        def fresh() -> Iterator[ChatSession]:
            for session in sessions:
                copied = deepcopy(session)
                refs.append([weakref.ref(m) for m in copied.get("messages", ())])
                yield copied
                del copied
            assert not any(ref() for kept in refs for ref in kept)
            yield last

        for chunk in step.stream(fresh()):
            del chunk
        assert refs

    # --- use with loaders, with steps, in chains

    def test_works_in_pipes_and_chains(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test that `|` composes with loaders and steps, and with LCEL otherwise.

        If it fails: leave `__or__` and `__ror__` to `SessionTransform`.
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
        counting = step | RunnableLambda(len)
        assert list(counting.stream(sessions)) == [len(step.invoke(sessions))]

    def test_every_way_to_run_gives_the_same(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test `stream`, `transform`, `batch` and the asynchronous methods.

        If it fails: streamed chunks are lists of sessions that add up to what `invoke`
        gives.
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
        """Test that a trace has the number of sessions, but not their content.

        With LangSmith, traces leave the machine.
        """
        trace = _Recorder()
        output = step.invoke(sessions, {"callbacks": [trace]})
        assert [start["name"] for _, _, start in trace.starts] == [step.get_name()]
        assert trace.outputs == [{"sessions": len(output)}]
        shown = repr((trace.starts, trace.outputs))
        for message in (m for s in sessions for m in s.get("messages", ())):
            assert not message.text or str(message.text) not in shown

    # --- a step as a value

    def test_serializes(self, step: SessionTransform) -> None:
        """Test that `dumps` and `loads` return an equal step.

        Skipped if `is_lc_serializable` is false. If it fails: parameters must be JSON
        types or parsed from them, and the class importable from the module in
        `get_lc_namespace`.
        """
        if not step.is_lc_serializable():
            pytest.skip("`is_lc_serializable` is False")
        kinds = {type(single) for single in step.flattened()} | {type(step)}
        namespaces = {kind.get_lc_namespace()[0] for kind in kinds}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LangChainBetaWarning)
            again = loads(
                dumps(step),
                allowed_objects=list(kinds),
                valid_namespaces=sorted(namespaces),
            )
        assert again == step

    def test_pickles_and_hashes(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test that a step can be pickled, and is hashable.

        If it fails: remove lambdas and open files from the parameters and private
        attributes, and declare collections as tuples.
        """
        sent = pickle.loads(pickle.dumps(step))
        assert sent.invoke(sessions) == step.invoke(sessions)
        for again in (sent, self.transform_class(**self.transform_params)):
            assert again == step
            assert hash(again) == hash(step)


class SessionTransformIntegrationTests(Bounds, SessionTransformTests):
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


class CountingChatLoader(BaseChatLoader):
    """A loader that counts reads of its sessions, and how often it is closed."""

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
    """Records the beginnings and ends of runs."""

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
    """Build a conversation of 24 messages, with runs, half of it a day later."""
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
        name = f"race-{number}-{index}"
        messages.append(HumanMessage(text, additional_kwargs=kwargs, id=name))
    session: Any = {"messages": messages, "metadata": {"id": f"race-{number}"}}
    return cast("ChatSession", session)
