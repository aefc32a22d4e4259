"""Merge consecutive messages of one sender."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, ClassVar, cast

from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import BaseMessage
from pydantic import Field

from langchain_chatexports._fast.messages import changed_copy
from langchain_chatexports.steps.base import SessionTransform

_JOINED_LISTS = ("events", "reactions", "attachments")


class MergeChatRuns(SessionTransform):
    """Merge each run of messages by one sender into one message.

    A run consists of consecutive messages with the same type and the same non-empty
    `sender`; forwarded messages are not merged with written ones. The merged message
    keeps the first one's id, name and `additional_kwargs`; `events`, `reactions` and
    `attachments` are joined, so the time of every bubble is kept, and `message_ids`
    lists all ids. Blank texts are skipped. A message with images or other parts is not
    merged. A run of one message is not changed.
    """

    joins_messages: ClassVar[bool] = True

    delimiter: str = "\n\n"
    """The text between the texts of a run."""

    max_gap: timedelta | None = Field(default=None, ge=timedelta(0))
    """The longest pause within a run, by `message_time`; messages without a time are
    merged."""

    def transform_session(self, session: ChatSession) -> Iterable[ChatSession]:
        """Merge the runs of one session."""
        messages: list[BaseMessage] = []
        run: list[BaseMessage] = []
        run_sender: object = None
        for message in session.get("messages", ()):
            sender = message.additional_kwargs.get("sender")
            if sender and sender == run_sender and self._continues(run[-1], message):
                run.append(message)
                continue
            if run:
                messages.append(_merged(run, self.delimiter))
            run, run_sender = [message], sender
        if run:
            messages.append(_merged(run, self.delimiter))
        return ({**session, "messages": messages},)

    def _continues(self, last: BaseMessage, message: BaseMessage) -> bool:
        is_text = isinstance(message.content, str) and isinstance(last.content, str)
        if type(message) is not type(last) or not is_text:
            return False
        earlier, extra = last.additional_kwargs, message.additional_kwargs
        # Keep forwarded texts apart from written ones, and context from trained text.
        if ("forwarded" in extra) != ("forwarded" in earlier) or extra.get(
            "weight"
        ) != earlier.get("weight"):
            return False
        if self.max_gap is None:
            return True
        before = earlier.get("message_time")
        after = extra.get("message_time")
        if not isinstance(before, (int, float)) or not isinstance(after, (int, float)):
            return True
        return after - before <= self.max_gap.total_seconds()


def _merged(run: Sequence[BaseMessage], delimiter: str) -> BaseMessage:
    first = run[0]
    if len(run) == 1:
        return first
    ids: list[str] = []
    joined: defaultdict[str, list[Any]] = defaultdict(list)
    for message in run:
        extra = message.additional_kwargs
        ids += extra.get("message_ids") or ([message.id] if message.id else ())
        for key in _JOINED_LISTS:
            if found := extra.get(key):
                joined[key] += found
    kwargs: dict[str, Any] = {**first.additional_kwargs, **joined}
    if ids:
        kwargs["message_ids"] = ids
    merged = _joined([cast("str", message.content) for message in run], delimiter)
    return changed_copy(first, {"content": merged, "additional_kwargs": kwargs})


def _joined(texts: Sequence[str], delimiter: str) -> str:
    stripped = [text.strip() for text in texts]
    if stripped == texts and "" not in stripped:
        return delimiter.join(texts)  # The usual case.
    # The same result as langchain-community, which strips after each added message, but
    # in linear time.
    spoken = [text for text in texts if text.strip()]
    return delimiter.join([*spoken[:1], *map(str.rstrip, spoken[1:])]).strip()
