"""Split conversations into dialogues at long pauses."""

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

    The parts contain all messages in the session, in order. If `metadata` has an `id`,
    the ids of the parts are `<id>#1`, `<id>#2`, …, and `thread_id` is the original id.
    A session without long pauses is not changed.
    """

    gap: timedelta | Literal["auto"] = "auto"
    """Maximum pause within a dialogue. `"auto"` derives it from the pauses in each
    conversation, between 5 minutes and 12 hours."""

    reply_within: timedelta = timedelta(seconds=MAX_GAP_SECONDS)
    """Maximum time between a reply (`additional_kwargs["reply_to"]`) and its original
    message for which both stay in one dialogue. Without this limit, replies
    to old messages could join years of a conversation."""

    @field_validator("gap")
    @classmethod
    def _check_gap(cls, value: timedelta | str) -> timedelta | str:
        if isinstance(value, timedelta) and value <= timedelta(0):
            msg = "gap must be a positive timedelta, or 'auto'."
            raise ValueError(msg)
        return value

    def transform_session(self, session: ChatSession) -> Iterator[ChatSession]:
        """Split one session."""
        messages = session.get("messages", ())
        split_points = self._find_split_points(messages)
        if not split_points:
            yield session
            return
        for number, (start, end) in enumerate(
            pairwise((0, *split_points, len(messages))), start=1
        ):
            part: dict[str, Any] = {**session, "messages": list(messages[start:end])}
            metadata = part.get("metadata")
            if isinstance(metadata, Mapping):
                part["metadata"] = _part_metadata(metadata, number)
            yield cast("ChatSession", part)

    def _find_split_points(self, messages: Sequence[BaseMessage]) -> list[int]:
        pauses = pauses_before(messages)
        known_pauses = [pause for pause in pauses if pause is not None]
        if not known_pauses:
            return []
        if isinstance(self.gap, timedelta):
            gap = self.gap.total_seconds()
        else:
            gap = automatic_gap(known_pauses)
        is_linked = self._find_links(messages)
        return [
            index
            for index, pause in enumerate(pauses)
            if pause is not None and pause > gap and not is_linked[index]
        ]

    def _find_links(self, messages: Sequence[BaseMessage]) -> list[bool]:
        """Return, for each message, whether a reply prevents a split before it."""
        indexes: dict[str, int] = {}
        changes = [0] * (len(messages) + 1)
        for index, message in enumerate(messages):
            original = indexes.get(_original_id(message))
            if original is not None and self._is_recent(messages[original], message):
                changes[original + 1] += 1
                changes[index + 1] -= 1
            for message_id in _message_ids(message):
                indexes.setdefault(message_id, index)
        is_linked, depth = [], 0
        for change in changes[:-1]:
            depth += change
            is_linked.append(depth > 0)
        return is_linked

    def _is_recent(self, original: BaseMessage, reply: BaseMessage) -> bool:
        start = original.additional_kwargs.get("message_time")
        end = reply.additional_kwargs.get("message_time")
        if not isinstance(start, (int, float)) or not isinstance(end, (int, float)):
            return True
        return end - start <= self.reply_within.total_seconds()


def _part_metadata(metadata: Mapping[str, Any], number: int) -> dict[str, Any]:
    part_metadata = dict(metadata)
    thread_id = part_metadata.get("id")
    if thread_id is not None:
        part_metadata["id"] = f"{thread_id}#{number}"
        part_metadata.setdefault("thread_id", thread_id)
    return part_metadata


def _original_id(message: BaseMessage) -> str:
    reply_to = message.additional_kwargs.get("reply_to")
    if isinstance(reply_to, Mapping):
        ids = (reply_to[key] for key in _REPLY_ID_KEYS if reply_to.get(key))
        reply_to = next(ids, None)
    return "" if reply_to is None else str(reply_to)


def _message_ids(message: BaseMessage) -> list[str]:
    # A merged message has several ids.
    merged_ids = message.additional_kwargs.get("message_ids")
    return [*(merged_ids or ()), *([message.id] if message.id else ())]
