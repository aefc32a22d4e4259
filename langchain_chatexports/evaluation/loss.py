"""Bits per byte of the person's held-out turns; lower is better."""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

from langchain_chatexports.evaluation.intervals import percentiles, ratio, resample
from langchain_chatexports.evaluation.model_server import ScoredReply
from langchain_chatexports.evaluation.results import Difference, Measurement


def bits(reply: ScoredReply) -> float:
    """Return the negative log-likelihood of a reply and its end token, in bits."""
    return (reply.nll + reply.end_nll) / math.log(2)


def size(reply: ScoredReply) -> int:
    """Return a reply's size in bytes; the end token counts as one byte."""
    return reply.size_bytes + 1


def compare_losses(
    scores: Mapping[str, Sequence[ScoredReply]],
    groups: Sequence[int],
    *,
    rounds: int = 2000,
    seed: int = 0,
) -> tuple[dict[str, Measurement], list[Difference]]:
    """Return bits per byte by contestant and paired differences."""
    weights = resample(max(groups) + 1, rounds, seed)
    ratios = {
        name: ratio([*map(bits, turns)], [*map(size, turns)], groups, weights)
        for name, turns in scores.items()
    }
    losses = {
        name: Measurement(value=value, interval=percentiles(values))
        for name, (value, values) in ratios.items()
    }
    differences = [
        Difference(
            a=a,
            b=b,
            value=ratios[a][0] - ratios[b][0],
            interval=percentiles(ratios[a][1] - ratios[b][1]),
        )
        for a, b in combinations(ratios, 2)
    ]
    return losses, differences
