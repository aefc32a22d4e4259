"""Style scores: from the other people of the export (0) to the person (1).

A distance between a model's replies and the person's training half is scaled by two
known ones: that of the person's held-out replies (the ceiling, score 1), and the mean
of other people's (the floor, score 0).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from langchain_chatexports.evaluation.function_words import choose_function_words
from langchain_chatexports.evaluation.intervals import (
    centered,
    percentiles,
    resampled,
)
from langchain_chatexports.evaluation.results import (
    ContestantScore,
    Difference,
    MeasureFinding,
    Summary,
)
from langchain_chatexports.evaluation.style_measures import MEASURES, Vocabulary
from langchain_chatexports.evaluation.text_features import (
    bubbles,
    has_spaced_words,
    words,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from langchain_chatexports.evaluation.style_measures import Measure

    Floats = NDArray[np.float64]
    Replies = Sequence[str]

__all__ = ["StyleSamples", "Styles", "compare_styles"]

_SEPARATES_FROM = 0.975
_MIN_UNITS = 20
_MIN_SHARE = 0.05
# Of the person's units, or of those of whoever else wrote most: everybody is cut to
# the smallest sample.
_MIN_SHARE_OF_OTHERS = 0.8
_BLOCK = 100
_PERSON = ""
_NO_SPACES = "this language puts no spaces between words"
_NO_BREAKS = "no turn has several messages: they were joined, or sent one at a time"


@dataclass(frozen=True)
class StyleSamples:
    """Replies to compare: for each conversation the turns of one speaker.

    Attributes:
        training: The person's, in the training half.
        held_out: The person's, in held-out conversations.
        contestants: The models', for exactly the same turns.
        others: Other people's of the export, by id.
    """

    training: Sequence[Replies]
    held_out: Sequence[Replies]
    contestants: Mapping[str, Sequence[Replies]]
    others: Mapping[str, Sequence[Replies]]


@dataclass(frozen=True)
class Styles:
    """The results of the comparison."""

    language: str
    measures: list[MeasureFinding]
    summary: list[Summary]
    differences: list[Difference]


@dataclass(frozen=True)
class _Measured:
    """One measure's result; points and bootstrap scores where there is a score."""

    finding: MeasureFinding
    scores: dict[str, Floats] = field(default_factory=dict)
    points: dict[str, float] = field(default_factory=dict)


def compare_styles(
    samples: StyleSamples, *, rounds: int = 500, subsamples: int = 50, seed: int = 0
) -> Styles:
    """Return the scores of contestants by each measure.

    Args:
        samples: The replies.
        rounds: Bootstrap rounds for the intervals.
        subsamples: Distances are the mean of so many random samples of equal size.
        seed: The random seed.

    Returns:
        The measures, the medians and their paired differences.
    """
    people = [samples.training, *samples.others.values()]
    counted = [
        Counter(word for replies in person for text in replies for word in words(text))
        for person in people
    ]
    language, function_words = choose_function_words(counted)
    texts = [text for person in people for replies in person for text in replies]
    is_spaced = has_spaced_words(texts)
    has_breaks = any(len(bubbles(text)) > 1 for text in texts)
    rng = np.random.default_rng(seed)
    drawn = _Draws(
        training=resampled(len(samples.training), rounds, rng),
        held_out=resampled(len(samples.held_out), rounds, rng),
        others={
            name: resampled(len(conversations), rounds, rng)
            for name, conversations in samples.others.items()
        },
    )
    measured = []
    for number, measure in enumerate(MEASURES):
        if measure.needs_spaces and not is_spaced:
            measured.append(_unmeasured(measure, _NO_SPACES))
            continue
        if measure.needs_breaks and not has_breaks:
            measured.append(_unmeasured(measure, _NO_BREAKS))
            continue
        counts = _MeasureCounts(measure, samples, function_words)
        own_rng = np.random.default_rng([seed, number])
        measured.append(counts.measured(drawn, subsamples, own_rng))
    names = list(samples.contestants)
    return Styles(
        language=language,
        measures=[each.finding for each in measured],
        summary=[_summary(name, measured) for name in names],
        differences=[
            found
            for number, b in enumerate(names)
            for a in names[number + 1 :]
            if (found := _difference(a, b, measured)) is not None
        ],
    )


