"""Pauses between messages, and the pause that ends a conversation in a thread."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

from langchain_core.messages import BaseMessage

from langchain_chatexports.chat_loaders.message_times import end_time

MIN_GAP_SECONDS = 5 * 60
"""Seconds; no automatic gap is shorter."""

MAX_GAP_SECONDS = 12 * 60 * 60
"""Seconds; no automatic gap is longer, so that a night ends a conversation."""


class _Kind(NamedTuple):
    """One kind of pause: normal in log2 of seconds."""

    mean: float
    spread: float
    share: float
    weight: float = 0.0
    """Of an expectation: the number of observed pauses that it weighs as much as."""


_Kinds: TypeAlias = tuple[_Kind, ...]

# The prior of a thread's pauses: bubbles in a burst, replies, and silences between
# conversations. The pace inside of conversations
# differs less than the silences do, and so it has more weight. The numbers were chosen
# on the mixtures of benchmarks/split_sessions.py, and on threads of very even pauses.
_EXPECTED = (
    _Kind(math.log2(15), 1.2, 0.45, 20),
    _Kind(math.log2(2 * 60), 1.5, 0.45, 20),
    _Kind(math.log2(8 * 60 * 60), 1.8, 0.10, 3),
)
# The same of people who write like letters: replies take an hour or so.
_OCTAVES_TO_LETTERS = 5
_EXPECTED_OF_LETTERS = tuple(
    kind._replace(mean=kind.mean + _OCTAVES_TO_LETTERS) for kind in _EXPECTED
)
# As the weights, for the shares of the three kinds.
_WEIGHT_OF_SHARES = 20.0

# Messages that say whether one before them is from the future.
_WITNESSES = 5

_BINS_AN_OCTAVE = 4
_MAX_ROUNDS = 60
_CONVERGED = 0.005
_STEPS_AN_OCTAVE = 16
_TINY = 1e-300


def pauses_before(messages: Sequence[BaseMessage]) -> list[float | None]:
    """Return the pause before each message, in seconds.

    A merged message lasts until the last of its `events`. Where several messages in a
    row are far older than one before them, its clock was wrong and it does not count:
    otherwise a message dated 2038 would hide every silence behind it.

    Args:
        messages: The messages of a session, in order.

    Returns:
        As many values as messages; `None` before the first, and wherever no time is
        known. A pause is never negative.
    """
    times = [message.additional_kwargs.get("message_time") for message in messages]
    begins = [time for time in times if isinstance(time, (int, float))]
    pauses: list[float | None] = []
    last: float | None = None
    # What was last before each silence of `MAX_GAP_SECONDS`.
    before_silences: list[float] = []
    place = 0
    for message, begin in zip(messages, times, strict=True):
        if not isinstance(begin, (int, float)):
            pauses.append(None)
            continue
        while last is not None and _are_older(begins, place, last):
            last = before_silences.pop() if before_silences else None
        place += 1
        pauses.append(None if last is None else max(0.0, begin - last))
        end = max(begin, end_time(message, begin))
        if last is None:
            last = end
        elif end > last:
            if end - last > MAX_GAP_SECONDS:
                before_silences.append(last)
            last = end
    return pauses


def automatic_gap(pauses: Iterable[float]) -> float:
    """Find the pause from which on a thread's pauses are silences, in seconds.

    The logarithms of the pauses are taken as a mixture of three normal distributions
    (bursts, replies, silences), fitted by expectation maximization from an expectation
    that some dozens of pauses outweigh. The gap is the pause at which a silence becomes
    the likelier explanation. Where that would make most pauses silences, the thread is
    fitted again, from the expectation that its replies take an hour or so.

    Args:
        pauses: The pauses of one thread, in seconds, in any order.

    Returns:
        At least `MIN_GAP_SECONDS` and at most `MAX_GAP_SECONDS`; 37 minutes without any
        pause to learn from. The same pauses give the same gap.
    """
    bins = _histogram(pauses)
    gap = _gap_between(_fitted(bins, _EXPECTED))
    if _is_mostly_silence(bins, gap):
        gap = _gap_between(_fitted(bins, _EXPECTED_OF_LETTERS))
    return gap


def _are_older(begins: Sequence[float], place: int, last: float) -> bool:
    """Return whether a message and most of the next ones are far older than `last`."""
    oldest = last - MAX_GAP_SECONDS
    if begins[place] >= oldest:
        return False
    following = begins[place : place + _WITNESSES]
    return sum(begin < oldest for begin in following) > _WITNESSES // 2


def _gap_between(kinds: _Kinds) -> float:
    silence = max(kinds)
    others = [kind for kind in kinds if kind is not silence]
    steps = int(math.log2(MAX_GAP_SECONDS / MIN_GAP_SECONDS) * _STEPS_AN_OCTAVE)
    for step in range(steps + 1):
        gap = MIN_GAP_SECONDS * 2 ** (step / _STEPS_AN_OCTAVE)
        x = math.log2(gap)
        if _density(silence, x) >= sum(_density(kind, x) for kind in others):
            return gap
    return float(MAX_GAP_SECONDS)


def _is_mostly_silence(bins: Sequence[tuple[float, int]], gap: float) -> bool:
    # Conversations of less than two messages are none.
    above = sum(count for x, count in bins if x > math.log2(gap))
    return above > sum(count for _, count in bins) / 2


def _histogram(pauses: Iterable[float]) -> list[tuple[float, int]]:
    # A thread may have hundreds of thousands of pauses; the bins are a hundred.
    counts = Counter(
        int(math.log2(pause) * _BINS_AN_OCTAVE) if pause > 1 else 0 for pause in pauses
    )
    return [((i + 0.5) / _BINS_AN_OCTAVE, n) for i, n in sorted(counts.items())]


def _fitted(bins: Sequence[tuple[float, int]], expected: _Kinds) -> _Kinds:
    kinds = expected
    for _ in range(_MAX_ROUNDS if bins else 0):
        again = _improved(kinds, bins, expected)
        moved = max(
            abs(new.mean - old.mean) for new, old in zip(again, kinds, strict=True)
        )
        kinds = again
        if moved < _CONVERGED:
            break
    return kinds


def _improved(
    kinds: _Kinds, bins: Sequence[tuple[float, int]], expected: _Kinds
) -> _Kinds:
    # Per kind: how many pauses it explains, and the sums of x and x squared of these.
    sums = [[0.0, 0.0, 0.0] for _ in kinds]
    for x, count in bins:
        densities = [_density(kind, x) + _TINY for kind in kinds]
        unit = count / math.fsum(densities)
        for total, density in zip(sums, densities, strict=True):
            explained = unit * density
            total[0] += explained
            total[1] += explained * x
            total[2] += explained * x * x
    everything = sum(count for _, count in bins)
    return tuple(
        _updated(before, total, everything)
        for before, total in zip(expected, sums, strict=True)
    )


def _updated(expected: _Kind, total: Sequence[float], everything: int) -> _Kind:
    explained, first, second = total
    weight = explained + expected.weight
    mean = (first + expected.weight * expected.mean) / weight
    scatter = second - 2 * mean * first + explained * mean * mean
    held = expected.spread**2 + (mean - expected.mean) ** 2
    variance = (scatter + expected.weight * held) / weight
    share = (explained + _WEIGHT_OF_SHARES * expected.share) / (
        everything + _WEIGHT_OF_SHARES
    )
    return _Kind(mean, math.sqrt(variance), share)


def _density(kind: _Kind, x: float) -> float:
    distance = (x - kind.mean) / kind.spread
    return kind.share / kind.spread * math.exp(-0.5 * distance * distance)
