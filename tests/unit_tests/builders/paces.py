"""Threads of conversations with known borders, from distributions of pauses."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import HumanMessage

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86_400.0
_START = 1_693_182_723

Pause = Callable[[random.Random], float]


@dataclass(frozen=True)
class Pace:
    """The pauses of a thread, within conversations and between them."""

    reply: Pause
    silence: Pause
    messages: float = 14.0


@dataclass(frozen=True)
class Thread:
    """Times of messages, and the start indexes of conversations, except 0."""

    times: list[int]
    borders: list[int]


def _lognormal(median: float, sigma: float) -> Pause:
    return lambda rng: rng.lognormvariate(math.log(median), sigma)


def _bursts(burst: float, reply: float, share: float) -> Pause:
    quick, slow = _lognormal(burst, 0.8), _lognormal(reply, 1.0)
    return lambda rng: quick(rng) if rng.random() < share else slow(rng)


def _pareto(scale: float, shape: float, limit: float) -> Pause:
    return lambda rng: min(scale * rng.paretovariate(shape), limit)


def _exponential(mean: float, least: float) -> Pause:
    return lambda rng: least + rng.expovariate(1 / mean)


def _meals_and_nights(rng: random.Random) -> float:
    # Three conversations a day, and a night.
    is_night = rng.random() < 1 / 3
    return _HOUR * (rng.gauss(9.5, 1.2) if is_night else rng.gauss(4, 1))


PACES: dict[str, Pace] = {
    "quick replies, hours of silence": Pace(
        _lognormal(20, 1.1), _lognormal(4 * _HOUR, 1.0)
    ),
    "usual replies, half a day of silence": Pace(
        _lognormal(_MINUTE, 1.3), _lognormal(10 * _HOUR, 1.0)
    ),
    "bursts and replies, a day of silence": Pace(
        _bursts(6, 2 * _MINUTE, 0.5), _lognormal(_DAY, 0.8)
    ),
    "slow replies, days of silence": Pace(
        _lognormal(12 * _MINUTE, 0.9), _lognormal(2 * _DAY, 0.8), messages=10
    ),
    "letters: replies in hours, weeks of silence": Pace(
        _lognormal(1.5 * _HOUR, 0.7), _lognormal(9 * _DAY, 0.6), messages=8
    ),
    "busy group: half an hour is long": Pace(
        _lognormal(9, 0.9), _lognormal(32 * _MINUTE, 0.6), messages=40
    ),
    "meals and nights": Pace(_exponential(50, 1), _meals_and_nights, messages=20),
    "long tails": Pace(_pareto(8, 0.9, 3 * _HOUR), _exponential(_DAY, 2 * _HOUR)),
}
"""The mixtures on which the automatic gap's constants were chosen."""

HELD_OUT_PACES: dict[str, Pace] = {
    "office: lunch breaks and evenings": Pace(
        _lognormal(90, 1.4), _bursts(1.2 * _HOUR, 15 * _HOUR, 0.4), messages=12
    ),
    "replies in minutes, hours of silence": Pace(
        _exponential(4 * _MINUTE, 0), _lognormal(5 * _HOUR, 0.9), messages=10
    ),
    "bursts only, evenly spread silences": Pace(
        _lognormal(5, 0.7), lambda rng: rng.uniform(0.3, 24) * _HOUR, messages=9
    ),
}
"""Written after the constants, and not used to choose them."""


def make_thread(pace: Pace, rng: random.Random, conversations: int) -> Thread:
    """Create a thread of conversations of at least two messages."""
    times, borders = [float(_START)], []
    for number in range(conversations):
        if number:
            borders.append(len(times))
            times.append(times[-1] + pace.silence(rng))
        for _ in range(1 + int(rng.expovariate(1 / (pace.messages - 1.5)))):
            times.append(times[-1] + pace.reply(rng))
    return Thread([int(time) for time in times], borders)


def make_session(times: list[int | None], **metadata: Any) -> ChatSession:
    """Create a session with messages at these times, with ids `m0`, `m1`, …"""
    messages = []
    for index, time in enumerate(times):
        kwargs: dict[str, Any] = {"sender": ("Tortoise", "Hare")[index % 2]}
        if time is not None:
            kwargs["message_time"] = time
        messages.append(
            HumanMessage(content=f"{index}", additional_kwargs=kwargs, id=f"m{index}")
        )
    session: Any = {"messages": messages, "metadata": metadata}
    return cast("ChatSession", session)
