"""Split a thread into conversations at its long pauses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any, Literal, cast

from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import BaseMessage
from pydantic import field_validator

from langchain_chatexports.steps.base import SessionTransform
from langchain_chatexports.steps.pauses import (
    MAX_GAP_SECONDS,
    automatic_gap,
    pauses_before,
)

_REPLY_ID_KEYS = ("id", "message_id", "guid")


class SplitSessions(SessionTransform):
    """Split each session at its long pauses.

    The parts contain all messages of the session, in order. If `metadata` has an `id`,
    the ids of the parts are `<id>#1`, `<id>#2`, …, and `thread_id` is the id of the
    original thread. A session that is not split is not changed.
    """

    gap: timedelta | Literal["auto"] = "auto"
    """The longest pause within a conversation. `"auto"` finds it from the pauses of
    each thread, between 5 minutes and 12 hours."""

    reply_within: timedelta = timedelta(seconds=MAX_GAP_SECONDS)
    """Keep a reply (`additional_kwargs["reply_to"]`) in one part with the message that
    it answers, if that is not older than this. Replies to old messages would join years
    of a thread."""

    @field_validator("gap")
    @classmethod
    def _gap_is_positive(cls, value: timedelta | str) -> timedelta | str:
        if isinstance(value, timedelta) and value <= timedelta(0):
            msg = "gap must be a positive timedelta, or 'auto'."
            raise ValueError(msg)
        return value

    def transform_session(self, session: ChatSession) -> Iterator[ChatSession]:
        """Split one session."""
        messages = session.get("messages", ())
        borders = self._borders(messages)
        if not borders:
            yield session
            return
        for number, (start, end) in enumerate(
            pairwise((0, *borders, len(messages))), start=1
        ):
            part: dict[str, Any] = {**session, "messages": list(messages[start:end])}
            metadata = part.get("metadata")
            if isinstance(metadata, Mapping):
                part["metadata"] = _part_of(metadata, number)
            yield cast("ChatSession", part)

    def _borders(self, messages: Sequence[BaseMessage]) -> list[int]:
        pauses = pauses_before(messages)
        known = [pause for pause in pauses if pause is not None]
        if not known:
            return []
        if isinstance(self.gap, timedelta):
            gap = self.gap.total_seconds()
        else:
            gap = automatic_gap(known)
        held = self._held_by_replies(messages)
        return [
            index
            for index, pause in enumerate(pauses)
            if pause is not None and pause > gap and not held[index]
        ]

    def _held_by_replies(self, messages: Sequence[BaseMessage]) -> list[bool]:
        """Return for each message whether a reply prevents a split before it."""
        indexes: dict[str, int] = {}
        opened = [0] * (len(messages) + 1)
        for index, message in enumerate(messages):
            answered = indexes.get(_reply_to(message))
            if answered is not None and self._is_recent(messages[answered], message):
                opened[answered + 1] += 1
                opened[index + 1] -= 1
            for message_id in _ids(message):
                indexes.setdefault(message_id, index)
        held, depth = [], 0
        for change in opened[:-1]:
            depth += change
            held.append(depth > 0)
        return held

    def _is_recent(self, answered: BaseMessage, reply: BaseMessage) -> bool:
        before = answered.additional_kwargs.get("message_time")
        after = reply.additional_kwargs.get("message_time")
        if not isinstance(before, (int, float)) or not isinstance(after, (int, float)):
            return True
        return after - before <= self.reply_within.total_seconds()


def _part_of(metadata: Mapping[str, Any], number: int) -> dict[str, Any]:
    part = dict(metadata)
    thread = part.get("id")
    if thread is not None:
        part["id"] = f"{thread}#{number}"
        part.setdefault("thread_id", thread)
    return part


def _reply_to(message: BaseMessage) -> str:
    link = message.additional_kwargs.get("reply_to")
    if isinstance(link, Mapping):
        link = next((link[key] for key in _REPLY_ID_KEYS if link.get(key)), None)
    return "" if link is None else str(link)


def _ids(message: BaseMessage) -> list[str]:
    # A merged message has the ids of all of its bubbles.
    merged = message.additional_kwargs.get("message_ids")
    return [*(merged or ()), *([message.id] if message.id else ())]
