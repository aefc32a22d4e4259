"""Split sessions into windows of messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple, Self, cast

from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import AIMessage, BaseMessage
from pydantic import Field, model_validator

from langchain_chatexports._fast.messages import copy_with_changes
from langchain_chatexports.steps.base import SessionTransform


class _Window(NamedTuple):
    """The messages of a window."""

    shared: list[BaseMessage]
    """Copies of the messages shared with the previous window."""

    new: list[BaseMessage]
    skip_reason: str | None
    """The reason to skip the window; `None` if it is kept."""


class ChunkSessions(SessionTransform):
    """Split each session into windows of `size` messages that share `overlap` messages.

    By default, as in LangChain's Messenger tutorial, all windows are full: remaining
    messages at the end of a session are skipped, as are sessions shorter than `size`.
    `inspect` counts these as `tail`; `keep_tail` keeps them.
    """

    size: int = Field(default=8, gt=0)
    """Maximum number of messages in a window."""

    overlap: int = Field(default=2, ge=0)
    """Number of messages shared with the previous window; less than `size`."""

    keep_tail: bool = False
    """Add a last, shorter window for leftover messages."""

    overlap_as_context: bool = False
    """Set the weight of shared messages (`additional_kwargs["weight"]`) to 0 in the
    later window, so that no answer is trained on twice. If all answers of a window have
    weight 0, the window is skipped (`not_trained`)."""

    @model_validator(mode="after")
    def _check_overlap(self) -> Self:
        if self.overlap >= self.size:
            msg = f"overlap ({self.overlap}) must be less than size ({self.size})."
            raise ValueError(msg)
        return self

    def transform_session(self, session: ChatSession) -> Iterator[ChatSession]:
        """Split one session."""
        for shared, new, skip_reason in self._iter_windows(session.get("messages", ())):
            if skip_reason is None:
                yield {**session, "messages": [*shared, *new]}

    def stream_session(self, session: ChatSession) -> Iterator[ChatSession]:
        """Split one session, with only one window of messages in memory."""
        return self.transform_session(session)

    def skipped(self, session: ChatSession) -> Mapping[str, int]:
        """Count the messages that are not in any window."""
        reasons: list[str | None] = []
        for shared, new, skip_reason in self._iter_windows(session.get("messages", ())):
            if skip_reason is None:
                # The messages of a skipped window may be in the next one as overlap.
                reasons[len(reasons) - len(shared) :] = [None] * len(shared)
            reasons += [skip_reason] * len(new)
        counts = Counter(reasons)
        del counts[None]  # Kept messages.
        return cast("Counter[str]", counts)

    def _iter_windows(self, messages: Iterable[BaseMessage]) -> Iterator[_Window]:
        messages = iter(messages)
        weight = {"weight": 0} if self.overlap_as_context else {}
        shared: list[BaseMessage] = []
        while new := list(islice(messages, self.size - len(shared))):
            skip_reason = None
            if len(shared) + len(new) < self.size and not self.keep_tail:
                skip_reason = "tail"
            elif self.overlap_as_context and _has_only_context_answers(shared, new):
                skip_reason = "not_trained"
            window = _Window(shared, new, skip_reason)
            # Copy now, since a user may change the messages of a window.
            shared = [
                copy_with_changes(
                    m, {"additional_kwargs": {**m.additional_kwargs, **weight}}
                )
                for m in ([*shared, *new][-self.overlap :] if self.overlap else ())
            ]
            yield window


def _has_only_context_answers(
    shared_messages: Sequence[BaseMessage], new_messages: Sequence[BaseMessage]
) -> bool:
    """Return whether a window has answers, but all with weight 0."""
    new_answers = [m for m in new_messages if isinstance(m, AIMessage)]
    if any(m.additional_kwargs.get("weight") != 0 for m in new_answers):
        return False
    return bool(new_answers) or any(isinstance(m, AIMessage) for m in shared_messages)
