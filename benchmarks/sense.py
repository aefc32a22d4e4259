"""Do replies make sense? A blind reading, with a control for each variant.

```
python -m benchmarks.sense ask FOLDER --voice mechanic --variants person tuned-run1
python -m benchmarks.sense measure FOLDER                      # without a reader
python -m benchmarks.sense table FOLDER --control tuned-run1   # after grading
```

`ask` trains the models that are missing, writes what each variant replies to the
held-out questions, once per seed, and `to_grade.csv`: shuffled, without the variants'
names, and equal replies to a question once. Somebody who did not build the variants
writes 1 (the reply fits its message), 0.5 or 0 in the column `fits`. `table` reads the
grades and prints intervals (95 %): bootstrap over questions, paired against the
control. `measure` counts replies that can be told to belong to their message, of eight,
as `chatexports evaluate`; not for `prompt`, because the base prefers its own replies.

A variant is a way of `benchmarks.talks`, with a strength after `@`, such as
`tuned-run2@0.5`, or `person`: the person's own replies. Runs differ in the seed of the
training. Use 40 questions, three seeds and two runs or more.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import random
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

_REPLIES, _TO_GRADE = "replies.json", "to_grade.csv"
_COLUMNS = ("id", "message", "reply", "fits")
_GRADES = {"0": 0.0, "0.5": 0.5, "1": 1.0}
_ROUNDS = 10_000


@dataclass(frozen=True)
class Reply:
    """A reply of a variant to a question."""

    variant: str
    question: int
    seed: int
    message: str
    text: str

    @property
    def id(self) -> str:
        """An id that does not show the variant."""
        content = f"{self.question}\n{self.message}\n{self.text}"
        return hashlib.sha256(content.encode("utf-8")).hexdigest()[:12]


class Share(NamedTuple):
    """A share, or a difference of two, with its interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """Return the share with its interval."""
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


def write_to_grade(replies: Sequence[Reply], path: Path, *, seed: int = 0) -> None:
    """Write the replies to grade, shuffled and without the variants' names."""
    rows = {reply.id: (reply.message, reply.text) for reply in replies}
    ids = sorted(rows)
    random.Random(seed).shuffle(ids)
    path.touch(0o600)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        writer.writerows((reply_id, *rows[reply_id], "") for reply_id in ids)


