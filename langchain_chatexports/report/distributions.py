"""Distributions of numbers (quantiles and bins) from how often each one occurs."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from langchain_chatexports.report.figures import Bin, Distribution, Values

_Number = TypeVar("_Number", int, float)

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400

DOUBLINGS = (0, *(1 << power for power in range(31)))
"""Edges of characters and tokens: 0, 1, 2, 4, 8, …"""

RUN_EDGES = (1, 2, 3, 4, 5, 6, 8, 10, 15, 20)
"""Edges of messages in a row."""

SECOND_EDGES = (
    *(0, 10, 30, _MINUTE, 2 * _MINUTE, 5 * _MINUTE, 15 * _MINUTE, 30 * _MINUTE),
    *(_HOUR, 3 * _HOUR, 6 * _HOUR, 12 * _HOUR, _DAY, 2 * _DAY, 7 * _DAY, 28 * _DAY),
)
"""Edges of reply times and pauses."""


@dataclass
class NumbersBySide:
    """How often each number occurs, on the AI's side and on that of the others.

    There are few different lengths and reply times, however many messages there are.
    """

    ai: Counter[int] = field(default_factory=Counter)
    others: Counter[int] = field(default_factory=Counter)

    def add(self, number: int, *, is_ai: bool) -> None:
        """Count a number."""
        (self.ai if is_ai else self.others)[number] += 1

    def figures(self, edges: Sequence[int]) -> Distribution:
        """Return the distribution, in bins that begin at the edges."""
        return Distribution(
            ai=values_of(self.ai),
            others=values_of(self.others),
            bins=bins_of(self.ai, self.others, edges),
        )


def values_of(numbers: Mapping[int, int]) -> Values:
    """Return quantiles and mean of numbers, from how often each one occurs."""
    count = sum(numbers.values())
    if not count:
        return Values(count=0, mean=None, p10=None, median=None, p90=None, most=None)
    total = sum(number * times for number, times in numbers.items())
    return Values(
        count=count,
        mean=total / count,
        p10=rank(numbers, 10),
        median=rank(numbers, 50),
        p90=rank(numbers, 90),
        most=max(numbers),
    )


def rank(numbers: Mapping[_Number, int], percent: int) -> _Number:
    """Return the nearest-rank percentile of numbers."""
    wanted = -(-percent * sum(numbers.values()) // 100)
    seen = 0
    for number, times in sorted(numbers.items()):
        seen += times
        if seen >= wanted:
            return number
    msg = "there are no numbers"
    raise ValueError(msg)


def bins_of(
    ai: Mapping[int, int], others: Mapping[int, int], edges: Sequence[int]
) -> tuple[Bin, ...]:
    """Return numbers in bins."""
    counts = [[0, 0] for _ in edges]
    for side, numbers in enumerate((ai, others)):
        for number, times in numbers.items():
            counts[max(0, bisect_right(edges, number) - 1)][side] += times
    used = [index for index, pair in enumerate(counts) if any(pair)]
    if not used:
        return ()
    below = (*edges[1:], None)
    return tuple(
        Bin(least=edges[i], below=below[i], ai=counts[i][0], others=counts[i][1])
        for i in range(used[0], used[-1] + 1)
    )


def place_in_bins(bins: Sequence[Bin], number: float) -> float:
    """Return a number's place on an axis of bins, logarithmic between edges."""
    for index, entry in enumerate(bins):
        if entry.below is None or number < entry.below:
            if number <= entry.least:
                return index - 0.5
            end = entry.below or 2 * entry.least
            share = math.log(number / max(1, entry.least)) / math.log(
                end / max(1, entry.least)
            )
            return index - 0.5 + min(share, 1.0)
    return len(bins) - 0.5
