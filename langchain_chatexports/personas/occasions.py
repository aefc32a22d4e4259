"""The occasions to answer in a chat: the turns of others, and what is known then."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from langchain_core.messages import BaseMessage

from langchain_chatexports.chat_loaders.schema import UNKNOWN_SENDER, keys_of
from langchain_chatexports.steps.pauses import last_event_time

BUBBLE_PAUSE = 120.0
"""The maximum pause in seconds between messages of a turn."""

_HOUR, _DAY, _WEEK = 3600.0, 86400.0, 604800.0
_LAST_TURNS = 10
_WORD = re.compile(r"[^\W\d_]{3,}")
_ADDRESS = re.compile(r"@?\w[\w-]*[:,] |@\w")


class Turn(NamedTuple):
    """Consecutive messages of one sender without a long pause."""

    is_own: bool
    sender: str
    start: float
    end: float
    messages: int
    length: int
    mentions: bool
    """Whether it names the person."""

    addresses_other: bool
    asks: bool
    conversation: int


class Occasion(NamedTuple):
    """The end of somebody else's turn."""

    features: tuple[float, ...]
    reply: bool
    """Whether the person takes the next turn of the conversation."""

    delay: float
    bubbles: int
    time: float


def iter_turns(
    messages: Iterable[BaseMessage],
    person: str | None,
    gap: float,
    now: float | None = None,
) -> Iterator[Turn]:
    """Yield the turns of a chat; without `now`, messages without a time are skipped."""
    turn: Turn | None = None
    names: dict[str, frozenset[str]] = {}
    for message in messages:
        keys, text = keys_of(message), message.text
        start = keys.get("message_time", turn.end if turn and now is not None else now)
        if start is None:
            continue
        sender = keys.get("sender") or message.name or message.type
        is_own = message.type == "ai" or sender == person
        if is_own or person is not None:
            names.setdefault(name := person or sender, _words(name))
        words = _words(text)
        to = keys.get("reply_to", {}).get("sender", UNKNOWN_SENDER)
        is_reply = to != UNKNOWN_SENDER
        named = any(words & parts for parts in names.values())
        mentions = to in names if is_reply else named
        pause = max(0.0, start - turn.end) if turn else 0.0
        new = Turn(
            is_own=is_own,
            sender=sender,
            start=start,
            end=max(start, last_event_time(message, start)),
            messages=max(1, len(keys.get("events", ()))),
            length=len(text),
            mentions=mentions,
            addresses_other=not mentions and (is_reply or _starts_with_name(text)),
            asks="?" in text or "\uff1f" in text,
            conversation=turn.conversation + (pause > gap) if turn else 0,
        )
        if turn and turn.sender == sender and pause <= min(BUBBLE_PAUSE, gap):
            turn = _join(turn, new)
            continue
        if turn:
            yield turn
        turn = new
    if turn:
        yield turn


def iter_occasions(
    turns: Sequence[Turn], rate: float, hours: Sequence[float]
) -> Iterator[Occasion]:
    """Yield the occasions of a chat.

    Args:
        turns: The turns.
        rate: The share of occasions with a reply, the first guess of recent ones.
        hours: The logarithm of the person's activity in each hour of the day, in UTC.
    """
    closeness: dict[str, float] = {}
    talk: list[Turn] = []  # The last turns of the conversation.
    recent, unanswered = rate, 0
    own_end = turns[0].start - _DAY / 4 if turns else 0.0  # A guess.
    for turn, following in pairwise([*turns, None]):
        assert turn is not None  # noqa: S101 - only the last one is.
        last_end = talk[-1].end if talk else own_end
        if talk and talk[-1].conversation != turn.conversation:
            talk = []
        if turn.is_own:
            own_end, unanswered = turn.end, 0
        else:
            unanswered += turn.messages
            close = closeness.get(turn.sender, recent)
            features = (
                1.0,
                float(turn.mentions),
                float(turn.addresses_other),
                float(turn.asks),
                math.log1p(turn.length),
                math.log(turn.messages),
                math.log1p(_limit(turn.end - own_end) / 60),
                math.log(unanswered),
                float(bool(talk) and talk[-1].is_own),
                sum(t.is_own for t in talk) / max(1, len(talk)),
                math.log(len({turn.sender, *(t.sender for t in talk)})),
                math.log1p(_limit(turn.start - last_end)),
                _logit(recent),
                _logit(close),
                hours[int(turn.end // _HOUR) % 24],
            )
            is_within = following and following.conversation == turn.conversation
            reply = bool(following and is_within and following.is_own)
            yield Occasion(
                features,
                reply,
                max(0.0, following.start - turn.end) if following else 0.0,
                following.messages if following and reply else 0,
                turn.end,
            )
            closeness[turn.sender] = close + 0.1 * (reply - close)
            recent += 0.02 * (reply - recent)
        talk = [*talk[-_LAST_TURNS:], turn]


def _join(turn: Turn, new: Turn) -> Turn:
    """Return a turn with one more message."""
    return turn._replace(
        end=max(turn.end, new.end),
        messages=turn.messages + new.messages,
        length=turn.length + new.length,
        mentions=turn.mentions or new.mentions,
        addresses_other=turn.addresses_other or new.addresses_other,
        asks=turn.asks or new.asks,
    )


def _words(text: str) -> frozenset[str]:
    """Return the words that can be a name or a part of one."""
    return frozenset(_WORD.findall(text.lower()))


def _starts_with_name(text: str) -> bool:
    return _ADDRESS.match(text) is not None


def _limit(seconds: float) -> float:
    return min(max(seconds, 0.0), _WEEK)


def _logit(p: float) -> float:
    return math.log((0.01 + 0.98 * p) / (0.99 - 0.98 * p))