def read_grades(path: Path) -> dict[str, float]:
    """Return the grade of each reply by its id; all must have one."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [*csv.DictReader(file)]
    wrong = [row["id"] for row in rows if row["fits"].strip() not in _GRADES]
    if wrong:
        msg = f"{len(wrong)} of {len(rows)} replies in {path} have no grade 0, 0.5 or 1"
        raise SystemExit(msg)
    return {row["id"]: _GRADES[row["fits"].strip()] for row in rows}


def compare(
    replies: Sequence[Reply],
    grades: Mapping[str, float],
    control: str,
    *,
    rounds: int = _ROUNDS,
) -> dict[str, tuple[int, Share, Share]]:
    """Return the replies of each variant, its share that fits, and less the control's.

    The seeds of a question are averaged, and questions are resampled, the same ones for
    all variants.
    """
    found: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for reply in replies:
        found[reply.variant][reply.question].append(grades[reply.id])
    questions = sorted(set.intersection(*(set(each) for each in found.values())))
    draws = np.random.default_rng(0).integers(
        0, len(questions), (rounds, len(questions))
    )

    def share(values: Any) -> Share:
        low, high = np.quantile(values[draws].mean(axis=1), (0.025, 0.975))
        return Share(float(values.mean()), float(low), float(high))

    means = {
        variant: np.array([np.mean(by_question[q]) for q in questions])
        for variant, by_question in found.items()
    }
    return {
        variant: (
            sum(len(found[variant][q]) for q in questions),
            share(values),
            share(values - means[control]),
        )
        for variant, values in means.items()
    }


def print_table(folder: Path, control: str) -> None:
    """Print the shares of all variants."""
    records = json.loads((folder / _REPLIES).read_text("utf-8"))
    replies = [Reply(**record) for record in records]
    if control not in {reply.variant for reply in replies}:
        msg = f"There is no variant {control} in {folder}"
        raise SystemExit(msg)
    table = compare(replies, read_grades(folder / _TO_GRADE), control)
    print(f"| variant | replies | fits | less {control} |")
    print("| --- | --- | --- | --- |")
    for variant, (count, fits, difference) in table.items():
        print(f"| {variant} | {count} | {fits} | {difference} |")


def measure(given: argparse.Namespace) -> None:
    """Print how often the replies of each variant can be told to belong."""
    from openai import OpenAI

    from langchain_chatexports import LocalServer
    from langchain_chatexports.evaluation.intervals import percentiles, ratio, resample
    from langchain_chatexports.evaluation.model_server import ModelClient
    from langchain_chatexports.evaluation.sense import choose_blocks, match_replies

    records = json.loads((given.folder / _REPLIES).read_text("utf-8"))
    replies = [Reply(**record) for record in records]
    data = given.folder / "data"
    print("| variant | replies | about its message |")
    print("| --- | --- | --- |")
    with (
        LocalServer(given.base, data_dir=data, threads=given.threads) as server,
        OpenAI(base_url=server.base_url, api_key=server.api_key) as client,
    ):
        for variant in dict.fromkeys(reply.variant for reply in replies):
            if variant.startswith("prompt"):
                continue
            own = [reply for reply in replies if reply.variant == variant]
            messages = [reply.message.rpartition("\n")[2] for reply in own]
            # Seeds of a question are in one group.
            groups = [reply.question for reply in own]
            hits: list[bool] = []
            matched: list[int] = []
            for block in choose_blocks(messages, groups):
                pairs = [(messages[at], own[at].text) for at in block]
                hits += match_replies(ModelClient(client), server.base_model, pairs)
                matched += [groups[at] for at in block]
            weights = resample(max(groups) + 1, _ROUNDS, 0)
            value, values = ratio(hits, [1.0] * len(hits), matched, weights)
            share = Share(value, *percentiles(values))
            print(f"| {variant} | {len(hits)} | {share} |", flush=True)


def ask(given: argparse.Namespace) -> None:
    """Ask all variants the held-out questions, and write the file to grade."""
    from benchmarks.talks import Bench, Person
    from langchain_chatexports import LocalServer
    from langchain_chatexports.personas.talk import Turn

    folder: Path = given.folder
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    given.output, given.settings, given.sampling = folder, {}, {}
    given.base_name = Path(given.base).stem if given.base else "default"
    person = Person(given.voice, folder)
    turns = [
        (talk[:at], turn) for talk in person.held_out for at, turn in enumerate(talk)
    ]
    # Questions first, then the rest.
    turns.sort(key=lambda each: not each[1].line.endswith("?"))
    turns = turns[: given.questions]
    replies: list[Reply] = []
    with LocalServer(
        given.base, data_dir=folder / "data", threads=given.threads
    ) as server:
        bench = Bench(server, given)
        for variant in given.variants:
            way, _, strength = variant.partition("@")
            given.settings = {"strength": float(strength)} if strength else {}
            speaker = None if way == "person" else bench.speaker(person, way)
            for seed in range(1, given.seeds + 1):
                voice = speaker and bench.voice(speaker, seed)
                for question, (before, turn) in enumerate(turns):
                    text = turn.answer
                    if voice:
                        voice.turns = [Turn(one.line, one.answer) for one in before]
                        voice.add_line(turn.line)
                        for _ in voice.answer():
                            pass
                        text = voice.last_answer
                    lines = [part for one in before for part in (one.line, one.answer)]
                    message = "\n".join([*lines, turn.line])
                    replies.append(Reply(variant, question, seed, message, text))
                if not voice:
                    break
    path = folder / _REPLIES
    path.touch(0o600)
    path.write_text(json.dumps([*map(asdict, replies)], indent=1), "utf-8")
    write_to_grade(replies, folder / _TO_GRADE)
    print(f"{len(replies)} replies; grade {folder / _TO_GRADE}")


def main() -> None:
    """Write the replies to grade, or print the table of the grades."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    asking = commands.add_parser("ask")
    asking.add_argument("folder", type=Path)
    asking.add_argument("--voice", default="mechanic")
    asking.add_argument("--variants", nargs="+", required=True)
    asking.add_argument("--base", default=None)
    asking.add_argument("--questions", type=int, default=40)
    asking.add_argument("--seeds", type=int, default=3)
    asking.add_argument("--threads", type=int, default=None)
    asking.set_defaults(run=ask)
    measuring = commands.add_parser("measure")
    measuring.add_argument("folder", type=Path)
    measuring.add_argument("--base", default=None)
    measuring.add_argument("--threads", type=int, default=None)
    measuring.set_defaults(run=measure)
    table = commands.add_parser("table")
    table.add_argument("folder", type=Path)
    table.add_argument("--control", required=True)
    table.set_defaults(run=lambda given: print_table(given.folder, given.control))
    given = parser.parse_args()
    given.run(given)


if __name__ == "__main__":
    main()
