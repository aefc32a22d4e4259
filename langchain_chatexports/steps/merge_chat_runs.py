"""Merge consecutive messages from one sender."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, ClassVar, cast

from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import BaseMessage
from pydantic import Field

from langchain_chatexports._fast.messages import copy_with_changes
from langchain_chatexports.steps.base import SessionTransform

_JOINED_LISTS = ("events", "reactions", "attachments")


class MergeChatRuns(SessionTransform):
    """Merge each run of messages from one sender into one message.

    A run consists of consecutive messages with the same type and the same non-empty
    `sender`; forwarded messages are not merged with written ones. The merged message
    has the id, name and `additional_kwargs` of the first message; `events`, `reactions`
    and `attachments` are concatenated, so `events` has the time of every message, and
    `message_ids` lists all ids. Blank messages are skipped. Messages with images or
    other parts are not merged. A run of one message is not changed.
    """

    joins_messages: ClassVar[bool] = True

    delimiter: str = "\n\n"
    """The separator between merged messages."""

    max_gap: timedelta | None = Field(default=None, ge=timedelta(0))
    """Maximum pause within a run, by `message_time`. A message without a time does not
    end a run."""

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
                messages.append(_merge(run, self.delimiter))
            run, run_sender = [message], sender
        if run:
            messages.append(_merge(run, self.delimiter))
        return ({**session, "messages": messages},)

    def _continues(self, last: BaseMessage, message: BaseMessage) -> bool:
        is_text = isinstance(message.content, str) and isinstance(last.content, str)
        if type(message) is not type(last) or not is_text:
            return False
        last_extra, extra = last.additional_kwargs, message.additional_kwargs
        # Do not merge forwarded messages with written ones, or context with answers.
        if ("forwarded" in extra) != ("forwarded" in last_extra):
            return False
        if extra.get("weight") != last_extra.get("weight"):
            return False
        if self.max_gap is None:
            return True
        last_time, time = last_extra.get("message_time"), extra.get("message_time")
        if not isinstance(last_time, (int, float)) or not isinstance(
            time, (int, float)
        ):
            return True
        return time - last_time <= self.max_gap.total_seconds()


def _merge(run: Sequence[BaseMessage], delimiter: str) -> BaseMessage:
    first = run[0]
    if len(run) == 1:
        return first
    extras = [message.additional_kwargs for message in run]
    kwargs = extras[0].copy()
    for key in _JOINED_LISTS:
        if values := [item for extra in extras for item in extra.get(key) or ()]:
            kwargs[key] = values
    ids: list[str] = []
    for message, extra in zip(run, extras, strict=True):
        ids += extra.get("message_ids") or ([message.id] if message.id else ())
    if ids:
        kwargs["message_ids"] = ids
    merged = _join_texts([cast("str", message.content) for message in run], delimiter)
    return copy_with_changes(first, {"content": merged, "additional_kwargs": kwargs})


def _join_texts(texts: Sequence[str], delimiter: str) -> str:
    stripped = [text.strip() for text in texts]
    if stripped == texts and "" not in stripped:
        return delimiter.join(texts)  # The usual case.
    # Same result as in langchain-community, which strips the text after each message,
    # in quadratic time.
    texts = [text for text in texts if text.strip()]
    return delimiter.join([*texts[:1], *map(str.rstrip, texts[1:])]).strip()
