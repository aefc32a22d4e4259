"""The scores against the fact sheet's own few lines, counted in another way."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from langchain_chatexports.evaluation.styles import (
    Styles,
    StyleSamples,
    compare_styles,
)
from tests.unit_tests.builders.voices import DISTINCT, conversations, half_right

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

MIA, OSKAR, RITA, _ = DISTINCT
HELD_OUT = conversations(MIA, 30, 2)
SAMPLES = StyleSamples(
    training=conversations(MIA, 90, 1),
    held_out=HELD_OUT,
    contestants={"half": half_right(HELD_OUT, conversations(OSKAR, 50, 6), 0.5, 1)},
    others={"p1": conversations(OSKAR, 30, 3), "p2": conversations(RITA, 30, 3)},
)
Talk = Sequence[Sequence[str]]


def openings(talk: Talk) -> list[str]:
    """Split at what is no word, and take the first word that there is."""
    split = (re.split(r"[^\w'\u2019]+", turn.lower()) for turn in chain(*talk))
    found = (next(filter(None, words), "") for words in split)
    return [word.strip("'\u2019") for word in found]


def trigrams(talk: Talk) -> list[str]:
    """Slide over each bubble."""
    return [
        "".join(three)
        for turn in chain(*talk)
        for bubble in filter(None, turn.split("\n\n"))
        for text in [" " + re.sub(r"[0-9]", "0", bubble) + " "]
        for three in zip(text, text[1:], text[2:], strict=False)
    ]


def lengths(talk: Talk) -> list[int]:
    """Measure each bubble in half doublings."""
    return [
        int(np.floor(np.log2((1 + len(bubble)) ** 2)))
        for turn in chain(*talk)
        for bubble in turn.split("\n\n")
    ]


def jsd(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    """Give the entropy of the mean less the mean of the entropies."""

    def entropy(p: NDArray[np.float64]) -> float:
        return float(-(p[p > 0] * np.log2(p[p > 0])).sum())

    p, q = a / a.sum(), b / b.sum()
    return entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2


def moved(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    """Carry what is too much in a bin on to the next one."""
    carried = work = 0.0
    for p, q in zip(a / a.sum(), b / b.sum(), strict=True):
        carried += p - q
        work += abs(carried)
    return work * 0.5


def score(
    count: Callable[[Talk], list[Any]],
    distance: Callable[[NDArray[np.int64], NDArray[np.int64]], float],
    kinds: list[Any],
) -> tuple[float, float, float, float]:
    """Give score, ceiling, floor and the model's distance as the sheet's code does."""

    def vector(talk: Talk) -> NDArray[np.int64]:
        counted = Counter(count(talk))
        known = [counted.pop(kind, 0) for kind in kinds]
        return np.array([*known, counted.total()])

    talks = [HELD_OUT, *SAMPLES.contestants.values(), *SAMPLES.others.values()]
    person = vector(SAMPLES.training)
    samples = [vector(talk) for talk in talks]
    units = min(sample.sum() for sample in samples)
    rng = np.random.default_rng(7)

    def cut(sample: NDArray[np.int64]) -> NDArray[np.int64]:
        every = np.repeat(np.arange(len(sample)), sample)
        drawn = rng.choice(every, units, replace=False)
        return np.bincount(drawn, minlength=len(sample))

    cuts = [[distance(person, cut(sample)) for sample in samples] for _ in range(200)]
    c, m, *o = np.mean(cuts, axis=0)
    f = float(np.mean(o))
    return (f - m) / (f - c), float(c), f, float(m)


@pytest.fixture(scope="module")
def styles() -> Styles:
    return compare_styles(SAMPLES, rounds=5, cuts=100)


def most_common(count: Callable[[Talk], list[Any]], limit: int) -> list[Any]:
    """Give the kinds of most conversations of the person and the others."""
    pool = [SAMPLES.training, *SAMPLES.others.values()]
    held = Counter(kind for talk in pool for one in talk for kind in set(count([one])))
    return sorted(held, key=lambda kind: (-held[kind], kind))[:limit]


@pytest.mark.parametrize(
    ("name", "count", "distance", "limit"),
    [
        ("opening", openings, jsd, 200),
        ("char3", trigrams, jsd, 1000),
        ("length", lengths, moved, 20),
    ],
)
def test_distances_and_scores_are_the_sheets(
    styles: Styles, name: str, count: Any, distance: Any, limit: int
) -> None:
    kinds = [*range(20)] if name == "length" else most_common(count, limit)
    expected, c, f, m = score(count, distance, kinds)
    found = next(each for each in styles.measures if each.name == name)
    assert found.ceiling == pytest.approx(c, abs=0.004)
    assert found.floor == pytest.approx(f, abs=0.004)
    assert found.contestants[0].value == pytest.approx(m, abs=0.004)
    assert found.contestants[0].score == pytest.approx(expected, abs=0.02)
