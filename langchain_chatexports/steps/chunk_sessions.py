"""Cut sessions into windows of a fixed number of messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from langchain_chatexports.steps.base import SessionTransform

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from langchain_core.chat_sessions import ChatSession
    from langchain_core.messages import BaseMessage
    from typing_extensions import Self

__all__ = ["ChunkSessions"]


class ChunkSessions(SessionTransform):
    """Cut each session into windows of `size` messages, `overlap` of them shared.

    The default is the rule of LangChain's Messenger tutorial: full windows only, so a
    session's last messages may be in none, and a session shorter than `size` gives
    nothing. `inspect` counts these as `tail`; `keep_tail` keeps them.
    """

    size: int = Field(default=8, gt=0)
    """Messages in a window."""

    overlap: int = Field(default=2, ge=0)
    """Messages that a window shares with the one before it; less than `size`."""

    keep_tail: bool = False
    """Add a last, shorter window from the next start, if it holds a message that no
    window has."""

    @model_validator(mode="after")
    def _overlap_is_smaller(self) -> Self:
        if self.overlap >= self.size:
            msg = f"overlap ({self.overlap}) must be less than size ({self.size})."
            raise ValueError(msg)
        return self

    def transform_session(self, session: ChatSession) -> Iterator[ChatSession]:
        """Cut one session."""
        messages = session.get("messages", ())
        for start in self._starts(len(messages)):
            yield {**session, "messages": self._window(messages, start)}

    def left_out(self, session: ChatSession) -> Mapping[str, int]:
        """Count the messages that are in no window."""
        length = len(session.get("messages", ()))
        starts = self._starts(length)
        covered = min(starts[-1] + self.size, length) if starts else 0
        return {"tail": length - covered} if length > covered else {}

    def _starts(self, length: int) -> range:
        step = self.size - self.overlap
        full = range(0, length - self.size + 1, step)
        if not self.keep_tail:
            return full
        covered = full[-1] + self.size if full else 0
        return range(0, (len(full) + (covered < length)) * step, step)

    def _window(self, messages: Sequence[BaseMessage], start: int) -> list[BaseMessage]:
        # Only what an earlier window holds is copied: no object is in two windows.
        repeated = self.overlap if start else 0
        window = messages[start : start + self.size]
        return [
            message.model_copy(
                update={"additional_kwargs": dict(message.additional_kwargs)}
            )
            if index < repeated
            else message
            for index, message in enumerate(window)
        ]
