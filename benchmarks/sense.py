"""Do replies make sense? A blind reading, with a control for each variant.

```
python -m benchmarks.sense ask FOLDER --voice mechanic --variants person tuned-run1
python -m benchmarks.sense sheet FOLDER to_grade.csv           # all variants, or some
python -m benchmarks.sense sheet FOLDER a.csv b.csv            # the messages divided
python -m benchmarks.sense table FOLDER to_grade.csv --control tuned-run1
python -m benchmarks.sense measure FOLDER                      # without a reader
python -m benchmarks.sense judge FOLDER to_grade.csv --variants tuned-run1 tuned-run2
```

`ask` trains the models that are missing, and stores what each variant replies to the
held-out messages, once per seed. `sheet` writes a file to grade: shuffled, without the
variants' names, and equal replies to a message once. Somebody who did not build the
variants writes 1 (the reply fits its message), 0.5 or 0 in the column `fits`. `table`
reads the grades and prints intervals (95 %): bootstrap over messages, paired against
the control; the runs of a variant are one row. With several files, of several readers,
a variant and its control should be in each. `measure` prints loops, copied phrases,
the detector and the bits a byte of the person's replies; with `--matched` how many
replies can be told to belong to their message, of eight, as `chatexports evaluate`; not
for `prompt`, because the base prefers its own replies. `judge` asks the untrained base
whether each graded reply is sensible, and prints how often its choice among all runs
and seeds fits.

A variant is a way of `benchmarks.talks`, with a strength after `@` unless it is 1, such
as `tuned-run2@0.5`, or `person`: the person's own replies. Runs differ in the seed of
the training. Use 40 messages, three seeds and two runs or more. With `--archives`, the
voice is a member of a published archive, such as `channel-1`: see `published_chats.py`.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import random
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

if TYPE_CHECKING:
    from benchmarks.talks import Bench, Person
    from langchain_chatexports.evaluation.model_server import ModelClient
    from langchain_chatexports.personas.talk import Talk, Turn

_REPLIES = "replies.json"
_COLUMNS = ("id", "before", "message", "reply", "fits")
_GRADES = {"0": 0.0, "0.5": 0.5, "1": 1.0}
_ROUNDS = 10_000
_REQUESTS, _ATTEMPTS = 4, 3
_MAX_BEFORE = 3
_RUN = re.compile(r"-run\d+")
_QUESTION = (
    'A writes: "{}"\nB replies: "{}"\n'
    "Is this a sensible reply to what A wrote? Answer Yes or No."
)


@dataclass(frozen=True)
class Reply:
    """A reply of a variant to a question."""

    variant: str
    question: int
    seed: int
    message: str
    text: str
    before: str = ""
    """The earlier messages of the talk."""

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


def _share(values: Any, draws: Any) -> Share:
    """Return the mean of some messages' values, and its interval over draws of them."""
    low, high = np.quantile(values[draws].mean(axis=1), (0.025, 0.975))
    return Share(float(values.mean()), float(low), float(high))


def _draw(count: int, rounds: int) -> Any:
    return np.random.default_rng(0).integers(0, count, (rounds, count))


def write_to_grade(replies: Sequence[Reply], path: Path, *, seed: int = 0) -> None:
    """Write the replies to grade, shuffled and without the variants' names."""
    rows = {reply.id: (reply.before, reply.message, reply.text) for reply in replies}
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


