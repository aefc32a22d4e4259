"""Bits per byte of the person's held-out turns: lower is better."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from langchain_chatexports.evaluation.intervals import (
    percentiles,
    ratio,
    ratio_difference,
    resampled,
)
from langchain_chatexports.evaluation.results import Difference, Loss

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from langchain_chatexports.evaluation.replies import Price

    Floats = NDArray[np.float64]

__all__ = ["TurnPrice", "bits_per_byte", "compare_losses", "sums_by_conversation"]


NO_ENDS = "its template has no token that ends a turn"


@dataclass(frozen=True)
class TurnPrice:
    """The price of a turn, and the conversation that it belongs to."""

    conversation: int
    price: Price

    @property
    def bits(self) -> float:
        """The price of the reply and of its end."""
        return (self.price.nll + (self.price.end_nll or 0.0)) / math.log(2)

    @property
    def size(self) -> int:
        """The bytes that this pays for; the end counts as one."""
        return self.price.size_bytes + (self.price.end_nll is not None)


def bits_per_byte(prices: Sequence[TurnPrice]) -> float:
    """Return the bits that a byte of the replies costs, their ends included."""
    return sum(turn.bits for turn in prices) / sum(turn.size for turn in prices)


def sums_by_conversation(
    prices: Iterable[TurnPrice], conversations: int
) -> tuple[Floats, Floats]:
    """Return the bits and the bytes of each conversation's replies."""
    bits, size = np.zeros(conversations), np.zeros(conversations)
    for turn in prices:
        bits[turn.conversation] += turn.bits
        size[turn.conversation] += turn.size
    return bits, size


def compare_losses(
    prices: Mapping[str, Sequence[TurnPrice] | str],
    *,
    conversations: int,
    rounds: int = 2000,
    seed: int = 0,
) -> tuple[list[Loss], list[Difference]]:
    """Return each contestant's loss, and the differences in the same rounds.

    Args:
        prices: For each contestant the prices of the same turns, or why there are none.
        conversations: How many conversations the turns are of.
        rounds: How often conversations are drawn anew.
        seed: Where chance begins.

    Returns:
        The losses and the paired differences.
    """
    weights = resampled(conversations, rounds, np.random.default_rng(seed))
    losses, known = [], {}
    for name, turns in prices.items():
        if isinstance(turns, str) or not turns:
            reason = turns if isinstance(turns, str) else "no turn could be scored"
            losses.append(
                Loss(
                    contestant=name,
                    bits_per_byte=None,
                    interval=None,
                    end_bits=None,
                    turns=0,
                    reason=reason,
                )
            )
            continue
        known[name] = ratio(*sums_by_conversation(turns, conversations), weights)
        losses.append(
            Loss(
                contestant=name,
                bits_per_byte=known[name][0],
                interval=percentiles(known[name][1]),
                end_bits=_end_bits(turns),
                turns=len(turns),
                reason=None if _ends(turns) else NO_ENDS,
            )
        )
    return losses, _differences(known)


def _differences(known: Mapping[str, tuple[float, Floats]]) -> list[Difference]:
    names = list(known)
    differences = []
    for number, b in enumerate(names):
        for a in names[number + 1 :]:
            value, interval = ratio_difference(known[a], known[b])
            differences.append(Difference(a=a, b=b, value=value, interval=interval))
    return differences


def _end_bits(turns: Sequence[TurnPrice]) -> float | None:
    ends = _ends(turns)
    return sum(ends) / len(ends) / math.log(2) if ends else None


def _ends(turns: Sequence[TurnPrice]) -> list[float]:
    return [t.price.end_nll for t in turns if t.price.end_nll is not None]
