"""Cut sessions into windows of messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, cast

from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import AIMessage, BaseMessage
from pydantic import Field, model_validator
from typing_extensions import Self

from langchain_chatexports._fast.messages import changed_copy
from langchain_chatexports.steps.base import SessionTransform


class _Window(NamedTuple):
    """The messages from `start` to `end`; those before `new` are shared."""

    start: int
    new: int
    end: int
    skipped: str | None
    """The reason to skip the window; `None` if it is kept."""


class ChunkSessions(SessionTransform):
    """Cut each session into windows of `size` messages, `overlap` of them shared.

    The default is that of LangChain's Messenger tutorial: only full windows, without
    the last messages of a session or sessions shorter than `size`. `inspect` counts
    these as `tail`; `keep_tail` keeps them.
    """

    size: int = Field(default=8, gt=0)
    """Maximum number of messages in a window."""

    overlap: int = Field(default=2, ge=0)
    """Messages that a window shares with the previous one; less than `size`."""

    keep_tail: bool = False
    """Add a last, shorter window, if it contains a message that is in no other."""

    overlap_as_context: bool = False
    """Set the weight of shared messages (`additional_kwargs["weight"]`) to 0 in the
    later window, so that no answer is trained on twice. A window whose answers all have
    weight 0 is skipped (`not_trained`)."""

    @model_validator(mode="after")
    def _overlap_is_less_than_size(self) -> Self:
        if self.overlap >= self.size:
            msg = f"overlap ({self.overlap}) must be less than size ({self.size})."
            raise ValueError(msg)
        return self

    def transform_session(self, session: ChatSession) -> Iterator[ChatSession]:
        """Cut one session."""
        messages = session.get("messages", ())
        weight = {"weight": 0} if self.overlap_as_context else {}
        for start, new, end, skipped in self._windows(messages):
            if skipped is None:
                # Copy shared messages, so that no object is in two windows.
                shared = [
                    changed_copy(
                        one, {"additional_kwargs": {**one.additional_kwargs, **weight}}
                    )
                    for one in messages[start:new]
                ]
                yield {**session, "messages": [*shared, *messages[new:end]]}

    def skipped(self, session: ChatSession) -> Mapping[str, int]:
        """Count the messages that are in no window."""
        messages = session.get("messages", ())
        reasons: list[str | None] = [None] * len(messages)
        for start, new, end, skipped in self._windows(messages):
            # A later window may contain messages of a skipped one as overlap.
            first = start if skipped is None else new
            reasons[first:end] = [skipped] * (end - first)
        counts = Counter(reasons)
        del counts[None]  # In a window.
        return cast("Counter[str]", counts)

    def _windows(self, messages: Sequence[BaseMessage]) -> Iterator[_Window]:
        length = len(messages)
        start = new = 0
        while new < length:
            end = min(length, start + self.size)
            skipped = None
            if end - start < self.size and not self.keep_tail:
                skipped = "tail"
            elif self.overlap_as_context and not _is_trained(messages, start, new, end):
                skipped = "not_trained"
            yield _Window(start, new, end, skipped)
            new = end
            start = end - self.overlap


def _is_trained(
    messages: Sequence[BaseMessage], start: int, new: int, end: int
) -> bool:
    """Return whether a window has an answer to train on, or no answers at all."""
    answers = [at for at in range(start, end) if isinstance(messages[at], AIMessage)]
    return not answers or any(
        at >= new and messages[at].additional_kwargs.get("weight") != 0
        for at in answers
    )
