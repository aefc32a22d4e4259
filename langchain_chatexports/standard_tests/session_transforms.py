"""Unit tests that every session transform (step) should pass."""

from __future__ import annotations

import asyncio
import pickle
import warnings
import weakref
from abc import abstractmethod
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from langchain_core._api import LangChainBetaWarning
from langchain_core.chat_loaders import BaseChatLoader
from langchain_core.chat_sessions import ChatSession
from langchain_core.load import dumps, loads
from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.runnables import RunnableConfig, RunnableLambda

from langchain_chatexports.standard_tests.base import ChatExportStandardTests
from langchain_chatexports.standard_tests.fakes import (
    CountingChatLoader,
    Recorder,
    example_session,
)
from langchain_chatexports.standard_tests.resources import close
from langchain_chatexports.steps import (
    MergeChatRuns,
    SessionSource,
    SessionTransform,
)

_EXTRA_KEY = "x_standard_tests"
_NOTHING_CAME_OUT = "no session came out: override the fixture `sessions`"


class SessionTransformTests(ChatExportStandardTests):
    """Properties and fixtures of the session transform suite."""

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
        """Sessions that the step does something with.

        The default: four conversations of two people (`Tortoise`, the owner, and
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
    from langchain_chatexports.standard_tests import SessionTransformUnitTests
    from my_package import DropShortSessions


    class TestDropShortSessions(SessionTransformUnitTests):
        @property
        def transform_class(self):
            return DropShortSessions

        @property
        def transform_params(self):
            return {"at_least": 10}
    ```

    Override the fixture `sessions` if the step does nothing with the default ones.

    A step that implements `transform_session` only passes most tests, because
    `SessionTransform` does the rest. The docstrings of the others say what to do.
    """

    # --- what goes in and what comes out

    def test_gives_something_for_the_sessions(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test that the step gives sessions for `sessions`: plain dicts of messages.

        ??? note "Troubleshooting"

            If nothing comes out, the other checks check nothing: override the fixture
            `sessions`.
        """
        output = step.invoke(sessions)
        assert isinstance(output, list)
        assert output, _NOTHING_CAME_OUT
        for session in output:
            assert type(session) is dict
            for message in session.get("messages", ()):
                assert isinstance(message, BaseMessage)

    def test_every_input_form_gives_the_same(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test a list, a tuple, a generator, a chat loader and chunks of sessions.

        ??? note "Troubleshooting"

            If `lazy_transform` is overridden, read its input with `iter_sessions`.
        """
        expected = step.invoke(sessions)
        assert step.invoke(tuple(sessions)) == expected
        assert step.invoke(session for session in sessions) == expected
        assert step.invoke(CountingChatLoader(sessions)) == expected
        chunks: Any = [[session] for session in sessions]
        assert step.invoke(chunks) == expected
        assert list(step.lazy_transform(sessions)) == expected

    def test_one_session_gives_a_list(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test that a single session may be given instead of a list of one."""
        assert step.invoke(sessions[0]) == step.invoke([sessions[0]])

    @pytest.mark.parametrize(
        "bad", [3, "text", b"bytes", None, [HumanMessage("a message")]], ids=repr
    )
    def test_bad_input_is_a_type_error(self, step: SessionTransform, bad: Any) -> None:
        """Test that what holds no sessions is refused, in plain words."""
        with pytest.raises(TypeError, match=r"[Ss]ession"):
            step.invoke(bad)

    def test_no_sessions_give_an_empty_list(self, step: SessionTransform) -> None:
        """Test that an export without sessions is no error.

        ??? note "Troubleshooting"

            Do not ask for a first session or a first message before it is known to be
            there.
        """
        assert step.invoke([]) == []

    @pytest.mark.parametrize("session", [{"messages": []}, {}], ids=repr)
    def test_session_without_messages_is_no_error(
        self, step: SessionTransform, session: ChatSession
    ) -> None:
        """Test a session that is empty, or lacks `messages` (its keys are optional).

        ??? note "Troubleshooting"

            Read the messages with `session.get("messages", ())`.
        """
        for output in step.invoke([session]):
            assert not output.get("messages")

    def test_unknown_parameter_is_rejected(self) -> None:
        """Test that a misspelled parameter is an error.

        ??? note "Troubleshooting"

            Keep `extra="forbid"` in the `model_config` of `SessionTransform`.
        """
        params = {**self.transform_params, "no_such_parameter": 1}
        with pytest.raises((TypeError, ValueError), match="no_such_parameter"):
            self.transform_class(**params)

    def test_is_frozen(self, step: SessionTransform) -> None:
        """Test that a step cannot be changed, so that threads may share it.

        ??? note "Troubleshooting"

            Keep `frozen=True` in the `model_config` of `SessionTransform`; what depends
            on the parameters is computed in a validator or in `transform_session`.
        """
        for name in type(step).model_fields:
            with pytest.raises((TypeError, ValueError, AttributeError)):
                setattr(step, name, getattr(step, name))

    # --- what a step promises about data

    def test_input_is_not_changed(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test that sessions, messages and their `additional_kwargs` stay as they were.

        ??? note "Troubleshooting"

            Change copies: `message.model_copy(update={"content": …})`, with a new dict
            for `additional_kwargs` and new lists in it.
        """
        before = deepcopy(sessions)
        step.invoke(sessions)
        assert sessions == before

    def test_output_shares_nothing(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test that no message, list or `additional_kwargs` is twice in the output.

        ??? note "Troubleshooting"

            A message that goes into a second session is copied for it, with its own
            `additional_kwargs`.
        """
        output = step.invoke(sessions)
        messages = [m for session in output for m in session.get("messages", ())]
        for objects in (
            output,
            [session.get("messages") for session in output],
            messages,
            [message.additional_kwargs for message in messages],
        ):
            assert len({id(item) for item in objects}) == len(objects)

    def test_session_keys_are_kept(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test that sessions keep what they hold beside `messages`.

        ??? note "Troubleshooting"

            Build sessions as `{**session, "messages": messages}`.
        """
        for session in sessions:
            given: Any = {**session, "functions": [], _EXTRA_KEY: "kept"}
            for output in step.invoke([given]):
                kept: dict[str, Any] = {**output}
                assert given.keys() <= kept.keys()
                assert kept["functions"] == []
                assert kept[_EXTRA_KEY] == "kept"

    def test_is_deterministic(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test that the same sessions give the same, again and with an equal step.

        ??? note "Troubleshooting"

            Draw random numbers from a `random.Random` with a seed that is a parameter,
            made anew for each session, and sort what comes out of a set.
        """
        expected = step.invoke(sessions)
        assert step.invoke(sessions) == expected
        assert self.transform_class(**self.transform_params).invoke(sessions) == (
            expected
        )

    def test_sessions_do_not_influence_each_other(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test that each session is transformed as if it were alone.

        ??? note "Troubleshooting"

            A step keeps nothing between sessions. Work over all sessions (finding
            duplicates, splitting off a validation set) is a function over an iterable.
        """
        alone = [step.invoke(session) for session in sessions]
        backwards = step.invoke(sessions[::-1])
        assert step.invoke(sessions) == [s for output in alone for s in output]
        assert backwards == [s for output in alone[::-1] for s in output]

    # --- laziness

    def test_stream_adds_up_to_invoke(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test that streamed chunks are lists that add up to what `invoke` gives."""
        expected = step.invoke(sessions)
        streamed = list(step.stream(sessions))
        transformed = list(step.transform(iter([*sessions])))
        assert all(isinstance(chunk, list) for chunk in streamed + transformed)
        assert [s for chunk in streamed for s in chunk] == expected
        assert [s for chunk in transformed for s in chunk] == expected

    def test_reads_only_what_an_output_needs(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test that no session is read before an output needs it."""
        loader = CountingChatLoader(sessions)
        gives = [bool(step.invoke(session)) for session in sessions]
        assert any(gives), _NOTHING_CAME_OUT
        needed = 1 + gives.index(True)
        for output in (step.stream(loader), iter((loader | step).lazy_load())):
            loader.reads = 0
            next(iter(output))
            assert loader.reads == needed
            close(output)

    def test_forgets_sessions(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test that a session that was passed on is not kept alive.

        ??? note "Troubleshooting"

            Something keeps sessions or messages: a list on the step, a cache, a
            variable of a generator that waits at its `yield` (`del` it before).
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

    def test_early_stop_closes_the_source(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test that whoever stops reading closes the loader.

        ??? note "Troubleshooting"

            Iterate over the source in `with closing(…)`, as `lazy_transform` does.
        """
        loader = CountingChatLoader(sessions)
        for open_output in (step.stream, lambda it: (it | step).lazy_load()):
            loader.closed = 0
            output = iter(open_output(loader))
            assert next(output, None) is not None, _NOTHING_CAME_OUT
            close(output)
            assert loader.closed == 1

    def test_early_stop_closes_the_source_async(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test the same for `astream`."""
        loader = CountingChatLoader(sessions)

        async def read_one() -> None:
            async for _ in step.astream(loader):
                break
            assert loader.closed == 1

        asyncio.run(read_one())

    # --- use with loaders, with steps, in chains

    def test_loader_with_step_is_a_loader(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test that `loader | step` is a chat loader that can be read again."""
        loader = CountingChatLoader(sessions)
        joined = loader | step
        assert isinstance(joined, BaseChatLoader)
        assert joined.load() == step.invoke(sessions)
        assert joined.load() == step.invoke(sessions)

    def test_joining_is_associative(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test that `loader | (a | b)` is `(loader | a) | b`, on either side.

        ??? note "Troubleshooting"

            A step whose output depends on how its input was joined keeps something
            between sessions.
        """
        loader = CountingChatLoader(sessions)
        for left, right in ((step, MergeChatRuns()), (MergeChatRuns(), step)):
            expected = right.invoke(left.invoke(sessions))
            assert isinstance(left | right, SessionTransform)
            assert (left | right).invoke(sessions) == expected
            assert (loader | (left | right)).load() == expected
            assert ((loader | left) | right).load() == expected

    def test_works_before_another_runnable(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test `step | RunnableLambda`, which is plain LCEL, with invoke and stream."""
        expected = len(step.invoke(sessions))
        counting = step | RunnableLambda(len)
        assert counting.invoke(sessions) == expected
        assert list(counting.stream(sessions)) == [expected]

    def test_batch_gives_a_list_per_input(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test `batch` and `abatch`, over loaders and over single sessions.

        ??? note "Troubleshooting"

            `batch` and `abatch` run `invoke` in threads: a step must keep nothing on
            itself.
        """
        loaders: list[SessionSource] = [
            CountingChatLoader(sessions),
            CountingChatLoader(sessions[:1]),
        ]
        expected = [step.invoke(sessions), step.invoke(sessions[:1])]
        alone = [step.invoke(session) for session in sessions]
        assert step.batch(loaders) == expected
        assert step.batch([*sessions]) == alone
        assert asyncio.run(step.abatch(loaders)) == expected

    def test_async_gives_what_sync_gives(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test `ainvoke` and `astream`."""
        expected = step.invoke(sessions)

        async def stream() -> list[ChatSession]:
            chunks = step.astream(sessions)
            return [session async for chunk in chunks for session in chunk]

        assert asyncio.run(step.ainvoke(sessions)) == expected
        assert asyncio.run(stream()) == expected

    # --- traces

    def test_trace_has_name_and_counts_only(
        self, step: SessionTransform, sessions: list[ChatSession]
    ) -> None:
        """Test that a traced run says how many sessions came out, and nothing of them.

        ??? note "Troubleshooting"

            Traces leave the machine when LangSmith is switched on: `SessionTransform`
            makes the run, and puts no text on it.
        """
        for is_async in (False, True):
            trace = Recorder()
            config: RunnableConfig = {"callbacks": [trace]}
            if is_async:
                output = asyncio.run(step.ainvoke(sessions, config))
            else:
                output = step.invoke(sessions, config)
            assert trace.names == [step.get_name()]
            assert trace.outputs == [{"sessions": len(output)}]
            assert not trace.errors
            told = trace.everything()
            for message in (m for s in sessions for m in s.get("messages", ())):
                assert not message.text or str(message.text) not in told

    def test_error_is_on_the_run(self, step: SessionTransform) -> None:
        """Test that a failing source is recorded as the run's error, once.

        ??? note "Troubleshooting"

            Let errors pass; an export that is cut without a word is worse than an
            error.
        """

        def failing() -> Iterator[ChatSession]:
            yield {"messages": []}
            msg = "the source failed"
            raise OSError(msg)

        trace = Recorder()
        with pytest.raises(OSError, match="the source failed"):
            step.invoke(failing(), {"callbacks": [trace]})
        assert [type(error) for error in trace.errors] == [OSError]
        assert not trace.outputs

    # --- a step as a value

    def test_serializes(self, step: SessionTransform) -> None:
        """Test that `dumps` and `loads` give an equal step.

        Skipped for steps that say that they cannot (`is_lc_serializable`).

        ??? note "Troubleshooting"

            Parameters are JSON types or can be parsed from them. The class must be
            importable from the module in `get_lc_namespace`.
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

    def test_pickles(self, step: SessionTransform, sessions: list[ChatSession]) -> None:
        """Test that a step can be sent to another process, and does the same there.

        ??? note "Troubleshooting"

            Parameters and private attributes must pickle: no lambda, no open file.
        """
        again = pickle.loads(pickle.dumps(step))
        assert again == step
        assert again.invoke(sessions) == step.invoke(sessions)

    def test_is_hashable(self, step: SessionTransform) -> None:
        """Test that equal steps have equal hashes.

        ??? note "Troubleshooting"

            Declare collections as tuples, and turn what users give into them in a
            validator.
        """
        again = self.transform_class(**self.transform_params)
        assert again == step
        assert hash(again) == hash(step)

    def test_repr_names_the_class(self, step: SessionTransform) -> None:
        """Test that `repr` shows what the step is."""
        for single in step.flattened():
            assert type(single).__name__ in repr(step)

    def test_has_schemas_and_a_graph(self, step: SessionTransform) -> None:
        """Test the schemas and the drawing that LangChain's tools ask for.

        ??? note "Troubleshooting"

            Keep the `InputType` and `OutputType` of `SessionTransform`: pydantic
            refuses `ChatSession` below Python 3.12.
        """
        assert step.get_input_jsonschema()["type"] == "array"
        assert step.get_output_jsonschema()["type"] == "array"
        drawn = step.get_graph().draw_mermaid()
        for single in step.flattened():
            assert single.get_name() in drawn
