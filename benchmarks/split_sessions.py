"""Accuracy of SplitSessions, compared with fixed gaps of 30 and 60 minutes.

Run `python -m benchmarks.split_sessions` from the repository's root. Threads are
synthetic: mixtures of pauses within and between conversations, with known borders (see
tests/unit_tests/builders/paces.py). The two constants of the automatic gap were chosen
on the same mixtures with other seeds. A mixture of three normal distributions in the
logarithms of the pauses was not better than this power of their median: a mean F1 of
0.967 and 0.969 over all paces and lengths (2026-11-22).
The means are in docs/steps.md.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Literal

from langchain_chatexports.steps.split_sessions import SplitSessions
from tests.unit_tests.builders.paces import (
    HELD_OUT_PACES,
    PACES,
    Pace,
    Thread,
    make_session,
    make_thread,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_GAPS: dict[str, timedelta | Literal["auto"]] = {
    "30 min": timedelta(minutes=30),
    "60 min": timedelta(minutes=60),
    "auto": "auto",
}


def find_borders(thread: Thread, gap: timedelta | Literal["auto"]) -> set[int]:
    """Split a thread, and return the start indexes of its parts, except 0."""
    found, start = set(), 0
    session = make_session([*thread.times])
    for part in SplitSessions(gap=gap).transform_session(session):
        start += len(part["messages"])
        found.add(start)
    return found - {len(thread.times)}


def precision_and_recall(
    threads: list[Thread], find: Callable[[Thread], set[int]]
) -> tuple[float, float]:
    """Compare borders over all threads; without found borders, the precision is 1."""
    counts = Counter[str]()
    for thread in threads:
        borders, predicted = set(thread.borders), find(thread)
        counts["correct"] += len(borders & predicted)
        counts["found"] += len(predicted)
        counts["expected"] += len(borders)
    precision = counts["correct"] / counts["found"] if counts["found"] else 1.0
    return precision, counts["correct"] / counts["expected"]


def main() -> None:
    """Print a table for each thread length."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=20, help="threads per row")
    parser.add_argument("--seed", type=int, default=2026)
    options = parser.parse_args()
    for conversations in (5, 20, 100):
        print(f"\n{conversations} conversations per thread (precision / recall)")
        print(f"{'pace':<46}" + "".join(f"{name:>16}" for name in _GAPS))
        for group, paces in (("mean", PACES), ("mean, held out", HELD_OUT_PACES)):
            rows = [
                _row(name, pace, conversations, options.threads, options.seed)
                for name, pace in paces.items()
            ]
            means = [
                (
                    sum(row[index][0] for row in rows) / len(rows),
                    sum(row[index][1] for row in rows) / len(rows),
                )
                for index in range(len(_GAPS))
            ]
            _print_row(group, means)


def _row(
    name: str, pace: Pace, conversations: int, threads: int, seed: int
) -> list[tuple[float, float]]:
    rng = random.Random(seed)
    created = [make_thread(pace, rng, conversations) for _ in range(threads)]
    figures = [
        precision_and_recall(created, partial(find_borders, gap=gap))
        for gap in _GAPS.values()
    ]
    _print_row(name, figures)
    return figures


def _print_row(name: str, figures: list[tuple[float, float]]) -> None:
    cells = "".join(f"{p:>9.3f} /{r:>5.3f}" for p, r in figures)
    print(f"{name:<46}{cells}")


if __name__ == "__main__":
    main()
