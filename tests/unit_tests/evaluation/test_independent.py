"""The scores against the fact sheet's own few lines, counted in another way."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from langchain_chatexports._function_words import ENGLISH
from langchain_chatexports.evaluation import style_scores as styles_module
from langchain_chatexports.evaluation.style_measures import MEASURES
from langchain_chatexports.evaluation.style_scores import (
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


def bursts(talk: Talk) -> list[int]:
    """Count what stands between empty lines."""
    return [min(6, turn.count("\n\n") + 1) for turn in chain(*talk)]


def faces(talk: Talk) -> list[str]:
    """Find the first face of each bubble, of those that these people use."""
    known = re.compile("[\U0001f602\u2764\U0001f648\U0001f642]|:\\)|;\\)")
    found = (known.search(bubble) for bubble in every_bubble(talk))
    return [match.group() if match else "none" for match in found]


def frames(talk: Talk) -> list[str]:
    """Blank all but the small words, and pair them with what follows."""
    found = []
    for bubble in every_bubble(talk):
        split = re.findall(r"[A-Za-z]+(?:'[a-z]+)*", bubble.lower())
        kept = ["^", *(word if word in ENGLISH else "_" for word in split), "$"]
        found += [" ".join(kept[at : at + 2]) for at in range(len(kept) - 1)]
    return found


def every_bubble(talk: Talk) -> list[str]:
    """Return the bubbles of all turns."""
    return [bubble for turn in chain(*talk) for bubble in turn.split("\n\n")]


HABITS = (
    r"\.$", r"!$", r"\?$", r"\.\.|\u2026", r"[!?][!?]", r",", r"^[^a-zA-Z]*[A-Z]",
    r"^[^A-Z]*$", r"\b[A-Z]{2,}\b", r"([A-Za-z])\1\1|([A-Za-z])(?i:\2\2)", r"\w'",
    r"[.!?\u2026]\s+\S",
)  # fmt: skip


def marks(talk: Talk) -> tuple[NDArray[np.int64], int]:
    """Search each bubble for each habit."""
    found = every_bubble(talk)
    return (
        np.array([sum(bool(re.search(h, b)) for b in found) for h in HABITS]),
        len(found),
    )


def cohens_h(some: Any, others: Any) -> float:
    """Return the mean over habits; half a bubble is added to each."""
    (k, n), (j, m) = some, others
    p, q = (k + 0.5) / (n + 1), (j + 0.5) / (m + 1)
    return float(np.mean(np.abs(np.arccos(1 - 2 * p) - np.arccos(1 - 2 * q))))


def jsd(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    """Return the entropy of the mean less the mean of the entropies."""

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


def whole_messages(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    """Carry whole messages, not half doublings."""
    return 2 * moved(a, b)


def large_enough(
    models: list[Any], others: list[Any], size: Callable[[Any], int]
) -> list[Any]:
    """Leave out who would make all samples small."""
    least = 0.8 * min(*map(size, models), max(map(size, others)))
    return [each for each in others if size(each) >= least]


def score(
    count: Callable[[Talk], list[Any]],
    distance: Callable[[NDArray[np.int64], NDArray[np.int64]], float],
    kinds: list[Any],
) -> tuple[float, float, float, float]:
    """Return score, ceiling, floor and distance as the sheet's code does."""

    def vector(talk: Talk) -> NDArray[np.int64]:
        counted = Counter(count(talk))
        known = [counted.pop(kind, 0) for kind in kinds]
        return np.array([*known, counted.total()])

    models = [vector(talk) for talk in (HELD_OUT, *SAMPLES.contestants.values())]
    others = [vector(talk) for talk in SAMPLES.others.values()]
    person = vector(SAMPLES.training)
    samples = [*models, *large_enough(models, others, np.sum)]
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
    return compare_styles(SAMPLES, rounds=5, subsamples=100)


def most_common(count: Callable[[Talk], list[Any]], limit: int) -> list[Any]:
    """Return the kinds of most conversations of the person and the others."""
    pool = [SAMPLES.training, *SAMPLES.others.values()]
    held = Counter(kind for talk in pool for one in talk for kind in set(count([one])))
    return sorted(held, key=lambda kind: (-held[kind], kind))[:limit]


