"""A trained detector: how often can it tell a model's replies from the person's?

For each contestant a classifier of character n-grams learns from some conversations
which replies are real, and is asked about the others (cross-validation). The person's
earlier replies against the later ones are the ceiling, other people's the floor.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from langchain_chatexports.evaluation.intervals import percentiles, resampled
from langchain_chatexports.evaluation.results import Detection, Detector
from langchain_chatexports.evaluation.text_features import bubbles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from langchain_chatexports.evaluation.style_scores import Replies, StyleSamples

    Floats = NDArray[np.float64]

__all__ = ["detect"]

_FOLDS = 5
_MAX_GRAMS = 4000
# Of the n-grams' lengths; 4 and more are mostly topic.
_LENGTHS = (1, 2, 3)
# Ridge penalty for texts of length 1; between .3 and 3 the result is the same.
_PENALTY = 1.0
_MIN_TURNS = 20
_MIN_SHARE_OF_OTHERS = 0.8
_NO_OTHERS = "nobody else has enough turns to compare with"


@dataclass(frozen=True)
class _Wins:
    """How often the real reply of a pair is found, by the pair's conversations."""

    wins: Floats
    pairs: Floats

    def rate(self, real: Floats, other: Floats) -> float:
        """Return the rate with these weights of the conversations."""
        pairs = real @ self.pairs @ other
        return float(real @ self.wins @ other / pairs) if pairs else float("nan")


def detect(
    samples: StyleSamples, *, rounds: int = 500, seed: int = 0
) -> Detector | str:
    """Return how often each contestant's replies are told from the person's.

    Args:
        samples: The replies; a contestant's are to the same turns as the person's.
        rounds: Bootstrap rounds for the intervals, over conversations.
        seed: The random seed.

    Returns:
        The rates, 0.5 by chance and 1 for always; or why there are none.
    """
    own = samples.held_out
    turns = sum(map(len, own))
    if turns < _MIN_TURNS:
        return f"it takes {_MIN_TURNS} held-out turns, there are {turns}"
    rng = np.random.default_rng(seed)
    draws = resampled(len(own), rounds, rng).astype(float)
    earlier = _as_many(samples.training, turns, rng)
    ceiling = _told_apart(own, earlier, rng)
    sizes = {name: sum(map(len, said)) for name, said in samples.others.items()}
    enough = _MIN_SHARE_OF_OTHERS * min(turns, max(sizes.values(), default=0))
    floors = {
        name: _told_apart(own, _as_many(said, turns, rng), rng)
        for name, said in samples.others.items()
        if sizes[name] >= enough
    }
    floor_each = {name: _point(found) for name, found in floors.items()}
    return Detector(
        turns_each=turns,
        ceiling=_point(ceiling),
        ceiling_interval=_unpaired(ceiling, draws, rng),
        floor=float(np.mean([*floor_each.values()])) if floor_each else None,
        floor_each=floor_each,
        reason=None if floor_each else _NO_OTHERS,
        contestants=[
            Detection(
                name=name,
                told_apart=_point(found),
                interval=percentiles(np.array([found.rate(w, w) for w in draws])),
            )
            for name, said in samples.contestants.items()
            for found in (_told_apart(own, said, rng, is_paired=True),)
        ],
    )


def _point(found: _Wins) -> float:
    reals, others = found.wins.shape
    return found.rate(np.ones(reals), np.ones(others))


def _unpaired(
    found: _Wins, draws: Floats, rng: np.random.Generator
) -> tuple[float, float]:
    others = resampled(found.wins.shape[1], len(draws), rng).astype(float)
    rates = [found.rate(*pair) for pair in zip(draws, others, strict=True)]
    return percentiles(np.array(rates))


def _as_many(
    conversations: Sequence[Replies], turns: int, rng: np.random.Generator
) -> list[Replies]:
    """Draw whole conversations until there are so many turns."""
    chosen: list[Replies] = []
    left = turns
    for at in rng.permutation(len(conversations)):
        if left <= 0:
            break
        chosen.append(conversations[at][:left])
        left -= len(chosen[-1])
    return chosen


def _told_apart(
    real: Sequence[Replies],
    other: Sequence[Replies],
    rng: np.random.Generator,
    *,
    is_paired: bool = False,
) -> _Wins:
    """Train on some conversations, and compare the replies of the others.

    Args:
        real: The person's replies by conversation.
        other: Somebody else's, a model's, or the person's at another time.
        rng: Draws the folds.
        is_paired: Whether both reply in the same conversations, which are then held
            out together.
    """
    folds = rng.permutation(len(real)) % _FOLDS
    other_folds = folds if is_paired else rng.permutation(len(other)) % _FOLDS
    rows = [
        (text, is_real, numbers[at], at)
        for is_real, conversations, numbers in (
            (True, real, folds),
            (False, other, other_folds),
        )
        for at, replies in enumerate(conversations)
        for text in replies
    ]
    texts, reals, fold_of, places = zip(*rows, strict=True)
    is_own, fold, at = np.array(reals), np.array(fold_of), np.array(places)
    kernel = _similarities(texts)
    wins = np.zeros((len(real), len(other)))
    pairs = np.zeros_like(wins)
    for number in range(_FOLDS):
        asked, known = fold == number, fold != number
        scores = _scores(kernel, is_own, asked, known)
        is_real = is_own[asked]
        ours, theirs = scores[is_real], scores[~is_real]
        better = (ours[:, None] > theirs) + 0.5 * (ours[:, None] == theirs)
        cells = np.ix_(at[asked][is_real], at[asked][~is_real])
        np.add.at(wins, cells, better)
        np.add.at(pairs, cells, 1.0)
    return _Wins(wins, pairs)


def _scores(
    kernel: Floats,
    is_own: NDArray[np.bool_],
    asked: NDArray[np.bool_],
    known: NDArray[np.bool_],
) -> Floats:
    """Return how real the asked texts look to a ridge classifier of the known ones."""
    labels = np.where(is_own[known], 1.0, -1.0)
    # If there are more of one class, each text of it counts less.
    shares = np.where(is_own[known], is_own[known].mean(), 1 - is_own[known].mean())
    penalty = np.diag(2 * _PENALTY * shares)
    inner = kernel[np.ix_(known, known)]
    solved = np.linalg.solve(inner + penalty, labels - labels.mean())
    result: Floats = kernel[np.ix_(asked, known)] @ solved
    return result


def _similarities(texts: Sequence[str]) -> Floats:
    """Return the cosines of the texts' n-grams, log counts by their rarity."""
    counted = [_grams(text) for text in texts]
    held = Counter(gram for grams in counted for gram in grams)
    columns = {gram: at for at, (gram, _) in enumerate(held.most_common(_MAX_GRAMS))}
    rows = np.zeros((len(texts), len(columns)))
    for row, grams in zip(rows, counted, strict=True):
        for gram, count in grams.items():
            if gram in columns:
                rarity = np.log((1 + len(texts)) / (1 + held[gram])) + 1
                row[columns[gram]] = (1 + np.log(count)) * rarity
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    rows /= np.where(norms > 0, norms, 1)
    result: Floats = rows @ rows.T
    return result


def _grams(text: str) -> Counter[str]:
    # Where a message ends is style, too.
    marked = "".join(f"\n{bubble}\n" for bubble in bubbles(text))
    return Counter(
        marked[at : at + length]
        for length in _LENGTHS
        for at in range(len(marked) - length + 1)
    )