@dataclass(frozen=True)
class _Draws:
    """How often each conversation is drawn in each bootstrap round."""

    training: NDArray[np.int64]
    held_out: NDArray[np.int64]
    others: dict[str, NDArray[np.int64]]


class _MeasureCounts:
    """The counts of one measure, a row for each conversation."""

    def __init__(
        self, measure: Measure, samples: StyleSamples, function_words: frozenset[str]
    ) -> None:
        def counted(conversations: Sequence[Replies]) -> list[Counter[object]]:
            return [measure.count(replies, function_words) for replies in conversations]

        training = counted(samples.training)
        others = {name: counted(texts) for name, texts in samples.others.items()}
        pool = [*training, *(row for rows in others.values() for row in rows)]
        vocabulary = Vocabulary(measure, pool)
        self._measure = measure
        self._training = vocabulary.matrix(training)
        self._samples = {_PERSON: vocabulary.matrix(counted(samples.held_out))}
        self._others = {f"other {name}": name for name in others}
        self._contestants = {f"model {name}": name for name in samples.contestants}
        for key, name in self._others.items():
            self._samples[key] = vocabulary.matrix(others[name])
        for key, name in self._contestants.items():
            texts = counted(samples.contestants[name])
            self._samples[key] = vocabulary.matrix(texts)

    def measured(
        self, drawn: _Draws, subsamples: int, rng: np.random.Generator
    ) -> _Measured:
        own = self._measure.units(self._samples[_PERSON].sum(axis=0))
        if own < _MIN_UNITS:
            return _unmeasured(self._measure, "too little of the person's text")
        scarce = {
            name
            for key, name in self._contestants.items()
            if self._measure.units(self._samples[key].sum(axis=0))
            < max(_MIN_UNITS, _MIN_SHARE * own)
        }
        kept = {
            key: rows
            for key, rows in self._samples.items()
            if self._contestants.get(key) not in scarce
        }
        for key in self._small_others(kept):
            del kept[key]
        totals = {key: rows.sum(axis=0) for key, rows in kept.items()}
        training = self._training.sum(axis=0)
        units = min(map(self._measure.units, totals.values()))
        points = np.mean(
            [self._distances(training, totals, rng) for _ in range(subsamples)], axis=0
        )
        values = self._rounds(kept, drawn, rng)
        return self._finding(
            units,
            dict(zip(kept, points.tolist(), strict=True)),
            dict(zip(kept, values.T, strict=True)),
            scarce,
        )

    def _small_others(self, samples: Mapping[str, NDArray[np.int64]]) -> list[str]:
        """Return the other people whose text would make all samples small."""
        units = {
            key: self._measure.units(rows.sum(axis=0)) for key, rows in samples.items()
        }
        others = {key: units[key] for key in units if key in self._others}
        models = min(units[key] for key in units if key not in self._others)
        enough = _MIN_SHARE_OF_OTHERS * min(models, max(others.values(), default=0))
        return [key for key, found in others.items() if found < enough]

    def _distances(
        self,
        training: NDArray[np.int64],
        totals: Mapping[str, NDArray[np.int64]],
        rng: np.random.Generator,
    ) -> list[float]:
        # Of the same size: a small sample is far from everybody, even from oneself.
        units = min(map(self._measure.units, totals.values()))
        if not units:
            return [np.nan] * len(totals)
        return [
            self._measure.distance(training, self._measure.sampled(total, units, rng))
            for total in totals.values()
        ]

    def _rounds(
        self,
        samples: Mapping[str, NDArray[np.int64]],
        drawn: _Draws,
        rng: np.random.Generator,
    ) -> Floats:
        found: list[list[float]] = []
        rounds = len(drawn.training)
        for start in range(0, rounds, _BLOCK):
            part = slice(start, start + _BLOCK)
            training = _sums(drawn.training[part], self._training)
            sums = {
                key: _sums(self._draws_of(key, drawn)[part], rows)
                for key, rows in samples.items()
            }
            for number, row in enumerate(training):
                totals = {key: rows[number] for key, rows in sums.items()}
                found.append(self._distances(row, totals, rng))
        return np.asarray(found)

    def _draws_of(self, key: str, drawn: _Draws) -> NDArray[np.int64]:
        # The person and all contestants are drawn together: they answer the same turns.
        other = self._others.get(key)
        return drawn.held_out if other is None else drawn.others[other]

    def _finding(
        self,
        units: int,
        points: Mapping[str, float],
        values: Mapping[str, Floats],
        scarce: set[str],
    ) -> _Measured:
        ceiling, ceilings = points[_PERSON], values[_PERSON]
        floor = floors = separates = None
        others = {key: name for key, name in self._others.items() if key in points}
        if others:
            floor = float(np.mean([points[key] for key in others]))
            floors = np.mean([values[key] for key in others], axis=0)
            separates = bool(np.mean(floors - ceilings > 0) >= _SEPARATES_FROM)
        results, scores, exact = [], {}, {}
        for key, name in self._contestants.items():
            if name in scarce:
                reason = "the model wrote too little"
                results.append(ContestantScore(name=name, reason=reason))
                continue
            point, rounds = points[key], values[key]
            score = None
            if separates and floor is not None and floors is not None:
                score = exact[name] = (floor - point) / (floor - ceiling)
                scores[name] = _ratios(floors - rounds, floors - ceilings)
            ends = None if score is None else percentiles(scores[name])
            results.append(
                ContestantScore(
                    name=name,
                    value=point,
                    interval=centered(point, rounds),
                    score=score,
                    score_interval=ends,
                    within_ceiling=None if ends is None else _is_within(ends),
                )
            )
        finding = MeasureFinding(
            name=self._measure.name,
            unit=self._measure.unit,
            meaning=self._measure.meaning,
            units_each=units,
            ceiling=ceiling,
            ceiling_interval=centered(ceiling, ceilings),
            floor=floor,
            floor_interval=(
                None if floor is None or floors is None else centered(floor, floors)
            ),
            floor_each={name: points[key] for key, name in others.items()},
            separates=separates,
            contestants=results,
            reason=_why_unscored(separates),
        )
        return _Measured(finding, scores, exact)


