"""Select sessions by participants, dates and length."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta, timezone
from itertools import groupby
from typing import Any

from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import AIMessage, BaseMessage
from pydantic import AwareDatetime, Field, ValidationInfo, field_validator

from langchain_chatexports.steps.base import SessionTransform


class SelectSessions(SessionTransform):
    """Keep the sessions that meet all conditions, and drop the others.

    `inspect` counts the messages of a dropped session by the first condition that is
    not met: `participants`, `group`, `dates`, `turns`, `ai_share`.
    """

    participants: tuple[str, ...] = ()
    """Names of people of whom at least one takes part, as a sender or in the metadata;
    case does not matter. By default everybody."""

    without: tuple[str, ...] = ()
    """Names of people who must not take part."""

    is_group: bool | None = None
    """Whether the session must be a group; `None` for both."""

    start: AwareDatetime | None = None
    """The oldest time of a message: an aware datetime, or a date in UTC. Sessions with
    a message outside of the bounds are dropped, and so are sessions without times; to
    cut a thread, use the loader's `start`."""

    end: AwareDatetime | None = None
    """The end of the time range: an aware datetime (excluded), or a date in UTC (that
    day included)."""

    min_turns: int = Field(default=0, ge=0)
    """Minimum number of turns: runs of messages by one sender."""

    min_ai_share: float = Field(default=0.0, ge=0, le=1)
    """Minimum share of the messages that are the AI's (see `MapAIMessages`)."""

    @field_validator("participants", "without", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        # A sorted tuple is hashable, and equal for any collection of the same names.
        if isinstance(value, str):
            return (value,)
        if isinstance(value, Collection) and all(isinstance(n, str) for n in value):
            return tuple(sorted(set(value)))
        return value

    @field_validator("start", "end", mode="before")
    @classmethod
    def _whole_days(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, date) or isinstance(value, datetime):
            return value
        day = value + timedelta(days=1) if info.field_name == "end" else value
        return datetime.combine(day, time.min, timezone.utc)

    def transform_session(self, session: ChatSession) -> Iterable[ChatSession]:
        """Keep or drop one session."""
        return () if self._missed(session) else (session,)

    def skipped(self, session: ChatSession) -> Mapping[str, int]:
        """Count all messages of a dropped session."""
        missed = self._missed(session)
        return {missed: len(session.get("messages", ()))} if missed else {}

    def _missed(self, session: ChatSession) -> str | None:
        messages = session.get("messages", ())
        if not self._fits_people(session):
            return "participants"
        if self.is_group is not None and is_group(session) != self.is_group:
            return "group"
        if not self._fits_dates(messages):
            return "dates"
        if self.min_turns and _turns(messages) < self.min_turns:
            return "turns"
        if self.min_ai_share and _ai_share(messages) < self.min_ai_share:
            return "ai_share"
        return None

    def _fits_people(self, session: ChatSession) -> bool:
        if not self.participants and not self.without:
            return True
        people = set(map(str.casefold, _people(session)))
        wanted = set(map(str.casefold, self.participants))
        unwanted = set(map(str.casefold, self.without))
        return (not wanted or bool(wanted & people)) and not unwanted & people

    def _fits_dates(self, messages: Sequence[BaseMessage]) -> bool:
        if self.start is None and self.end is None:
            return True
        times = [
            moment
            for message in messages
            if isinstance(moment := message.additional_kwargs.get("message_time"), int)
        ]
        if not times:
            return False
        # Message times are rounded down to seconds, so round `start` as well.
        if self.start is not None and min(times) < int(self.start.timestamp()):
            return False
        return self.end is None or max(times) < self.end.timestamp()


def is_group(session: ChatSession) -> bool:
    """Return whether a session is a group, by its metadata or its senders."""
    is_group = _metadata(session).get("is_group")
    if isinstance(is_group, bool):
        return is_group
    return len({*_senders(session.get("messages", ()))}) > 2  # noqa: PLR2004 - a pair


def has_several_others(session: ChatSession) -> bool:
    """Return whether a session is a group of more than two people."""
    if not is_group(session):
        return False
    listed = _metadata(session).get("participants")
    return not listed or len(_people(session)) > 2  # noqa: PLR2004 - a pair


def _people(session: ChatSession) -> set[str]:
    listed = _metadata(session).get("participants") or ()
    return {*map(str, listed), *_senders(session.get("messages", ()))}


def _metadata(session: Mapping[str, Any] | ChatSession) -> Mapping[str, Any]:
    found = dict(session).get("metadata")
    return found if isinstance(found, Mapping) else {}


def _senders(messages: Iterable[BaseMessage]) -> Iterable[str]:
    for message in messages:
        sender = message.additional_kwargs.get("sender")
        if sender:
            yield str(sender)


def _turns(messages: Iterable[BaseMessage]) -> int:
    speakers = ((m.type, m.additional_kwargs.get("sender")) for m in messages)
    return sum(1 for _ in groupby(speakers))


def _ai_share(messages: Sequence[BaseMessage]) -> float:
    answers = sum(isinstance(message, AIMessage) for message in messages)
    return answers / len(messages) if messages else 0.0
