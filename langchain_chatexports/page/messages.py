"""What a talk shows: its bubbles and its state."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal, TypeAlias

from langchain_chatexports.page.errors import Failure
from langchain_chatexports.page.languages import lazy_gettext
from langchain_chatexports.page.speakers import Offer
from langchain_chatexports.page.work import IDLE, WorkState
from langchain_chatexports.personas.reply_limits import split_bubbles
from langchain_chatexports.personas.talk import Turn

_MAX_USUAL_TURNS, _MAX_USUAL_SECONDS = 20, 900.0

Version: TypeAlias = Literal["after", "before"]
"""Whose replies are shown: the person's model, or the base without training."""


@dataclass(frozen=True)
class Message:
    """A bubble, or a note in place of one."""

    key: str
    turn: int
    text: str
    author: Literal["me", "model", "note"]
    time: float | None = None
    is_read: bool = False
    cited: tuple[str, ...] = ()
    """The remembered lines, in the last bubble of a reply."""

    is_corrected: bool = False
    """Whether the user wrote it in place of what the model said."""


@dataclass(frozen=True)
class TalkState:
    """What a talk shows."""

    talk_id: str = ""
    messages: tuple[Message, ...] = ()
    phase: Literal["", "waking", "reading", "typing"] = ""
    shows_dots: bool = False
    slowness: Literal[0, 1, 2] = 0
    """1 after some seconds, 2 after a minute."""

    usual_seconds: float | None = None
    """How long an answer usually takes, as measured."""

    waking_seconds: float | None = None
    """How long the model took to start the last time."""

    failure: Failure | None = None
    is_stopped: bool = False
    """Whether the last message has no answer because that was stopped."""

    keep_failure: Failure | None = None
    """Why the talk could not be kept."""

    offer: Offer | None = None
    download: WorkState = IDLE
    version: Version = "after"
    is_kept: bool = True
    openings: tuple[str, ...] = ()

    @property
    def is_busy(self) -> bool:
        """Whether the model works on an answer."""
        return bool(self.phase)


def to_messages(
    turns: Iterable[tuple[int, Turn]], version: Version, *, is_reading: bool
) -> Iterator[Message]:
    """Yield the bubbles of numbered turns; `is_reading` is about the last one."""
    numbered = [*turns]
    last = numbered[-1][0] if numbered else 0
    for number, turn in numbered:
        reply = reply_of(turn, version)
        is_read = bool(replies(turn)) or (number == last and is_reading)
        for index, line in enumerate(turn.line.split("\n\n")):
            sent = turn.sent[index] if index < len(turn.sent) else None
            key = f"{number}-me-{index}"
            yield Message(key, number, line, "me", sent, is_read)
        bubbles = split_bubbles(reply)
        for index, bubble in enumerate(bubbles):
            received = turn.received if version == "after" else []
            when = received[index] if index < len(received) else None
            cited = turn.cited if index == len(bubbles) - 1 else []
            if version == "before":
                cited = []
            is_corrected = turn.is_corrected and version == "after"
            key = f"{number}-{version}-{index}"
            yield Message(
                *(key, number, bubble, "model", when),
                cited=tuple(cited),
                is_corrected=is_corrected,
            )
        if not bubbles and number != last and replies(turn):
            yield Message(f"{number}-{version}-none", number, "", "note")


def export_lines(messages: Iterable[Message], name: str) -> Iterator[str]:
    """Yield messages as text, with times and authors."""
    me = str(lazy_gettext("You"))
    for message in messages:
        if message.author != "note":
            author = me if message.author == "me" else name
            when = time.strftime("%Y-%m-%d %H:%M", time.localtime(message.time))
            prefix = f"{when} " if message.time else ""
            yield f"{prefix}{author}: {message.text}"


def reply_of(turn: Turn, version: Version) -> str:
    """Return the reply with or without training."""
    return turn.base_answer if version == "before" else turn.answer


def replies(turn: Turn) -> str:
    """Return any reply."""
    return turn.answer or turn.base_answer


def usual_seconds(turns: Sequence[Turn]) -> float | None:
    """Return how long answers took, as measured."""
    seconds = [
        turn.received[0] - turn.sent[-1]
        for turn in turns[-_MAX_USUAL_TURNS:]
        if turn.sent and turn.received
    ]
    usual = [each for each in seconds if 0 < each < _MAX_USUAL_SECONDS]
    return median(usual) if usual else None