@pytest.mark.parametrize(
    ("name", "count", "distance", "limit"),
    [
        ("opening", openings, jsd, 200),
        ("char3", trigrams, jsd, 1000),
        ("length", lengths, moved, 20),
        ("burst", bursts, whole_messages, 6),
        ("emoji", faces, jsd, 999),
        ("frame", frames, jsd, 99_999),
    ],
)
def test_distances_and_scores_are_the_sheets(
    styles: Styles, name: str, count: Any, distance: Any, limit: int
) -> None:
    kinds = {"length": [*range(20)], "burst": [*range(1, 7)]}.get(name) or most_common(
        count, limit
    )
    expected, c, f, m = score(count, distance, kinds)
    found = next(each for each in styles.measures if each.name == name)
    assert found.ceiling == pytest.approx(c, abs=0.004)
    assert found.floor == pytest.approx(f, abs=0.004)
    assert found.contestants[0].value == pytest.approx(m, abs=0.004)
    assert found.contestants[0].score == pytest.approx(expected, abs=0.02)


def test_marks_are_the_sheets(styles: Styles) -> None:
    """Of as many whole bubbles, drawn from each sample."""
    models = [HELD_OUT, *SAMPLES.contestants.values()]
    others = large_enough(
        models, [*SAMPLES.others.values()], lambda talk: len(every_bubble(talk))
    )
    talks = [*models, *others]
    person = marks(SAMPLES.training)
    units = min(len(every_bubble(talk)) for talk in talks)
    rng = np.random.default_rng(7)

    def cut(talk: Talk) -> tuple[NDArray[np.int64], int]:
        drawn = rng.choice(np.array(every_bubble(talk)), units, replace=False)
        return marks([drawn.tolist()])

    cuts = [[cohens_h(person, cut(talk)) for talk in talks] for _ in range(60)]
    c, m, *o = np.mean(cuts, axis=0)
    found = next(each for each in styles.measures if each.name == "marks")
    assert found.units_each == units
    assert found.ceiling == pytest.approx(c, abs=0.01)
    assert found.floor == pytest.approx(np.mean(o), abs=0.01)
    assert found.contestants[0].value == pytest.approx(m, abs=0.01)
    f = np.mean(o)
    assert found.contestants[0].score == pytest.approx((f - m) / (f - c), abs=0.02)


def test_intervals_are_those_of_the_sheets_own_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Conversations are drawn, the person's and the model's together."""
    monkeypatch.setattr(styles_module, "MEASURES", MEASURES[-1:])
    kinds = most_common(openings, 200)

    def rows(talk: Talk) -> NDArray[np.int64]:
        counted = [Counter(openings([one])) for one in talk]
        known = [[each.pop(kind, 0) for kind in kinds] for each in counted]
        rest = [[each.total()] for each in counted]
        return np.hstack([known, rest])

    rng = np.random.default_rng(3)
    tables = [
        rows(talk)
        for talk in (
            SAMPLES.training,
            HELD_OUT,
            SAMPLES.contestants["half"],
            *SAMPLES.others.values(),
        )
    ]
    scores, ceilings = [], []
    for _ in range(600):
        picks = [rng.integers(0, len(table), len(table)) for table in tables]
        picks[2] = picks[1]
        r, *samples = (
            table[pick].sum(0) for table, pick in zip(tables, picks, strict=True)
        )
        units = min(sample.sum() for sample in samples)
        drawn = [
            np.bincount(
                rng.choice(np.repeat(np.arange(len(s)), s), units, replace=False),
                minlength=len(s),
            )
            for s in samples
        ]
        c, m, *o = (jsd(r, each) for each in drawn)
        scores.append((np.mean(o) - m) / (np.mean(o) - c))
        ceilings.append(c)
    (found,) = compare_styles(SAMPLES, rounds=600, subsamples=50).measures
    assert found.name == "opening"
    ends = found.contestants[0].score_interval
    assert ends == pytest.approx(tuple(np.quantile(scores, [0.025, 0.975])), abs=0.03)
    low, high = np.quantile(ceilings, [0.025, 0.975]) - np.mean(ceilings)
    assert found.ceiling is not None
    expected = (found.ceiling - high, found.ceiling - low)
    assert found.ceiling_interval == pytest.approx(expected, abs=0.005)
