"""Coverage of the style scores' intervals, and how many turns they need.

Run `python -m benchmarks.evaluation [--exports 40]` from the repository's root, with
the extra `evaluate`; it takes some minutes. Synthetic people
(tests/unit_tests/builders) write the messages; no model is needed.

1. Coverage: the person's own new messages, whose true score is 1, are a contestant in
   each simulated export. How often is 1 inside the 95 % interval?
2. Coverage between: two models, half of whose turns are somebody else's. The truth is
   their mean score over all exports; that of their paired difference is 0.
3. AUC: how often is a person's new sample nearer to the person than that of somebody
   else, by measure and turns, cut to equal units? Mean over all pairs of four distinct
   people / worst pair / two people who are much alike.

Measured 2026-11-20: all 40 intervals of each measure and of the median held 1 (burst:
37 of them, as in three the people did not differ in it). Of a half-right model, 80
exports: length .97, burst .95 of 75, marks .96, emoji .99, frame .96, char3 .95,
opening .97, median .99, the paired difference .94. AUC at 10, 25, 50 turns:
length .85 .65 .45, .96 .80 .55, .98 .85 .42; burst .85 .55 .47, .94 .75 .45, .96 .75
.50; marks 1.0 1.0 .72, 1.0 1.0 .95, 1.0 1.0 .95; emoji .97 .85 .47, 1.0 1.0 .50, 1.0
1.0 .53; frame 1.0 1.0 .97, then 1.0; char3 1.0 .95 .95, then 1.0; opening 1.0 1.0 .95,
then 1.0. The two who are alike share their lengths, bursts and emoji.
"""

from __future__ import annotations

