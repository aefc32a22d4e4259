"""Limits of replies, because small models do not stop where the person would."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Self

from langchain_chatexports._tokens import (
    MIN_BYTES_PER_TOKEN,
    percentile_99,
    reply_token_limit,
)
from langchain_chatexports.personas.repetition import repetitions

_MIN_REPLIES = 10
_MIN_CHARACTERS = 40
_BUBBLE_BREAK = re.compile(r"\s*\n\s*")
_SENTENCE_END = re.compile(
    r"[\u3002\uff01\uff1f\u0964]|[.!?…]['\"\u201d\u2019)]*(?=\s)|\s*\n"
)
_CLAUSE_END = re.compile(r"[\uff0c\u3001\uff1b]|[,;:](?=\s)|\s[-\u2013]+(?=\s)")
_CLAUSE_FACTOR = 1.5
_SECONDS_PER_LETTER, _MAX_SECONDS = 0.03, 2.5
# The beginning of another reply, which models write after a list of replies.
_REPLIES_STOP = "\n> "


@dataclass(frozen=True)
class ReplyLimits:
    """Maximum lengths of replies; `None` for no limit."""

    tokens: int | None = None
    """Twice the 99th percentile of reply lengths, in tokens."""

    characters: int | None = None
    """99th percentile of reply lengths. A longer reply is cut at the end of the
    sentence; a much longer or repetitive one, at the end of the clause."""

    bubbles: int | None = None
    """99th percentile of the number of messages per reply."""

    label: str | None = field(default=None, repr=False)
    """The name before the user's messages. A reply is cut where the model writes the
    user's next message."""

    @classmethod
    def from_replies(cls, replies: Iterable[str], *, label: str | None = None) -> Self:
        """Return the limits of a person's replies; no limits for fewer than ten."""
        texts = [reply.strip() for reply in replies]
        if len(texts) < _MIN_REPLIES:
            return cls(label=label)
        sizes = [len(text.encode("utf-8", "replace")) for text in texts]
        return cls(
            tokens=reply_token_limit(size / MIN_BYTES_PER_TOKEN for size in sizes),
            characters=max(_MIN_CHARACTERS, int(percentile_99(map(len, texts)))),
            bubbles=int(percentile_99(len(split_bubbles(text)) for text in texts)),
            label=label,
        )

    def truncate(self, text: str) -> str:
        """Cut a reply at its limits."""
        ends = [end for end in map(text.find, self._stops) if end >= 0]
        ends += [*self._bubble_ends(text), *self._phrase_ends(text)]
        return text[: min(ends)].rstrip() if ends else text

    def _bubble_ends(self, text: str) -> list[int]:
        if self.bubbles is None:
            return []
        breaks = (match.start() for match in _BUBBLE_BREAK.finditer(text))
        return [end for end in breaks if text[:end].strip()][self.bubbles - 1 :]

    def _phrase_ends(self, text: str) -> Iterator[int]:
        """Yield the ends of the sentence and of the clause at which to cut."""
        repeated = [repetition.end for repetition in repetitions(text)][:1]
        limits = [] if self.characters is None else [self.characters]
        if starts := [*repeated, *limits]:
            sentence = _SENTENCE_END.search(text, min(starts) - 1)
            clause_starts = (round(_CLAUSE_FACTOR * limit) for limit in limits)
            clause = _CLAUSE_END.search(text, min([*repeated, *clause_starts]))
            yield from (sentence.end(),) if sentence else ()
            yield from (clause.start(),) if clause else ()

    def strip_partial_stop(self, text: str) -> str:
        """Remove a last line that may turn into a stop sequence."""
        before, line_break, line = text.rpartition("\n")
        is_partial = any(stop.startswith(f"\n{line}") for stop in self._stops)
        return before if line_break and is_partial else text

    @property
    def _stops(self) -> tuple[str, ...]:
        return (_REPLIES_STOP, f"\n{self.label}: ") if self.label else (_REPLIES_STOP,)


def split_bubbles(text: str) -> list[str]:
    """Return the messages of a reply: its lines that are not empty."""
    return [line for line in _BUBBLE_BREAK.split(text.strip()) if line]


def typing_seconds(bubble: str) -> float:
    """Return how long a message takes to appear after another, as if it was typed."""
    return min(_MAX_SECONDS, _SECONDS_PER_LETTER * len(bubble))
