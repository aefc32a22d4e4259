"""A sound step, and for each check one that only it fails."""

from collections.abc import Iterable, Iterator
from typing import Any, cast

from langchain_core.chat_loaders import BaseChatLoader
from langchain_core.chat_sessions import ChatSession
from pydantic import ConfigDict, PrivateAttr

from langchain_chatexports.steps import SessionTransform, iter_sessions

STORED: list[Any] = []
UNNAMED = lambda: 2  # noqa: E731 - pickle only knows functions by name


class SoundStep(SessionTransform):
    """Splits each session in half; passes all checks."""

    parts: int = 2

    def transform_session(self, session: ChatSession) -> Iterable[ChatSession]:
        messages = list(session.get("messages", ()))
        size = -(-len(messages) // self.parts) or 1
        for start in range(0, len(messages), size):
            yield {**session, "messages": messages[start : start + size]}


class SpecialDict(dict[str, Any]):
    pass


class YieldsSpecialDicts(SoundStep):
    def transform_session(self, session: ChatSession) -> Iterable[ChatSession]:
        parts: Any = map(SpecialDict, super().transform_session(session))
        return cast("Iterator[ChatSession]", parts)


class RejectsChunks(SoundStep):
    def lazy_transform(self, sessions: Any) -> Iterator[ChatSession]:
        items: Any = sessions
        if isinstance(sessions, BaseChatLoader):
            items = sessions.lazy_load()
        elif isinstance(sessions, dict):
            items = [sessions]
        for session in items:
            yield from self.transform_session(session)
            del session


class RequiresMessages(SoundStep):
    def transform_session(self, session: ChatSession) -> Iterable[ChatSession]:
        session["messages"]
        return super().transform_session(session)


class IgnoresUnknownParameters(SoundStep):
    model_config = ConfigDict(extra="ignore")


class ChangesKwargs(SoundStep):
    def transform_session(self, session: ChatSession) -> Iterable[ChatSession]:
        for message in session.get("messages", ()):
            message.additional_kwargs["is_read"] = True
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


class RemembersTheLastSession(SoundStep):
    """Marks sessions that follow an older one."""

    def transform_session(self, session: ChatSession) -> Any:
        values: Any = session
        id_ = values.get("metadata", {}).get("id", "")
        is_later = bool(STORED) and STORED[-1] < id_
        STORED[:] = [id_]
        for part in super().transform_session(session):
            yield {**part, "is_later": is_later}


class LeavesInputOpen(SoundStep):
    def lazy_transform(self, sessions: Any) -> Iterator[ChatSession]:
        source = iter_sessions(sessions)
        STORED.append(source)
        for session in source:
            yield from self.transform_session(session)
            del session


class ReversesAsyncOutput(SoundStep):
    async def ainvoke(
        self, input: Any, config: Any = None, **kwargs: Any
    ) -> list[ChatSession]:
        return (await super().ainvoke(input, config, **kwargs))[::-1]


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
    _size: Any = PrivateAttr(default_factory=lambda: UNNAMED)
