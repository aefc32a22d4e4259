"""Find headers that were pasted into a message, with the messages of another chat.

A header is one only if its context permits it. iPhones end messages with CRLF and the
lines within a message with LF. Elsewhere, only the time can tell: messages are in order
except for late deliveries, clock changes and the first notice of Android, which are a
day off at most.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, groupby
from operator import itemgetter
from typing import NamedTuple

# Somebody who pastes more than this is rarer than an export that was joined by hand.
_MAX_PASTED = 100


class _Run(NamedTuple):
    """Consecutive records of one day."""

    day: int
    start: int
    end: int


def find_pasted(days: Sequence[int | None]) -> tuple[set[int], int]:
    """Return the indexes of records that were pasted, and the number of doubtful ones.

    Args:
        days: The day of each record; `None` in a calendar that is not supported.
    """
    runs: list[_Run] = []
    start = 0
    for day, group in groupby(days):
        end = start + sum(1 for _ in group)
        if day is None:
            return set(), 0
        runs.append(_Run(day, start, end))
        start = end
    newest = accumulate((run.day for run in runs[1:]), max)
    if all(run.day >= day - 1 for run, day in zip(runs[1:], newest, strict=True)):
        return set(), 0
    is_foreign = _find_foreign(runs)
    pasted: set[int] = set()
    doubtful = 0
    for foreign, block_group in groupby(
        zip(is_foreign, runs, strict=True), itemgetter(0)
    ):
        block = [run for _, run in block_group]
        start, end = block[0].start, block[-1].end
        # A paste is within a file: the first and the last record are of the chat.
        if foreign and start and end < len(days) and end - start <= _MAX_PASTED:
            pasted.update(range(start, end))
        elif foreign and end > 1:  # Android's first notice has the time of the export.
            doubtful += end - start
    return pasted, doubtful


def _find_foreign(runs: Sequence[_Run]) -> list[bool]:
    """Return whether each run is days away from the runs around it."""
    first, last = min(run.day for run in runs[:2]), runs[-1].day
    inside = [i for i, run in enumerate(runs) if first - 1 <= run.day <= last + 1]
    chain = [inside[at] for at in _longest_chain([runs[i].day for i in inside])]
    bounds = [runs[index].day for index in chain]
    is_foreign = []
    position = 0
    for index, run in enumerate(runs):
        if position < len(chain) and chain[position] == index:
            position += 1
            is_foreign.append(False)
            continue
        earliest = bounds[position - 1] - 1 if position else first - 1
        latest = bounds[position] + 1 if position < len(bounds) else last + 1
        is_foreign.append(not earliest <= run.day <= latest)
    return is_foreign


def _longest_chain(days: Sequence[int]) -> list[int]:
    """Return the indexes of the longest series of days in order."""
    last_days: list[int] = []  # By length, the earliest day that ends a chain.
    ends: list[int] = []
    previous: list[int] = []
    for index, day in enumerate(days):
        at = bisect_right(last_days, day)
        previous.append(ends[at - 1] if at else -1)
        last_days[at : at + 1], ends[at : at + 1] = [day], [index]
    chain = ends[-1:]
    while chain and previous[chain[-1]] >= 0:
        chain.append(previous[chain[-1]])
    return chain[::-1]
