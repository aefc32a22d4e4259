"""Merge consecutive messages from one sender."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import ClassVar

from langchain_core.messages import BaseMessage
from pydantic import Field

from langchain_chatexports.chat_loaders.utils import merge_runs
from langchain_chatexports.steps.base import MessageTransform


class MergeChatRuns(MessageTransform):
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

    def transform_messages(
        self, messages: Iterable[BaseMessage]
    ) -> Iterator[BaseMessage]:
        """Merge the runs of one session."""
        return merge_runs(messages, self.delimiter, self.max_gap)
