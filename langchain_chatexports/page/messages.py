"""What a talk shows: its bubbles and its state."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from langchain_chatexports.page.errors import Failure
from langchain_chatexports.page.languages import _
from langchain_chatexports.page.speakers import Offer
from langchain_chatexports.personas.reply_limits import split_bubbles
from langchain_chatexports.personas.talk import Turn

Version: TypeAlias = Literal["after", "before"]
"""Whose replies are shown: the person's model, or the base without training."""

Author: TypeAlias = Literal["me", "model", "note"]


@dataclass(frozen=True)
class Message:
    """A bubble, or a note in place of one."""

    key: str
    turn: int
    text: str
    author: Author
    time: float | None = None
    is_read: bool = False
    cited: tuple[str, ...] = ()
    """The remembered lines, in the last bubble of a reply."""

    is_corrected: bool = False


@dataclass(frozen=True)
class TalkState:
    talk_id: str = ""
    messages: tuple[Message, ...] = ()
    version: Version = "after"
    is_kept: bool = True
    openings: tuple[str, ...] = ()
    offer: Offer | None = None
    phase: Literal["", "waking", "reading", "typing"] = ""
    waited: Literal["", "shortly", "long", "very long"] = ""
    """How long the reader has waited for an answer; empty before the dots are shown."""

    expected_seconds: float | None = None
    """How long the phase usually takes, as measured."""

    failure: Failure | None = None
    keep_failure: Failure | None = None
    """Why the talk could not be kept."""

    @property
    def is_busy(self) -> bool:
        return bool(self.phase)

    @property
    def is_stopped(self) -> bool:
        """Whether the last message has no answer, and none will come."""
        is_answered = not self.messages or self.messages[-1].author != "me"
        return not (is_answered or self.is_busy or self.failure or self.offer)


def to_messages(
    turns: Mapping[int, Turn], version: Version, *, is_reading: bool
) -> Iterator[Message]:
    """Yield the bubbles of numbered turns; `is_reading` is about the last one."""
    last = max(turns, default=0)
    for number, turn in turns.items():
        is_read = bool(any_reply(turn)) or (number == last and is_reading)
        for index, line, sent in _with_times(turn.line.split("\n\n"), turn.sent):
            yield Message(f"{number}-me-{index}", number, line, "me", sent, is_read)
        bubbles, is_after = split_bubbles(reply_of(turn, version)), version == "after"
        received = turn.received if is_after else []
        for index, bubble, when in _with_times(bubbles, received):
            key = f"{number}-{version}-{index}"
            is_end = is_after and index == len(bubbles) - 1
            yield Message(
                *(key, number, bubble, "model", when),
                cited=tuple(turn.cited) if is_end else (),
                is_corrected=turn.is_corrected and is_after,
            )
        if not bubbles and number != last and any_reply(turn):
            yield Message(f"{number}-{version}-none", number, "", "note")


def _with_times(
    texts: Iterable[str], times: Sequence[float]
) -> Iterator[tuple[int, str, float | None]]:
    for index, text in enumerate(texts):
        yield index, text, times[index] if index < len(times) else None


def reply_of(turn: Turn, version: Version) -> str:
    """Return the reply with or without training."""
    return turn.base_answer if version == "before" else turn.answer


def any_reply(turn: Turn) -> str:
    """Return the reply, preferably with training."""
    return turn.answer or turn.base_answer


def to_text(messages: Iterable[Message], name: str) -> str:
    """Return messages as text, with times and authors, for other programs."""
    first = _(
        "Talk with a model of {name}, {day}, not written by {name}.",
        name=name,
        day=time.strftime("%Y-%m-%d"),
    )
    lines = [first, ""]
    for message in messages:
        if message.author != "note":
            author = _("You") if message.author == "me" else name
            when = time.strftime("%Y-%m-%d %H:%M", time.localtime(message.time))
            prefix = f"{when} " if message.time else ""
            lines.append(f"{prefix}{author}: {message.text}")
    return "\n".join([*lines, ""])
