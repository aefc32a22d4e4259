"""A sound step, and a broken one for each check."""

from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any

from langchain_core.chat_loaders import BaseChatLoader
from langchain_core.chat_sessions import ChatSession
from pydantic import ConfigDict, PrivateAttr

from langchain_chatexports.steps import SessionTransform, iter_sessions

STORED: list[Any] = []
COUNTER = count()


class SoundStep(SessionTransform):
    """Splits each session in half; passes all checks."""

    parts: int = 2

    def transform_session(self, session: ChatSession) -> Iterable[ChatSession]:
        messages = list(session.get("messages", ()))
        size = -(-len(messages) // self.parts) or 1
        for start in range(0, len(messages), size):
            yield {**session, "messages": messages[start : start + size]}


class YieldsNothing(SoundStep):
    def transform_session(self, session: ChatSession) -> Iterable[ChatSession]:
        del session
        return ()


class RejectsChunks(SoundStep):
    def lazy_transform(self, sessions: Any) -> Iterator[ChatSession]:
        items: Any = sessions
        if isinstance(sessions, BaseChatLoader):
            items = sessions.lazy_load()
        elif isinstance(sessions, dict):
            items = [sessions]
        for session in items:
            yield from self.transform_session(session)


class RequiresMessages(SoundStep):
    def transform_session(self, session: ChatSession) -> Iterable[ChatSession]:
        return super().transform_session({"messages": session["messages"]})


class IgnoresUnknownParameters(SoundStep):
    model_config = ConfigDict(extra="ignore")


class ChangesKwargs(SoundStep):
    def transform_session(self, session: ChatSession) -> Iterable[ChatSession]:
        for message in session.get("messages", ()):
            message.additional_kwargs.get("events", []).append({})
        return super().transform_session(session)


class SharesKwargs(SoundStep):
    def transform_session(self, session: ChatSession) -> Iterable[ChatSession]:
        for part in super().transform_session(session):
            yield part
            yield {**part, "messages": [m.model_copy() for m in part["messages"]]}


class DropsKeys(SoundStep):
    def transform_session(self, session: ChatSession) -> Iterable[ChatSession]:
        for part in super().transform_session(session):
            yield {"messages": part["messages"]}


class NumbersSessions(SoundStep):
    def transform_session(self, session: ChatSession) -> Any:
        for part in super().transform_session(session):
            yield {**part, "number": next(COUNTER)}


class MovesMessages(SoundStep):
    def lazy_transform(self, sessions: Any) -> Iterator[ChatSession]:
        previous: list[Any] = []
        for session in iter_sessions(sessions):
            messages = [*previous, *session.get("messages", ())]
            previous = messages[-1:]
            yield from self.transform_session({**session, "messages": messages[:-1]})


class StreamsBareSessions(SoundStep):
    def transform(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
        for chunk in super().transform(input, config, **kwargs):
            yield from chunk

    def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
        return list(self.stream(input, config, **kwargs))


class ReadsAhead(SoundStep):
    def lazy_transform(self, sessions: Any) -> Iterator[ChatSession]:
        source = iter_sessions(sessions)
        previous = next(source, None)
        while previous is not None:
            ahead = next(source, None)
            yield from self.transform_session(previous)
            previous = ahead


class StoresSessions(SoundStep):
    def transform_session(self, session: ChatSession) -> Iterable[ChatSession]:
        STORED.append(session)
        return super().transform_session(session)


class JoinsLoadersOnce(SoundStep):
    def __ror__(self, other: Any) -> Any:
        joined = super().__ror__(other)
        sessions = joined.lazy_load()
        joined.lazy_load = lambda: sessions
        return joined


class TracesContent(SoundStep):
    def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
        def run(sessions: Any) -> list[ChatSession]:
            return list(self.lazy_transform(sessions))

        return self._call_with_config(run, input, config, **kwargs)


class HasUnknownObject(SoundStep):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    marker: Any = object


class HasALambda(SoundStep):
    _size: Any = PrivateAttr(default_factory=lambda: lambda: 2)
