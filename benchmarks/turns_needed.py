"""How many turns tell people apart, measured on published talk.

```
python -m benchmarks.turns_needed ARCHIVES -o RESULTS
```

The arguments are those of `benchmarks.voices`. The four most talkative people of each
archive are told apart in pairs: how often is a person's new sample nearer to their
earlier half than a sample of the other's? The mean over the pairs, and the worst pair.
Samples are conversations of the later half, drawn at random.
"""

from __future__ import annotations

import argparse
import sys
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.evaluation import EarlierMessages
from benchmarks.published_chats import ARCHIVES
from benchmarks.published_people import dialogue_of, find_people
from langchain_chatexports.evaluation.style_measures import MEASURES

if TYPE_CHECKING:
    from collections.abc import Sequence

TURNS = (25, 50, 100, 200)
SAMPLES = 40


def main() -> None:
    """Print a table for each archive."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archives", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--kinds", nargs="+", default=[*ARCHIVES], choices=[*ARCHIVES])
    given = parser.parse_args()
    given.output.mkdir(mode=0o700, parents=True, exist_ok=True)
    for kind in given.kinds:
        people = find_people(given.archives, given.output, kind).values()
        halves = [
            _halves([dialogue_of(session).replies() for session in person.own])
            for person in people
        ]
        print(f"\n| {kind} |", " | ".join(f"{turns} turns" for turns in TURNS), "|")
        print("| --- " * (len(TURNS) + 1) + "|")
        for measure in MEASURES:
            counted = [(EarlierMessages(measure, own), new) for own, new in halves]
            cells = []
            for turns in TURNS:
                found = [
                    earlier.share_nearer(_pairs(new, others, turns))
                    for (earlier, new), (_, others) in permutations(counted, 2)
                ]
                cells.append(f"{np.mean(found):.2f} {min(found):.2f}")
            print(f"| {measure.name} |", " | ".join(cells), "|", flush=True)


def _halves(
    talks: Sequence[Sequence[str]],
) -> tuple[Sequence[Sequence[str]], Sequence[Sequence[str]]]:
    middle = len(talks) // 2
    return talks[:middle], talks[middle:]


def _pairs(
    own: Sequence[Sequence[str]], other: Sequence[Sequence[str]], turns: int
) -> list[tuple[list[str], list[str]]]:
    rng = np.random.default_rng(0)
    return [
        (_drawn(own, turns, rng), _drawn(other, turns, rng)) for _ in range(SAMPLES)
    ]


def _drawn(
    talks: Sequence[Sequence[str]], turns: int, rng: np.random.Generator
) -> list[str]:
    order = rng.permutation(len(talks))
    return [reply for number in order for reply in talks[number]][:turns]


if __name__ == "__main__":
    main()
