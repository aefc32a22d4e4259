"""Select sessions by participants or group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from langchain_core.chat_sessions import ChatSession
from pydantic import field_validator

from langchain_chatexports.chat_loaders.names import name_key
from langchain_chatexports.chat_loaders.schema import keys_of, metadata_of
from langchain_chatexports.steps.base import Names, SessionTransform


class SelectSessions(SessionTransform):
    """Keep the sessions that meet all conditions and drop the others.

    `inspect` counts the messages of a dropped session by the first failed condition:
    `participants` or `group`.
    """

    participants: Names = ()
    """Names of people, one of whom must be a sender or participant, ignoring case. By
    default, all sessions match."""

    without: Names = ()
    """Names of people who must not be senders or participants, ignoring case."""

    is_group: bool | None = None
    """Whether the session must be a group; `None` for both."""

    @field_validator("participants", "without", mode="before")
    @classmethod
    def _wrap_single_name(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    def transform_session(self, session: ChatSession) -> Iterable[ChatSession]:
        """Keep or drop one session."""
        return () if self._failed_condition(session) else (session,)

    def skipped(self, session: ChatSession) -> Mapping[str, int]:
        """Count all messages of a dropped session."""
        failed = self._failed_condition(session)
        return {failed: len(session.get("messages", ()))} if failed else {}

    def _failed_condition(self, session: ChatSession) -> str | None:
        people = set(map(name_key, _people(session)))
        required = set(map(name_key, self.participants))
        forbidden = set(map(name_key, self.without))
        is_missing = bool(required) and required.isdisjoint(people)
        if is_missing or not forbidden.isdisjoint(people):
            return "participants"
        if self.is_group is not None and is_group(session) != self.is_group:
            return "group"
        return None


def is_group(session: ChatSession) -> bool:
    """Return whether a session is a group, based on its metadata or senders."""
    is_group = metadata_of(session).get("is_group")
    if isinstance(is_group, bool):
        return is_group
    return len(_senders(session)) > 2  # noqa: PLR2004 - a pair


def has_several_others(session: ChatSession) -> bool:
    """Return whether a session is a group of more than two people."""
    if not is_group(session):
        return False
    participants = metadata_of(session).get("participants")
    return not participants or len(_people(session)) > 2  # noqa: PLR2004 - a pair


def _people(session: ChatSession) -> set[str]:
    participants = metadata_of(session).get("participants") or ()
    return {*map(str, participants), *_senders(session)}


def _senders(session: ChatSession) -> set[str]:
    senders = (keys_of(m).get("sender") for m in session.get("messages", ()))
    return {str(sender) for sender in senders if sender}
