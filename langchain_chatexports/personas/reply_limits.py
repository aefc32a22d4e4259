"""Limits of a reply, because small models continue where the person would stop."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from typing_extensions import Self

from langchain_chatexports._tokens import (
    MIN_BYTES_PER_TOKEN,
    nearly_all,
    reply_token_limit,
)
from langchain_chatexports.personas.repetition import repetitions

_MIN_REPLIES = 10
_MIN_CHARACTERS = 40
_BETWEEN_BUBBLES = re.compile(r"\s*\n\s*")
_SENTENCE_END = re.compile(
    r"[\u3002\uff01\uff1f\u0964]|[.!?…]['\"\u201d\u2019)]*(?=\s)|\s*\n"
)
_CLAUSE_END = re.compile(r"[\uff0c\u3001\uff1b]|[,;:](?=\s)|\s[-\u2013]+(?=\s)")
_MUCH = 1.5
# The continuation of a model that has read a list of replies.
_REPLIES_STOP = "\n> "


@dataclass(frozen=True)
class ReplyLimits:
    """Maximum lengths of replies; `None` for no limit.

    Attributes:
        tokens: Twice the tokens of nearly all of the person's replies.
        characters: The length of nearly all of the person's replies. A longer reply is
            cut after its sentence; a much longer one, or one that repeats a phrase,
            after its clause.
        bubbles: Maximum number of messages in nearly all of the person's replies.
        label: The name before the user's messages: a reply ends if the model continues
            with the user's next message.
    """

    tokens: int | None = None
    characters: int | None = None
    bubbles: int | None = None
    label: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, replies: Iterable[str], *, label: str | None = None) -> Self:
        """Return the limits of a person's replies; at least ten are needed."""
        texts = [reply.strip() for reply in replies]
        if len(texts) < _MIN_REPLIES:
            return cls(label=label)
        sizes = [len(text.encode("utf-8", "replace")) for text in texts]
        return cls(
            tokens=reply_token_limit(size / MIN_BYTES_PER_TOKEN for size in sizes),
            characters=max(_MIN_CHARACTERS, int(nearly_all(map(len, texts)))),
            bubbles=int(nearly_all(len(bubbles_of(text)) for text in texts)),
            label=label,
        )

    def beginning(self, text: str) -> str:
        """Return a reply without the part beyond its limits."""
        ends = [at for at in map(text.find, self._stops) if at >= 0]
        ends += [*self._bubble_ends(text), *self._phrase_ends(text)]
        return text[: min(ends)].rstrip() if ends else text

    def _bubble_ends(self, text: str) -> list[int]:
        if self.bubbles is None:
            return []
        found = (between.start() for between in _BETWEEN_BUBBLES.finditer(text))
        return [at for at in found if text[:at].strip()][self.bubbles - 1 :]

    def _phrase_ends(self, text: str) -> Iterator[int]:
        """Yield the ends of sentences or clauses that may end a long reply."""
        repeated = [repetition.end for repetition in repetitions(text)][:1]
        long = [] if self.characters is None else [self.characters]
        if enough := [*repeated, *long]:
            sentence = _SENTENCE_END.search(text, min(enough) - 1)
            much = [*repeated, *(round(_MUCH * size) for size in long)]
            clause = _CLAUSE_END.search(text, min(much))
            yield from (sentence.end(),) if sentence else ()
            yield from (clause.start(),) if clause else ()

    def settled(self, text: str) -> str:
        """Return the certain part of an unfinished reply."""
        before, line_break, line = text.rpartition("\n")
        is_open = any(stop.startswith(f"\n{line}") for stop in self._stops)
        return before if line_break and is_open else text

    @property
    def _stops(self) -> tuple[str, ...]:
        return (_REPLIES_STOP, f"\n{self.label}: ") if self.label else (_REPLIES_STOP,)


def bubbles_of(text: str) -> list[str]:
    """Return the messages of a reply: its lines, without empty ones."""
    return [line for line in _BETWEEN_BUBBLES.split(text.strip()) if line]
