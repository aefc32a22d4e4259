"""Can the base choose the best of several replies? Judges against readers' grades.

```
python -m benchmarks.sense_judges FOLDER graded.csv --variants tuned-run1 tuned-run2
```

The replies of the variants to a message, over runs and seeds, are the candidates, and
`graded.csv` has been graded for `benchmarks.sense`. Each judge is the untrained base:

| judge | score of a reply |
| --- | --- |
| likely | log-likelihood a token after the message |
| belongs | log-likelihood after the message, less its mean after seven others |
| asked | log-odds of "Yes" to the question whether the reply fits |
| shown | the same after eight examples, half of them exchanged |

The table has the share of pairs (a reply that fits and one that does not, to the same
message) in which the judge prefers the one that fits, and how often the chosen reply
fits. Intervals are 95 %, bootstrap over messages.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.sense import (
    Reply,
    Share,
    join_grades,
    load_replies,
    open_bench,
    read_grades,
)

if TYPE_CHECKING:
    from langchain_chatexports.evaluation.model_server import ModelClient

_ROUNDS = 10_000
_OTHERS, _SHOWN = 7, 4
_JUDGES = ("likely", "belongs", "asked", "shown")
_QUESTION = (
    'A writes: "{}"\nB replies: "{}"\n'
    "Is this a sensible reply to what A wrote? Answer Yes or No."
)


class Judges:
    """Scores replies with the untrained base."""

    def __init__(self, server: ModelClient, base: str, messages: list[str]) -> None:
        self.server, self.base, self.messages = server, base, messages
        self.shown = list(_examples())

    def score(self, judge: str, reply: Reply) -> float:
        """Return a judge's score; a higher one is better."""
        if not reply.text.strip():
            return -np.inf
        if judge in ("asked", "shown"):
            before = self.shown if judge == "shown" else []
            chat = [*before, _user(_QUESTION.format(reply.message, reply.text))]
            return self._nll(chat, "No") - self._nll(chat, "Yes")
        own = self.server.score(
            self.base, [_user(reply.message), _assistant(reply.text)]
        )[-1]
        if judge == "likely":
            return -own.nll / own.tokens
        others = [text for text in self.messages if text != reply.message]
        start = reply.question * _OTHERS
        chosen = [others[(start + at) % len(others)] for at in range(_OTHERS)]
        nlls = [self._nll([_user(text)], reply.text) for text in chosen]
        return float(np.mean(nlls)) - own.nll

    def _nll(self, chat: list[dict[str, str]], text: str) -> float:
        return self.server.score(self.base, [*chat, _assistant(text)])[-1].nll


def _user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def _assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def _examples() -> list[dict[str, str]]:
    """Return questions to another person with their own and an exchanged reply."""
    from benchmarks.talks import VOICES
    from langchain_chatexports.samples.writing import parse_scenes

    path = Path(__file__).with_name("voices") / "baker.txt"
    asked = [
        pair
        for lines in parse_scenes(path.read_text("utf-8")).values()
        for pair in pairwise(lines)
        if pair[0].text.endswith("?") and pair[1].speaker == VOICES["baker"]
    ][: 2 * _SHOWN]
    chat = []
    for at, (question, reply) in enumerate(asked):
        is_own = at % 2 == 0
        text = reply.text if is_own else asked[at - 1][1].text
        chat += [_user(_QUESTION.format(question.text, text))]
        chat += [_assistant("Yes" if is_own else "No")]
    return chat


def print_table(
    replies: list[Reply], grades: dict[str, float], scores: dict[str, dict[str, float]]
) -> None:
    """Print how well each judge agrees with the grades."""
    by_question: dict[int, list[Reply]] = defaultdict(list)
    for reply in replies:
        by_question[reply.question].append(reply)
    groups = [*by_question.values()]
    draws = np.random.default_rng(0).integers(0, len(groups), (_ROUNDS, len(groups)))
    fits = [np.array([grades[reply.id] for reply in group]) for group in groups]
    mean = np.array([values.mean() for values in fits])

    def share(values: Any) -> Share:
        low, high = np.quantile(values[draws].mean(axis=1), (0.025, 0.975))
        return Share(float(values.mean()), float(low), float(high))

    print(f"any reply fits {share(mean)}")
    best = np.array([values.max() for values in fits])
    print("| judge | pairs | chosen fits | less any |\n| --- | --- | --- | --- |")
    print(f"| perfect | 1 | {share(best)} | {share(best - mean)} |")
    for judge, found in scores.items():
        right, chosen = [], []
        for group, values in zip(groups, fits, strict=True):
            own = np.array([found[reply.id] for reply in group])
            first = own == own.max()
            chosen.append(values[first].mean())
            better = values[:, None] > values
            wins = (own[:, None] > own) + 0.5 * (own[:, None] == own)
            right.append((better.sum(), wins[better].sum()))
        pairs, wins = np.array(right).T
        ratios = wins[draws].sum(axis=1) / pairs[draws].sum(axis=1)
        low, high = np.quantile(ratios, (0.025, 0.975))
        told = Share(float(wins.sum() / pairs.sum()), float(low), float(high))
        picked = np.array(chosen)
        print(f"| {judge} | {told} | {share(picked)} | {share(picked - mean)} |")


def main() -> None:
    """Score the replies of some variants, and print a table."""
    from openai import OpenAI

    from langchain_chatexports.evaluation.model_server import ModelClient

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("sheets", nargs="+")
    parser.add_argument("--variants", nargs="+", required=True)
    parser.add_argument("--judges", nargs="+", choices=_JUDGES, default=[*_JUDGES])
    parser.add_argument("--voice", default="mechanic")
    parser.add_argument("--archives", type=Path)
    parser.add_argument("--base", default=None)
    parser.add_argument("--questions", type=int, default=40)
    parser.add_argument("--threads", type=int, default=None)
    given = parser.parse_args()
    grades = join_grades(read_grades(given.folder / name) for name in given.sheets)
    replies = [r for r in load_replies(given.folder) if r.variant in given.variants]
    unique = {reply.id: reply for reply in replies}
    with open_bench(given) as (bench, _, messages):
        client = OpenAI(
            base_url=bench.server.base_url, api_key=bench.server.api_key, timeout=900
        )
        judges = Judges(
            ModelClient(client),
            bench.server.base_model,
            [held.turn.line for held in messages],
        )
        scores = {
            judge: {key: judges.score(judge, reply) for key, reply in unique.items()}
            for judge in given.judges
        }
    print_table(replies, grades, scores)


if __name__ == "__main__":
    main()
