"""Cut sessions into windows of a number of messages or tokens."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple, cast

from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import AIMessage, BaseMessage
from pydantic import Field, field_validator, model_validator
from typing_extensions import Self

from langchain_chatexports._fast.messages import changed_copy
from langchain_chatexports._tokens import TOKEN_COUNTERS, token_counter
from langchain_chatexports.steps.base import SessionTransform


class _Window(NamedTuple):
    """The messages from `start` to `end`; those before `new` are shared."""

    start: int
    new: int
    end: int
    skipped: str | None = None
    """The reason to skip the window; `None` if it is kept."""


class ChunkSessions(SessionTransform):
    """Cut each session into windows of `size` messages, `overlap` of them shared.

    The default is that of LangChain's Messenger tutorial: only full windows, without
    the last messages of a session or sessions shorter than `size`. `inspect` counts
    these as `tail`; `keep_tail` keeps them.

    With `max_tokens`, a window also ends, and is full, before the message that would
    exceed the limit. A message over the limit is in no window (`too_long`).
    """

    size: int | None = Field(default=8, gt=0)
    """Maximum number of messages in a window; `None` with `max_tokens`: any number."""

    overlap: int = Field(default=2, ge=0)
    """Messages that a window shares with the previous one, if there is room for a new
    message; less than `size`."""

    keep_tail: bool = False
    """Add a last, shorter window, if it contains a message that is in no other."""

    max_tokens: int | None = Field(default=None, gt=0)
    """Maximum number of tokens in a window, over the texts of its messages."""

    count_tokens: str | Callable[[str], int] = Field(default="bytes", exclude=True)
    """The token counter: `bytes` (an upper bound, which needs no file), an encoding of
    tiktoken that is on this machine (`o200k_base`), or a function, which `dumps` cannot
    serialize."""

    overlap_as_context: bool = False
    """Set the weight of shared messages (`additional_kwargs["weight"]`) to 0 in the
    later window, so that no answer is trained on twice. A window whose answers all have
    weight 0 is skipped (`not_trained`)."""

    @field_validator("count_tokens")
    @classmethod
    def _counter_is_known(cls, value: Any) -> Any:
        if isinstance(value, str) and value not in TOKEN_COUNTERS:
            msg = f"count_tokens must be a function or one of {TOKEN_COUNTERS}."
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _window_has_bounds(self) -> Self:
        if self.size is None and self.max_tokens is None:
            msg = "Set size or max_tokens to limit the windows."
            raise ValueError(msg)
        if self.size is not None and self.overlap >= self.size:
            msg = f"overlap ({self.overlap}) must be less than size ({self.size})."
            raise ValueError(msg)
        return self

    @property
    def lc_attributes(self) -> dict[str, Any]:
        """The token counter, by its name.

        Raises:
            TypeError: If it is a function, which cannot be serialized.
        """
        if not isinstance(self.count_tokens, str):
            msg = (
                "A function as count_tokens cannot be serialized. Give one of "
                f"{TOKEN_COUNTERS}, or build the step again where you load it."
            )
            raise TypeError(msg)
        if self.max_tokens is None:
            return {}
        return {"count_tokens": self.count_tokens}

    def transform_session(self, session: ChatSession) -> Iterator[ChatSession]:
        """Cut one session."""
        messages = session.get("messages", ())
        for window in self._windows(messages):
            if window.skipped is None:
                yield {**session, "messages": self._taken(messages, window)}

    def skipped(self, session: ChatSession) -> Mapping[str, int]:
        """Count the messages that are in no window."""
        messages = session.get("messages", ())
        reasons: list[str | None] = ["too_long"] * len(messages)
        for window in self._windows(messages):
            # A later window may contain messages of a skipped one as overlap.
            first = window.start if window.skipped is None else window.new
            reasons[first : window.end] = [window.skipped] * (window.end - first)
        counts = Counter(reasons)
        del counts[None]  # In a window.
        return cast("Counter[str]", counts)

    def _windows(self, messages: Sequence[BaseMessage]) -> Iterator[_Window]:
        for window in self._spans(messages):
            if (
                window.skipped is None
                and self.overlap_as_context
                and _is_not_trained(messages, window)
            ):
                yield window._replace(skipped="not_trained")
            else:
                yield window

    def _spans(self, messages: Sequence[BaseMessage]) -> Iterator[_Window]:
        length = len(messages)
        if self.max_tokens is None:
            yield from self._spans_within(0, length, length)
            return
        count = self.count_tokens
        counter = token_counter(count) if isinstance(count, str) else count
        tokens = [counter(str(message.text)) for message in messages]
        sums = list(accumulate(tokens, initial=0))
        too_long = (i for i, number in enumerate(tokens) if number > self.max_tokens)
        begin = 0
        for end in (*too_long, length):
            yield from self._spans_within(begin, end, length, sums)
            begin = end + 1

    def _spans_within(
        self, begin: int, end: int, length: int, sums: Sequence[int] = ()
    ) -> Iterator[_Window]:
        start = new = begin
        while new < end:
            stop = end if self.size is None else min(end, start + self.size)
            if self.max_tokens is not None:
                limit = sums[start] + self.max_tokens
                stop = bisect_right(sums, limit, start + 1, stop + 1) - 1
            if stop <= new:
                start += 1  # The overlap leaves no room for a new message.
                continue
            is_full = stop < length or stop - start == self.size
            is_given = is_full or self.keep_tail
            yield _Window(start, new, stop, None if is_given else "tail")
            new = stop
            start = max(start + 1, stop - self.overlap)

    def _taken(
        self, messages: Sequence[BaseMessage], window: _Window
    ) -> list[BaseMessage]:
        # Copy shared messages, so that no object is in two windows.
        weight = {"weight": 0} if self.overlap_as_context else {}
        repeated = [
            changed_copy(
                message, {"additional_kwargs": {**message.additional_kwargs, **weight}}
            )
            for message in messages[window.start : window.new]
        ]
        return [*repeated, *messages[window.new : window.end]]


def _is_not_trained(messages: Sequence[BaseMessage], window: _Window) -> bool:
    answers = [
        index
        for index in range(window.start, window.end)
        if isinstance(messages[index], AIMessage)
    ]
    return bool(answers) and all(
        index < window.new or messages[index].additional_kwargs.get("weight") == 0
        for index in answers
    )
