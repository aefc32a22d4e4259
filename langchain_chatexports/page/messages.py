"""What a talk shows: its bubbles and its state."""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal, TypeAlias

from langchain_chatexports.page.errors import Failure
from langchain_chatexports.page.languages import _, join_parts
from langchain_chatexports.page.speakers import Offer
from langchain_chatexports.personas.reply_limits import split_bubbles
from langchain_chatexports.personas.talk import Turn

_GROUP_SECONDS = 300.0

Author: TypeAlias = Literal["me", "model", "base", "note"]
"""Who wrote a message; the base is the model before training."""

Version: TypeAlias = Literal["before", "after", "both"]

AUTHORS: dict[Version, tuple[Author, ...]] = {
    "before": ("base",),
    "after": ("model",),
    "both": ("base", "model"),
}
"""Whose replies are shown."""


@dataclass(frozen=True)
class Message:
    """A bubble, or a note in place of one."""

    turn: int
    author: Author
    index: int = 0
    """Which one it is of its author in the turn."""

    text: str = ""
    time: float | None = None
    is_new_day: bool = False
    is_later: bool = False
    """Not in the group of the message before it, such as minutes after it."""

    is_read: bool = False
    cited: tuple[str, ...] = ()
    """The remembered lines, in the last bubble of a reply."""

    is_corrected: bool = False
    is_edited: bool = False
    """Whether a field is shown in place of all messages of its author in the turn."""

    @property
    def key(self) -> str:
        return f"{self.turn}-{self.author}-{self.index}-{self.is_edited}"


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

    is_unanswered: bool = False
    """Whether the last message lacks an answer that is to be shown."""

    failure: Failure | None = None
    keep_failure: Failure | None = None
    """Why the talk could not be kept."""

    @property
    def is_busy(self) -> bool:
        return bool(self.phase)

    @property
    def is_stopped(self) -> bool:
        """Whether the last message has no answer, and none will come."""
        return self.is_unanswered and not (self.phase or self.failure or self.offer)


def to_messages(
    turns: Mapping[int, Turn], version: Version, *, read: int = 0
) -> Iterator[Message]:
    """Yield the bubbles of numbered turns; `read` has no reply yet, and was read."""
    last, last_time, last_author = max(turns, default=0), 0.0, ""
    for number, turn in turns.items():
        is_read = bool(any_reply(turn)) or number == read
        for author in ("me", *AUTHORS[version]):
            texts, times = _texts_of(turn, author)
            if not texts and number != last and any_reply(turn):
                yield Message(number, "note")
            for index, (text, when) in enumerate(zip_longest(texts, times)):
                at = when or last_time
                is_new_day = time.localtime(at)[:3] != time.localtime(last_time)[:3]
                is_model, is_end = author == "model", index == len(texts) - 1
                yield Message(
                    *(number, author, index, text, when, is_new_day),
                    is_later=is_new_day
                    or author != last_author
                    or at - last_time > _GROUP_SECONDS,
                    is_read=is_read,
                    cited=tuple(turn.cited) if is_model and is_end else (),
                    is_corrected=turn.is_corrected and is_model,
                )
                last_time, last_author = at, author


def _texts_of(turn: Turn, author: Author) -> tuple[list[str], list[float]]:
    """Return the messages of a turn, with their times as far as they are known."""
    if author == "me":
        texts = turn.line.split("\n\n")
        return texts, turn.sent[: len(texts)]
    texts = split_bubbles(reply_of(turn, author))
    return texts, turn.received[: len(texts)] if author == "model" else []


def reply_of(turn: Turn, author: Author) -> str:
    return turn.base_answer if author == "base" else turn.answer


def missing_replies(turn: Turn | None, version: Version) -> list[Author]:
    """Return whose replies are to be shown, and are not there."""
    authors = AUTHORS[version] if turn is not None else ()
    return [author for author in authors if turn and not reply_of(turn, author)]


def any_reply(turn: Turn) -> str:
    """Return the reply, preferably with training."""
    return turn.answer or turn.base_answer


def author_name(message: Message, name: str) -> str:
    if message.author == "me":
        return _("You")
    return join_parts(name, _("before training") if message.author == "base" else "")


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
            when = time.strftime("%Y-%m-%d %H:%M", time.localtime(message.time))
            prefix = f"{when} " if message.time else ""
            lines.append(f"{prefix}{author_name(message, name)}: {message.text}")
    return "\n".join([*lines, ""])
