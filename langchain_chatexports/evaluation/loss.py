"""Bits per byte of the person's held-out turns, with their own and a foreign history.

Lower is better. A model that ignores its context finds the person's reply as likely
after somebody else's conversation as after its own.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from langchain_chatexports.evaluation.conversations import PERSON, Utterance
from langchain_chatexports.evaluation.intervals import (
    percentiles,
    ratio,
    ratio_difference,
    resampled,
)
from langchain_chatexports.evaluation.results import Difference, Loss, Relevance

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from langchain_chatexports.evaluation.held_out import Excerpt, HeldOutTurn
    from langchain_chatexports.evaluation.model_server import ScoredReply

    Floats = NDArray[np.float64]

__all__ = [
    "ONE_CONVERSATION",
    "ScoredTurn",
    "bits_per_byte",
    "compare_losses",
    "compare_relevance",
    "foreign_excerpts",
]

ONE_CONVERSATION = "one conversation has more than half of the turns"
"""Why there is no foreign history."""

_NO_ENDS = "its template has no token that ends a turn"


@dataclass(frozen=True)
class ScoredTurn:
    """A scored turn, and the conversation that it belongs to."""

    conversation: int
    reply: ScoredReply

    @property
    def bits(self) -> float:
        """The negative log-likelihood of the reply and of its end."""
        return (self.reply.nll + (self.reply.end_nll or 0.0)) / math.log(2)

    @property
    def size(self) -> int:
        """The reply's bytes; the end counts as one."""
        return self.reply.size_bytes + (self.reply.end_nll is not None)


def bits_per_byte(turns: Sequence[ScoredTurn]) -> float:
    """Return the bits per byte of the replies and their ends."""
    return sum(turn.bits for turn in turns) / sum(turn.size for turn in turns)


def compare_losses(
    scores: Mapping[str, Sequence[ScoredTurn] | str],
    *,
    conversations: int,
    rounds: int = 2000,
    seed: int = 0,
) -> tuple[list[Loss], list[Difference]]:
    """Return losses and paired differences, of scores or of reasons for none."""
    weights = resampled(conversations, rounds, np.random.default_rng(seed))
    losses, known = [], {}
    for name, turns in scores.items():
        if isinstance(turns, str) or not turns:
            reason = turns if isinstance(turns, str) else "no turn could be scored"
            losses.append(Loss(contestant=name, turns=0, reason=reason))
            continue
        known[name] = _resampled_bits(turns, weights)
        ends = [t.reply.end_nll for t in turns if t.reply.end_nll is not None]
        losses.append(
            Loss(
                contestant=name,
                bits_per_byte=known[name][0],
                interval=percentiles(known[name][1]),
                end_bits=sum(ends) / len(ends) / math.log(2) if ends else None,
                turns=len(turns),
                reason=None if ends else _NO_ENDS,
            )
        )
    differences = []
    names = list(known)
    for number, b in enumerate(names):
        for a in names[number + 1 :]:
            value, interval = ratio_difference(known[a], known[b])
            differences.append(Difference(a=a, b=b, value=value, interval=interval))
    return losses, differences


def _resampled_bits(
    turns: Iterable[ScoredTurn], weights: NDArray[np.int64]
) -> tuple[float, Floats]:
    """Return the bits per byte, and those of each bootstrap round."""
    bits, size = np.zeros(weights.shape[1]), np.zeros(weights.shape[1])
    for turn in turns:
        bits[turn.conversation] += turn.bits
        size[turn.conversation] += turn.size
    return ratio(bits, size, weights)


def foreign_excerpts(
    turns: Sequence[HeldOutTurn], *, seed: int = 0
) -> list[Excerpt | None]:
    """Put each turn after the history of a turn of another conversation.

    Each history is used once, so that foreign ones are as long as the turns' own.

    Returns:
        For each turn an excerpt that ends with it, and has no other turn; `None` for
        all if one conversation has more than half of them.
    """
    sizes = Counter(turn.excerpt.conversation for turn in turns)
    largest = max(sizes.values(), default=0)
    if 2 * largest > len(turns):
        return [None] * len(turns)
    numbers = [*sizes]
    random.Random(seed).shuffle(numbers)  # noqa: S311 - reproducible, no secret
    rank = {number: at for at, number in enumerate(numbers)}
    order = sorted(
        range(len(turns)), key=lambda at: rank[turns[at].excerpt.conversation]
    )
    found: list[Excerpt | None] = [None] * len(turns)
    for at, own in enumerate(order):
        # A step as long as the largest conversation leaves every conversation.
        history = turns[order[(at + largest) % len(order)]].history
        found[own] = replace(
            turns[own].excerpt,
            lines=(*history, Utterance(PERSON, turns[own].reply)),
            turns=(len(history),),
        )
    return found


def compare_relevance(
    own: Mapping[str, Sequence[ScoredTurn] | str],
    foreign: Mapping[str, Sequence[ScoredTurn | None] | str],
    *,
    conversations: int,
    rounds: int = 2000,
    seed: int = 0,
) -> list[Relevance]:
    """Return how much less likely replies are after a foreign history."""
    weights = resampled(conversations, rounds, np.random.default_rng(seed))
    return [
        _relevance(name, own[name], turns, weights) for name, turns in foreign.items()
    ]


def _relevance(
    name: str,
    own: Sequence[ScoredTurn] | str,
    foreign: Sequence[ScoredTurn | None] | str,
    weights: NDArray[np.int64],
) -> Relevance:
    if isinstance(own, str) or isinstance(foreign, str):
        reason = own if isinstance(own, str) else str(foreign)
        return Relevance(contestant=name, turns=0, reason=reason)
    pairs = zip(own, foreign, strict=True)
    both = [(mine, other) for mine, other in pairs if other is not None]
    if not both:
        return Relevance(contestant=name, turns=0, reason=ONE_CONVERSATION)
    with_own, with_foreign = (
        _resampled_bits(turns, weights) for turns in zip(*both, strict=True)
    )
    difference, interval = ratio_difference(with_foreign, with_own)
    return Relevance(
        contestant=name,
        own_history=with_own[0],
        foreign_history=with_foreign[0],
        difference=difference,
        interval=interval,
        turns=len(both),
    )