def _sums(weights: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    # In floats, which are exact for counts and many times faster.
    sums: NDArray[np.float64] = weights.astype(float) @ rows.astype(float)
    return np.rint(sums).astype(np.int64)


def _ratios(parts: Floats, wholes: Floats) -> Floats:
    # A round in which floor and ceiling meet has no score.
    missing = np.full_like(parts, np.nan)
    return np.divide(parts, wholes, out=missing, where=wholes != 0)


def _is_within(ends: tuple[float, float]) -> bool:
    # A wide interval contains everything, and proves nothing.
    return ends[0] > 0.5 and ends[0] <= 1 <= ends[1]  # noqa: PLR2004 - half the way


def _why_unscored(separates: bool | None) -> str | None:
    if separates is None:
        return "nobody else has enough turns to compare with"
    return None if separates else "the people of this export do not differ in it"


def _unmeasured(measure: Measure, reason: str) -> _Measured:
    return _Measured(
        MeasureFinding(
            name=measure.name,
            unit=measure.unit,
            meaning=measure.meaning,
            floor_each={},
            contestants=[],
            reason=reason,
        )
    )


def _summary(name: str, measured: Sequence[_Measured]) -> Summary:
    used = [each for each in measured if name in each.points]
    if not used:
        reason = _why_no_median(name, measured)
        return Summary(contestant=name, measures_used=0, reason=reason)
    return Summary(
        contestant=name,
        median_score=float(np.median([each.points[name] for each in used])),
        interval=percentiles(_medians(name, used)),
        measures_used=len(used),
    )


def _why_no_median(name: str, measured: Sequence[_Measured]) -> str:
    reasons = {
        found.reason or each.finding.reason
        for each in measured
        for found in each.finding.contestants
        if found.name == name
    }
    return "; ".join(sorted(filter(None, reasons))) or "no measure could be taken"


def _medians(name: str, used: Sequence[_Measured]) -> Floats:
    # Not the mean, which one measure with a floor close to its ceiling would decide.
    return np.asarray(np.nanmedian([each.scores[name] for each in used], axis=0))


def _difference(a: str, b: str, measured: Sequence[_Measured]) -> Difference | None:
    used = [each for each in measured if a in each.points and b in each.points]
    if not used:
        return None
    points = [float(np.median([each.points[name] for each in used])) for name in (a, b)]
    ends = percentiles(_medians(a, used) - _medians(b, used))
    return Difference(a=a, b=b, value=points[0] - points[1], interval=ends)
