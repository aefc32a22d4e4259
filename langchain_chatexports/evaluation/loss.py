"""Bits per byte of the person's held-out turns; lower is better."""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

from langchain_chatexports.evaluation.intervals import percentiles, ratio, resampled
from langchain_chatexports.evaluation.model_server import ScoredReply
from langchain_chatexports.evaluation.results import Difference, Measured


def bits(reply: ScoredReply) -> float:
    """Return the negative log-likelihood of a reply and of its end, in bits."""
    return (reply.nll + (reply.end_nll or 0.0)) / math.log(2)


def size(reply: ScoredReply) -> int:
    """Return a reply's bytes; the end counts as one."""
    return reply.size_bytes + (reply.end_nll is not None)


def compare_losses(
    scores: Mapping[str, Sequence[ScoredReply]],
    groups: Sequence[int],
    *,
    rounds: int = 2000,
    seed: int = 0,
) -> tuple[dict[str, Measured], list[Difference]]:
    """Return the bits per byte of each contestant, and paired differences."""
    weights = resampled(max(groups) + 1, rounds, seed)
    known = {
        name: ratio([*map(bits, turns)], [*map(size, turns)], groups, weights)
        for name, turns in scores.items()
    }
    measured = {
        name: Measured(value=value, interval=percentiles(values))
        for name, (value, values) in known.items()
    }
    differences = [
        Difference(
            a=a,
            b=b,
            value=known[a][0] - known[b][0],
            interval=percentiles(known[a][1] - known[b][1]),
        )
        for a, b in combinations(known, 2)
    ]
    return measured, differences