def join_grades(readings: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean grade of each reply over the readers that graded it."""
    found: dict[str, list[float]] = defaultdict(list)
    for reading in readings:
        for reply_id, grade in reading.items():
            found[reply_id].append(grade)
    twice = [max(values) - min(values) for values in found.values() if len(values) > 1]
    if twice:
        equal = sum(not difference for difference in twice)
        print(f"{len(twice)} replies were graded twice, {equal} of them equally")
    return {reply_id: float(np.mean(values)) for reply_id, values in found.items()}


def compare(
    replies: Sequence[Reply],
    grades: Mapping[str, float],
    control: str,
    *,
    rounds: int = _ROUNDS,
) -> dict[str, tuple[int, Share, Share]]:
    """Return the replies of each variant, its share that fits, and less the control's.

    Runs and seeds of a question are averaged, and questions are resampled, the same
    ones for all variants.
    """
    found: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for reply in replies:
        variant = _RUN.sub("", reply.variant)
        found[variant][reply.question].append(grades[reply.id])
    questions = sorted(set.intersection(*(set(each) for each in found.values())))
    draws = _draw(len(questions), rounds)
    means = {
        variant: np.array([np.mean(by_question[q]) for q in questions])
        for variant, by_question in found.items()
    }
    return {
        variant: (
            sum(len(found[variant][q]) for q in questions),
            _share(values, draws),
            _share(values - means[control], draws),
        )
        for variant, values in means.items()
    }


def load_replies(folder: Path) -> list[Reply]:
    """Return the stored replies of all variants."""
    path = folder / _REPLIES
    records = json.loads(path.read_text("utf-8")) if path.is_file() else []
    return [Reply(**record) for record in records]


def write_sheet(given: argparse.Namespace) -> None:
    """Write files to grade."""
    replies = load_replies(given.folder)
    chosen = given.variants or {reply.variant for reply in replies}
    replies = [reply for reply in replies if reply.variant in chosen]
    for number, sheet in enumerate(given.sheets):
        part = [r for r in replies if r.question % len(given.sheets) == number]
        write_to_grade(part, given.folder / sheet)
        rows = len({reply.id for reply in part})
        print(f"{len(part)} replies in {rows} rows; grade {given.folder / sheet}")


def print_table(given: argparse.Namespace) -> None:
    """Print the shares of the variants in a graded file."""
    grades = join_grades(read_grades(given.folder / name) for name in given.sheets)
    replies = load_replies(given.folder)
    missing = {reply.variant for reply in replies if reply.id not in grades}
    replies = [reply for reply in replies if reply.variant not in missing]
    control = given.control
    if control not in {_RUN.sub("", reply.variant) for reply in replies}:
        msg = f"There is no graded variant {control} in {given.folder}"
        raise SystemExit(msg)
    table = compare(replies, grades, control)
    print(f"| variant | replies | fits | less {control} |")
    print("| --- | --- | --- | --- |")
    for variant, (count, fits, difference) in table.items():
        print(f"| {variant} | {count} | {fits} | {difference} |")


class Held(NamedTuple):
    """A held-out message, with the turns before it."""

    talk: int
    before: list[Turn]
    turn: Turn

    def earlier(self) -> str:
        """Return the turns before it, without names."""
        return "\n".join(
            f"{who}: {text}"
            for one in self.before
            for who, text in (("other", one.line), ("person", one.answer))
        )


def choose_messages(person: Person, count: int) -> list[Held]:
    """Return held-out messages, questions first."""
    found = [
        Held(number, talk[max(0, at - _MAX_BEFORE) : at], turn)
        for number, talk in enumerate(person.held_out)
        for at, turn in enumerate(talk)
    ]
    found.sort(key=lambda each: not each.turn.line.endswith("?"))
    return found[:count]


@contextmanager
def open_bench(given: argparse.Namespace) -> Iterator[tuple[Bench, Person, list[Held]]]:
    """Start the server, and load the person and the held-out messages."""
    from benchmarks.talks import Bench, Person, PublishedPerson
    from langchain_chatexports import LocalServer

    folder: Path = given.folder
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    given.output, given.settings, given.sampling = folder, {}, {}
    given.base_name = Path(given.base).stem if given.base else "default"
    if given.archives:
        person: Person = PublishedPerson(given.voice, folder, given.archives)
    else:
        person = Person(given.voice, folder)
    data = folder / "data"
    with LocalServer(given.base, data_dir=data, threads=given.threads) as server:
        yield Bench(server, given), person, choose_messages(person, given.questions)


def split_variant(variant: str) -> tuple[str, dict[str, float]]:
    """Return the way and the settings of a variant."""
    way, _, strength = variant.partition("@")
    return way, {"strength": float(strength or 1)} if way != "prompt" else {}


def ask(given: argparse.Namespace) -> None:
    """Ask the variants the held-out messages, unless they have been asked."""
    replies = load_replies(given.folder)
    done = {reply.variant for reply in replies}
    path = given.folder / _REPLIES
    with open_bench(given) as (bench, person, messages):
        path.touch(0o600)
        for variant in dict.fromkeys(given.variants):
            if variant in done:
                continue
            answers = _answer(bench, person, messages, variant, given.seeds)
            replies += [
                Reply(variant, number, seed, held.turn.line, text, held.earlier())
                for number, held in enumerate(messages)
                for seed, text in enumerate(answers[number], 1)
            ]
            path.write_text(json.dumps([*map(asdict, replies)], indent=1), "utf-8")
            print(f"{variant}: {len(replies)} replies", file=sys.stderr, flush=True)


def _answer(
    bench: Bench, person: Person, messages: list[Held], variant: str, seeds: int
) -> list[list[str]]:
    """Return the answers to each message, one per seed."""
    from langchain_core.messages import convert_to_openai_messages

    if variant == "person":
        return [[held.turn.answer] for held in messages]
    way, bench.given.settings = split_variant(variant)
    speaker = bench.speaker(person, way)
    voices = [bench.voice(speaker, seed) for seed in range(1, seeds + 1)]

    def answer(held: Held) -> list[str]:
        # One after another, so that the server has read the prompt already.
        return [
            _answer_once(voice, held, draft(voice, held, seed))
            for seed, voice in enumerate(voices, 1)
        ]

    def draft(voice: Talk, held: Held, seed: int) -> str:
        if "-draft" not in way:
            return ""
        chat: Any = convert_to_openai_messages(
            voice.messages(held.before, held.turn.line)
        )
        return bench.base_reply(chat, 0.7, seed)

    with ThreadPoolExecutor(_REQUESTS) as pool:
        return [*pool.map(answer, messages)]


def _answer_once(voice: Talk, held: Held, draft: str) -> str:
    from benchmarks.talks import with_draft
    from langchain_chatexports.exceptions import ChatExportError
    from langchain_chatexports.personas.talk import Turn

    line = with_draft(held.turn.line, draft) if draft else held.turn.line
    for attempt in range(_ATTEMPTS):
        earlier = [Turn(one.line, one.answer) for one in held.before]
        talk = replace(voice, turns=earlier)
        talk.add_line(line)
        try:
            for _ in talk.answer():
                pass
        except ChatExportError:  # The engine had to be started again.
            if attempt == _ATTEMPTS - 1:
                raise
            continue
        break
    return talk.last_answer


def measure(given: argparse.Namespace) -> None:
    """Print what can be measured without a reader."""
    from langchain_chatexports.evaluation.detector import detector_score
    from langchain_chatexports.evaluation.loss import compare_losses
    from langchain_chatexports.evaluation.model_server import ScoredReply
    from langchain_chatexports.evaluation.talk_measures import TalkReply, measure_talk

    replies = load_replies(given.folder)
    variants = given.variants or [*dict.fromkeys(reply.variant for reply in replies)]
    with open_bench(given) as (bench, person, messages):
        real = [held.turn.answer for held in messages]
        groups = [held.talk for held in messages]
        print("| variant | replies | loops | told apart | about its message |")
        print("| --- | --- | --- | --- | --- |")
        server = _create_client(bench)
        for variant in variants:
            own = [reply for reply in replies if reply.variant == variant]
            talk = measure_talk([TalkReply(reply.text) for reply in own])
            told = "-"
            if variant != "person":
                found = detector_score(
                    [real[reply.question] for reply in own],
                    [reply.text for reply in own],
                    [groups[reply.question] for reply in own],
                )
                told = str(Share(found.value, *found.interval))
            matched = "-"
            if given.matched and not variant.startswith("prompt"):
                matched = str(_match(server, bench.server.base_model, own))
            cells = (variant, len(own), f"{talk.looping:.2f}", told, matched)
            print(f"| {' | '.join(map(str, cells))} |", flush=True)
        scores: dict[str, list[ScoredReply]] = {}
        for variant in variants if given.bits else ():
            if variant.startswith("tuned"):
                way, bench.given.settings = split_variant(variant)
                speaker = bench.speaker(person, way)
                scores[variant] = bench.scores(
                    speaker, [(held.before, held.turn) for held in messages]
                )
                print(variant, file=sys.stderr, flush=True)
        if scores:
            losses, differences = compare_losses(scores, groups)
            first = next(iter(scores))
            print(f"| variant | bits a byte | less {first} |\n| --- | --- | --- |")
            for name, loss in losses.items():
                less = [
                    each for each in differences if (each.a, each.b) == (first, name)
                ]
                cell = "".join(
                    f"{-d.value:+.3f} [{-d.interval[1]:+.3f}, {-d.interval[0]:+.3f}]"
                    for d in less
                )
                print(f"| {name} | {loss.value:.3f} | {cell} |", flush=True)


def judge(given: argparse.Namespace) -> None:
    """Print how well the base chooses among the replies to a message."""
    grades = join_grades(read_grades(given.folder / name) for name in given.sheets)
    replies = [r for r in load_replies(given.folder) if r.variant in given.variants]
    missing = sum(reply.id not in grades for reply in replies)
    if missing or not replies:
        msg = f"{missing} of {len(replies)} replies of these variants have no grade"
        raise SystemExit(msg)
    with open_bench(given) as (bench, _, _):
        server, base = _create_client(bench), bench.server.base_model
        odds = {r.id: _ask_base(server, base, r) for r in {*replies}}
    by_question: dict[int, list[str]] = defaultdict(list)
    for reply in replies:
        by_question[reply.question].append(reply.id)
    fits, chosen, best = [], [], []
    for ids in by_question.values():
        grade, score = (np.array([by[each] for each in ids]) for by in (grades, odds))
        fits.append(grade.mean())
        chosen.append(grade[score == score.max()].mean())
        best.append(grade.max())
    draws = _draw(len(fits), _ROUNDS)
    print("| reply | fits | less any |\n| --- | --- | --- |")
    for title, values in (("any", fits), ("chosen", chosen), ("best", best)):
        less = np.array(values) - fits
        print(
            f"| {title} | {_share(np.array(values), draws)} | {_share(less, draws)} |"
        )


def _ask_base(server: ModelClient, base: str, reply: Reply) -> float:
    """Return the log-odds of "Yes" to the question whether a reply is sensible."""
    if not reply.text.strip():
        return -np.inf
    asked = {"role": "user", "content": _QUESTION.format(reply.message, reply.text)}
    yes, no = (
        server.score(base, [asked, {"role": "assistant", "content": word}])[-1].nll
        for word in ("Yes", "No")
    )
    return no - yes


def _create_client(bench: Bench) -> ModelClient:
    from openai import OpenAI

    from langchain_chatexports.evaluation.model_server import ModelClient

    url, key = bench.server.base_url, bench.server.api_key
    return ModelClient(OpenAI(base_url=url, api_key=key, timeout=900))


def _match(server: ModelClient, base: str, replies: Sequence[Reply]) -> Share:
    """Return how often the replies of the first seed can be told to belong."""
    from langchain_chatexports.evaluation.intervals import percentiles, ratio, resample
    from langchain_chatexports.evaluation.sense import choose_blocks, match_replies

    own = [reply for reply in replies if reply.seed == 1]
    groups = [reply.question for reply in own]
    hits: list[bool] = []
    matched: list[int] = []
    for block in choose_blocks([reply.message for reply in own], groups):
        pairs = [(own[at].message, own[at].text) for at in block]
        hits += match_replies(server, base, pairs)
        matched += [groups[at] for at in block]
    weights = resample(max(groups) + 1, _ROUNDS, 0)
    value, values = ratio(hits, [1.0] * len(hits), matched, weights)
    return Share(value, *percentiles(values))


def main() -> None:
    """Store replies, write a file to grade, or print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    served = argparse.ArgumentParser(add_help=False)
    served.add_argument("folder", type=Path)
    served.add_argument("--voice", default="mechanic")
    served.add_argument("--archives", type=Path)
    served.add_argument("--base", default=None)
    served.add_argument("--questions", type=int, default=40)
    served.add_argument("--threads", type=int, default=None)
    asking = commands.add_parser("ask", parents=[served])
    asking.add_argument("--variants", nargs="+", required=True)
    asking.add_argument("--seeds", type=int, default=3)
    asking.set_defaults(run=ask)
    measuring = commands.add_parser("measure", parents=[served])
    measuring.add_argument("--variants", nargs="+")
    measuring.add_argument("--matched", action="store_true")
    measuring.add_argument("--bits", action="store_true")
    measuring.set_defaults(run=measure)
    sheet = commands.add_parser("sheet")
    sheet.add_argument("folder", type=Path)
    sheet.add_argument("sheets", nargs="+")
    sheet.add_argument("--variants", nargs="+")
    sheet.set_defaults(run=write_sheet)
    table = commands.add_parser("table")
    table.add_argument("folder", type=Path)
    table.add_argument("sheets", nargs="+")
    table.add_argument("--control", required=True)
    table.set_defaults(run=print_table)
    judging = commands.add_parser("judge", parents=[served])
    judging.add_argument("sheets", nargs="+")
    judging.add_argument("--variants", nargs="+", required=True)
    judging.set_defaults(run=judge)
    given = parser.parse_args()
    given.run(given)


if __name__ == "__main__":
    main()