import argparse
import sys
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from langchain_chatexports._function_words import ENGLISH
from langchain_chatexports.evaluation.style_measures import (
    MEASURES,
    Measure,
    Vocabulary,
)
from langchain_chatexports.evaluation.style_scores import StyleSamples, compare_styles
from tests.unit_tests.builders.voices import (
    CLOSE,
    DISTINCT,
    Voice,
    conversations,
    half_right,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

TURNS = (10, 25, 50, 100)
SAMPLES = 20
HELD_OUT, TRAINING = 40, 100


def main() -> None:
    """Print the tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exports", type=int, default=40)
    exports = parser.parse_args().exports
    coverage(exports)
    print()
    coverage_between(exports)
    print()
    curves()


def coverage(exports: int) -> None:
    """Count how often intervals hold the known score."""
    hits: dict[str, list[bool]] = {}
    for number in range(exports):
        person, *others = np.random.default_rng(number).permutation(len(DISTINCT))
        voice = DISTINCT[person]
        found = compare_styles(
            StyleSamples(
                training=conversations(voice, TRAINING, number),
                held_out=conversations(voice, HELD_OUT, number + 10_000),
                contestants={"new": conversations(voice, HELD_OUT, number + 20_000)},
                others={
                    DISTINCT[other].name: conversations(
                        DISTINCT[other], HELD_OUT, number + 30_000
                    )
                    for other in others
                },
            ),
            rounds=200,
            subsamples=10,
            seed=number,
        )
        for measure in found.measures:
            ends = measure.contestants[0].score_interval
            if ends is not None:
                hits.setdefault(measure.name, []).append(ends[0] <= 1 <= ends[1])
        ends = found.summary[0].interval
        if ends is not None:
            hits.setdefault("median", []).append(ends[0] <= 1 <= ends[1])
    print(f"| measure | covered, of {exports} exports |")
    print("| --- | --- |")
    for name, held in hits.items():
        print(f"| {name} | {np.mean(held):.2f} of {len(held)} |", flush=True)


def coverage_between(exports: int) -> None:
    """Count how often intervals of half-right models hold what is true on average."""
    person, *others = DISTINCT
    found: dict[str, list[tuple[float, tuple[float, float]]]] = {}
    for number in range(exports):
        held_out = conversations(person, HELD_OUT, number + 10_000)
        models = {
            name: half_right_talk(person, others[0], number + seed)
            for name, seed in (("half", 20_000), ("again", 40_000))
        }
        styles = compare_styles(
            StyleSamples(
                training=conversations(person, TRAINING, number),
                held_out=held_out,
                contestants=models,
                others={
                    other.name: conversations(other, HELD_OUT, number + 30_000)
                    for other in others
                },
            ),
            rounds=200,
            subsamples=10,
            seed=number,
        )
        for measure in styles.measures:
            half = measure.contestants[0]
            if half.score is not None and half.score_interval is not None:
                kept = found.setdefault(measure.name, [])
                kept.append((half.score, half.score_interval))
        summary, difference = styles.summary[0], styles.differences[0]
        if summary.median_score is not None and summary.interval is not None:
            kept = found.setdefault("median", [])
            kept.append((summary.median_score, summary.interval))
        found.setdefault("difference of medians, 0", []).append(
            (0.0, difference.interval)
        )
    print(f"| half-right model | mean score | covered, of {exports} exports |")
    print("| --- | --- | --- |")
    for name, each in found.items():
        truth = float(np.mean([point for point, _ in each]))
        held = [low <= truth <= high for _, (low, high) in each]
        print(
            f"| {name} | {truth:.2f} | {np.mean(held):.2f} of {len(held)} |", flush=True
        )


def half_right_talk(person: Voice, other: Voice, seed: int) -> list[list[str]]:
    """Let somebody else answer half of the turns, each conversation on its own."""
    own = conversations(person, HELD_OUT, seed)
    foreign = conversations(other, HELD_OUT, seed + 5000)
    return [
        half_right([turns], [replies], 0.5, seed + number)[0]
        for number, (turns, replies) in enumerate(zip(own, foreign, strict=True))
    ]


def curves() -> None:
    """Print the AUC by measure and number of turns."""
    print("| measure |", " | ".join(f"{turns} turns" for turns in TURNS), "|")
    print("| --- " * (len(TURNS) + 1) + "|")
    for measure in MEASURES:
        cells = []
        for turns in TURNS:
            far = [auc(measure, *pair, turns) for pair in permutations(DISTINCT, 2)]
            near = np.mean([auc(measure, *p, turns) for p in permutations(CLOSE, 2)])
            cells.append(f"{np.mean(far):.2f} {min(far):.2f} {near:.2f}")
        print(f"| {measure.name} |", " | ".join(cells), "|", flush=True)


def auc(measure: Measure, person: Voice, other: Voice, turns: int) -> float:
    """Return how often the person's sample is nearer than the other's."""
    samples = (
        (sample(person, turns, number), sample(other, turns, number))
        for number in range(SAMPLES)
    )
    earlier = EarlierMessages(measure, conversations(person, TRAINING, 1))
    return earlier.share_nearer(samples)


class EarlierMessages:
    """A person's earlier messages, as one measure counts them."""

    def __init__(self, measure: Measure, replies: Sequence[Sequence[str]]) -> None:
        self._measure = measure
        counted = [measure.count(talk, ENGLISH) for talk in replies]
        self._vocabulary = Vocabulary(measure, counted)
        self._whole = self._vocabulary.matrix(counted).sum(axis=0)

    def share_nearer(
        self, samples: Iterable[tuple[Sequence[str], Sequence[str]]]
    ) -> float:
        """Return how often the first sample of a pair is nearer than the second."""
        rng = np.random.default_rng(0)
        wins = []
        for pair in samples:
            rows = [
                self._vocabulary.matrix([self._measure.count(one, ENGLISH)])[0]
                for one in pair
            ]
            units = min(map(self._measure.units, rows))
            if units:
                near, far = (
                    self._measure.distance(
                        self._whole, self._measure.sampled(row, units, rng)
                    )
                    for row in rows
                )
                wins.append((near < far) + 0.5 * (near == far))
        return float(np.mean(wins)) if wins else float("nan")


def sample(voice: Voice, turns: int, number: int) -> list[str]:
    """Return this many turns of new messages."""
    talk = conversations(voice, turns, number + 500)
    return [turn for turns_of_one in talk for turn in turns_of_one][:turns]


if __name__ == "__main__":
    main()
