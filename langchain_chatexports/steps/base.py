"""The base class of steps: one session in, zero or more sessions out, lazily."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Collection,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import aclosing, closing
from datetime import date, time, timedelta
from inspect import isgeneratorfunction
from itertools import chain
from pathlib import PurePath
from typing import Annotated, Any, ClassVar, TypeAlias, cast, overload

from langchain_core.chat_loaders import BaseChatLoader
from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig, RunnableSequence
from langchain_core.runnables.base import RunnableLike, RunnableSerializable
from langchain_core.runnables.config import (
    ensure_config,
    get_async_callback_manager_for_config,
    get_callback_manager_for_config,
)
from langchain_core.runnables.graph import Graph
from pydantic import BeforeValidator, ConfigDict, field_validator

from langchain_chatexports.chat_loaders.pipe import (
    PipeableChatLoader,
    TransformedChatLoader,
    iterate_on_thread,
)
from langchain_chatexports.chat_loaders.session_source import (
    SessionSource,
    closing_iterator,
    collect_messages,
    iter_sessions,
)

_DUMPED_TYPES = (timedelta, date, time, PurePath)
_PACKAGE = "langchain_chatexports."


def _sort_names(value: Any) -> Any:
    # A sorted tuple is hashable, and equal for any collection of the same names.
    if isinstance(value, (str, bytes)) or not isinstance(value, Collection):
        return value
    if not all(isinstance(name, str) for name in value):
        return tuple(value)  # Pydantic says which one is not a name.
    return tuple(sorted(set(value)))


Names: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(_sort_names)]
"""A field with names, which may be any collection."""


class SessionTransform(RunnableSerializable[SessionSource, list[ChatSession]]):
    """A step, which transforms one session into zero or more sessions.

    - `loader | step` is a chat loader, `step | step` is a step, and `step | other` is
      an LCEL sequence.
    - As a Runnable, it takes a loader, a session or an iterable of sessions and returns
      a list of sessions. Streamed chunks are lists of one session, so they add up to
      the result of `invoke`.
    - Inputs are never changed, and output sessions share no messages.
    - Traces contain the number of sessions, not their content.

    Subclasses implement `transform_session` as a pure function of its session.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True)

    joins_messages: ClassVar[bool] = False
    """Whether the step merges messages. If so, `inspect` counts missing messages as
    `merged`, not as `unnamed`."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Do not bypass the own `transform_session` of a subclass or mixin."""
        super().__init_subclass__(**kwargs)
        methods = {"stream_session", "transform_session"}
        first = next(
            found for base in cls.__mro__ if (found := methods & vars(base).keys())
        )
        if "stream_session" not in first:
            cls.stream_session = SessionTransform.stream_session  # type: ignore[method-assign]

    @abstractmethod
    def transform_session(self, session: ChatSession) -> Iterable[ChatSession]:
        """Transform one session into zero or more sessions.

        Args:
            session: The session. Do not change it; it may lack `messages`.

        Returns:
            The new sessions, preferably lazily.
        """

    def stream_session(self, session: ChatSession) -> Iterable[ChatSession]:
        """Transform a session between other steps.

        The messages of this session, and of the new ones, may be an iterator. By
        default, they are collected for `transform_session`.
        """
        return self.transform_session(collect_messages(session))

    def skipped(self, session: ChatSession) -> Mapping[str, int]:
        """Count the session's messages missing from the output, by reason.

        Only `inspect` calls it. By default, a step skips no messages.
        """
        del session
        return {}

    def flattened(self) -> tuple[SessionTransform, ...]:
        """Return the steps of a pipeline; a single step returns itself."""
        return (self,)

    def lazy_transform(self, sessions: SessionSource) -> Iterator[ChatSession]:
        """Transform sessions one by one, without a traced run.

        Args:
            sessions: A loader, a session or an iterable of sessions.

        Yields:
            The new sessions; closing the iterator closes the loader.
        """
        with closing(_open_source(sessions)) as source:
            for session in source:
                outputs = self.stream_session(session)
                del session
                yield from map(collect_messages, outputs)
                del outputs

    def invoke(
        self, input: SessionSource, config: RunnableConfig | None = None, **kwargs: Any
    ) -> list[ChatSession]:
        """Transform all sessions and return them as a list."""
        return [s for chunk in self.stream(input, config, **kwargs) for s in chunk]

    def stream(
        self, input: SessionSource, config: RunnableConfig | None = None, **kwargs: Any
    ) -> Iterator[list[ChatSession]]:
        """Transform lazily; each chunk is a list of one session."""
        # Pass the input as one chunk, so that bad input fails inside the traced run.
        yield from self.transform(iter((input,)), config, **kwargs)

    def transform(
        self,
        input: Iterator[SessionSource],
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> Iterator[list[ChatSession]]:
        """Transform a stream of inputs lazily, as one run.

        langchain-core's helper stores all input until the end of the run; this method
        stores a single session.
        """
        self._reject_arguments(kwargs)
        config = ensure_config(config)
        run = get_callback_manager_for_config(config).on_chain_start(
            None,
            {"input": ""},
            name=config.get("run_name") or self.get_name(),
            run_id=config.pop("run_id", None),
        )
        count = 0
        try:
            with closing(_transform_chunks(self, input)) as outputs:
                for session in outputs:
                    count += 1
                    yield [session]
                    del session
        except GeneratorExit:
            pass
        except BaseException as error:
            run.on_chain_error(error)
            raise
        run.on_chain_end({"sessions": count})

    async def astream(
        self, input: SessionSource, config: RunnableConfig | None = None, **kwargs: Any
    ) -> AsyncGenerator[list[ChatSession], None]:
        """Transform lazily without blocking the event loop, as `stream` does.

        Sessions are read and transformed on a thread of their own.
        """
        chunks = self.atransform(_single_chunk(input), config, **kwargs)
        async with aclosing(chunks) as open_chunks:
            async for chunk in open_chunks:
                yield chunk
                del chunk

    async def atransform(
        self,
        input: AsyncIterator[SessionSource],
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AsyncGenerator[list[ChatSession], None]:
        """Transform a stream of inputs lazily, as one run.

        langchain-core's default reads all input before the first output.
        """
        self._reject_arguments(kwargs)
        config = ensure_config(config)
        run = await get_async_callback_manager_for_config(config).on_chain_start(
            None,
            {"input": ""},
            name=config.get("run_name") or self.get_name(),
            run_id=config.pop("run_id", None),
        )
        count = 0
        try:
            async with aclosing(_transform_async_chunks(self, input)) as outputs:
                async for session in outputs:
                    count += 1
                    yield [session]
                    del session
        except GeneratorExit:
            pass
        except BaseException as error:
            await run.on_chain_error(error)
            raise
        await run.on_chain_end({"sessions": count})

    def _reject_arguments(self, kwargs: Mapping[str, Any]) -> None:
        # Do not silently ignore `bind(delimiter=" ")`.
        if kwargs:
            msg = (
                f"Unknown arguments: {', '.join(sorted(kwargs))}. Pass settings to the "
                "step, such as MergeChatRuns(delimiter=...)."
            )
            raise TypeError(msg)

    @overload  # type: ignore[override]
    def __or__(self, other: SessionTransform) -> SessionPipeline: ...
    @overload
    def __or__(self, other: RunnableLike[Any, Any]) -> RunnableSequence[Any, Any]: ...
    def __or__(self, other: Any) -> SessionPipeline | RunnableSequence[Any, Any]:
        """Return a step for `step | step`, else an LCEL sequence."""
        if isinstance(other, SessionTransform):
            return SessionPipeline(steps=(self, other))
        if isinstance(other, BaseChatLoader):
            msg = "A chat loader must come before its steps: loader | step."
            raise TypeError(msg)
        if isgeneratorfunction(other) and other.__module__.startswith(_PACKAGE):
            # A Runnable would concatenate the examples and show them in traces.
            name = other.__name__
            msg = f"{name} is not a step: call {name}(loader | steps)."
            raise TypeError(msg)
        # langchain-core declares the wider `Runnable`.
        return cast("RunnableSequence[Any, Any]", super().__or__(other))

    @overload
    def __ror__(self, other: BaseChatLoader) -> TransformedChatLoader: ...
    @overload
    def __ror__(self, other: RunnableLike[Any, Any]) -> RunnableSequence[Any, Any]: ...
    def __ror__(self, other: Any) -> TransformedChatLoader | RunnableSequence[Any, Any]:
        """Return a chat loader for `loader | step`, with a loader from any package."""
        if isinstance(other, BaseChatLoader):
            return TransformedChatLoader(other, self)
        return cast("RunnableSequence[Any, Any]", super().__ror__(other))

    def __str__(self) -> str:
        """Return the step as code."""
        return repr(self)

    # Before Python 3.12, pydantic refuses `ChatSession`, a `typing.TypedDict`.
    @property
    def InputType(self) -> Any:  # noqa: N802 - langchain-core's name
        """The input type that schemas show."""
        return list[dict[str, Any]]

    @property
    def OutputType(self) -> Any:  # noqa: N802 - langchain-core's name
        """The output type that schemas show."""
        return list[dict[str, Any]]

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Return `True`, since steps consist only of settings."""
        return True

    @property
    def lc_attributes(self) -> dict[str, Any]:
        """Fields of types that JSON does not support, as strings pydantic can parse."""
        names = {name for name, value in self if isinstance(value, _DUMPED_TYPES)}
        return self.model_dump(mode="json", include=names)

    @classmethod
    def get_lc_namespace(cls) -> list[str]:
        """Return a stable namespace for the steps of this package."""
        if cls.__module__.split(".", 1)[0] == "langchain_chatexports":
            return ["langchain_chatexports", "steps"]
        return cls.__module__.split(".")


class MessageTransform(SessionTransform):
    """A step that transforms the messages of a session in one pass over them."""

    @abstractmethod
    def transform_messages(
        self, messages: Iterable[BaseMessage]
    ) -> Iterator[BaseMessage]:
        """Transform the messages of one session, lazily."""

    def transform_session(self, session: ChatSession) -> Iterable[ChatSession]:
        """Transform the messages of one session."""
        messages = self.transform_messages(session.get("messages", ()))
        return ({**session, "messages": list(messages)},)

    def stream_session(self, session: ChatSession) -> Iterable[ChatSession]:
        """Transform each message of one session when it is read."""
        messages = self.transform_messages(session.get("messages", ()))
        return ({**session, "messages": cast("Sequence[BaseMessage]", messages)},)


class SessionPipeline(SessionTransform):
    """A sequence of steps: the result of `step | step`."""

    steps: tuple[SessionTransform, ...]
    """The steps in order; nested pipelines are flattened."""

    @field_validator("steps")
    @classmethod
    def _flatten_steps(
        cls, steps: tuple[SessionTransform, ...]
    ) -> tuple[SessionTransform, ...]:
        return tuple(chain.from_iterable(step.flattened() for step in steps))

    def flattened(self) -> tuple[SessionTransform, ...]:
        """Return the steps."""
        return self.steps

    def transform_session(self, session: ChatSession) -> Iterable[ChatSession]:
        """Pass the session through all steps, lazily."""
        return map(collect_messages, SessionPipeline.stream_session(self, session))

    def stream_session(self, session: ChatSession) -> Iterable[ChatSession]:
        """Pass the session through all steps, message by message where possible."""
        sessions: Iterable[ChatSession] = (session,)
        for step in self.steps:
            sessions = chain.from_iterable(map(step.stream_session, sessions))
        return sessions

    def get_graph(self, config: RunnableConfig | None = None) -> Graph:
        """Return the graph of the steps."""
        if len(self.steps) > 1:
            return RunnableSequence(*self.steps).get_graph(config)
        return super().get_graph(config)

    def __repr__(self) -> str:
        """Return the steps as code."""
        return " | ".join(repr(step) for step in self.steps)


def _open_source(sessions: SessionSource) -> Generator[ChatSession, None, None]:
    if isinstance(sessions, PipeableChatLoader):
        return closing_iterator(sessions.stream_sessions())
    return iter_sessions(sessions)


def _transform_chunks(
    step: SessionTransform, chunks: Iterator[SessionSource]
) -> Generator[ChatSession, None, None]:
    with closing(closing_iterator(chunks)) as open_chunks:
        for chunk in open_chunks:
            yield from step.lazy_transform(chunk)
            del chunk


async def _single_chunk(source: SessionSource) -> AsyncGenerator[SessionSource, None]:
    yield source


async def _transform_async_chunks(
    step: SessionTransform, chunks: AsyncIterator[SessionSource]
) -> AsyncGenerator[ChatSession, None]:
    try:
        async for chunk in chunks:
            sessions = _transform_chunks(step, iter((chunk,)))
            del chunk
            async with aclosing(iterate_on_thread(sessions)) as outputs:
                async for session in outputs:
                    yield session
                    del session
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()
