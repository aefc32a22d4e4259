"""Whether a reply agrees with a correction when the same situation comes back.

```
python -m benchmarks.corrected_again RESULTS [--ways prompt tuned-run1] [--base BASE]
```

The mechanic of `benchmarks/voices` is asked messages that were held out from training,
and paraphrases of them. What he really wrote is then kept as a correction of each
message, all in one file, and he is asked again. A reply agrees if half of its letter
trigrams are the correction's. `RESULTS` stores the models, as `benchmarks.talks` and
`benchmarks.sense` do (they can share the folder), and all replies. Intervals (95 %)
resample messages.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.talks import Bench, Person
from langchain_chatexports import LocalServer
from langchain_chatexports.datasets.replies import count_trigrams
from langchain_chatexports.personas import Corrections, PersonaChatModel
from langchain_chatexports.personas.talk import Talk

_VOICE = "mechanic"
_SIMILAR = 0.5
_ROUNDS = 10_000
PARAPHRASES = {
    "Who's on our quiz team tomorrow?": "Who is in our team for the quiz tomorrow?",
    "What pressure do the tyres need?": "How hard should I pump the tyres?",
    "What's your wifi password again?": "Can you tell me the wifi password again?",
    "The window frame in the bathroom is going black.": (
        "My bathroom window frame has gone all black."
    ),
    "Are you looking for anyone to help out on Saturdays?": (
        "Do you need somebody in the shop on Saturdays?"
    ),
    "Which way is quicker to yours, the bridge or the tunnel?": (
        "Is it faster to your place over the bridge or through the tunnel?"
    ),
    "Grandma's in hospital. She fell on the stairs.": (
        "Grandma fell on the stairs, she's in hospital."
    ),
    "Does anyone want my spare ticket for the match?": (
        "Do you know somebody for my spare match ticket?"
    ),
    "My sourdough came out flat as a plate.": "My sourdough is flat as a plate again.",
    "What are you doing for Christmas?": "Any plans for Christmas?",
    "The fridge has stopped working.": "My fridge isn't working any more.",
    "Did I wake you?": "Were you asleep?",
    "How do I get to the allotment from the station?": (
        "What's the way from the station to the allotment?"
    ),
    "Can you straighten a bent wheel or do I need a new one?": (
        "My wheel is bent. Can you fix it, or must I buy a new one?"
    ),
    "I think I left my scarf in your van.": "Is my scarf in your van?",
    "When did you last have a day off?": "How long is it since your last day off?",
    "Which song should I sing on Friday?": "What should I sing on Friday?",
    "Should I get the clicky pedals?": "Are clicky pedals worth getting?",
    "When can I plant the tomatoes out?": "Can the tomatoes go out yet?",
    "My back is killing me from this chair.": "This chair is killing my back.",
    "Do I tip the driver if he got lost?": "The driver got lost. Should I still tip?",
    "How late are you going to be?": "How late will you be?",
    "There's a wasps' nest under the roof.": "I found a wasps' nest under my roof.",
    "How many eggs for the pancakes?": "How many eggs go into the pancakes?",
}


@dataclass(frozen=True)
class Answer:
    """A reply to a message, or to its paraphrase, before or after the correction."""

    way: str
    kind: str
    is_after: bool
    message: str
    asked: str
    better: str
    reply: str

    @property
    def agrees(self) -> bool:
        """Whether the reply is like the correction."""
        mine, other = count_trigrams(self.reply), count_trigrams(self.better)
        total = mine.total() + other.total()
        return bool(total) and 2 * (mine & other).total() / total >= _SIMILAR


def ask(talk: Talk, way: str, real: dict[str, str], kept: Corrections) -> list[Answer]:
    """Ask all messages and paraphrases with some corrections."""
    if talk.settings.voice is None:
        msg = f"{way} has no person."
        raise SystemExit(msg)
    talk.settings.voice.corrections = kept
    if isinstance(talk.model, PersonaChatModel):
        talk.model.voice.corrections = kept
    found = []
    for message, better in real.items():
        kinds = {"message": message, "paraphrase": PARAPHRASES[message]}
        for kind, asked in kinds.items():
            talk.turns.clear()
            talk.add_line(asked)
            for _ in talk.answer():
                pass
            reply, is_after = talk.last_answer, len(kept) > 0
            found.append(Answer(way, kind, is_after, message, asked, better, reply))
    return found


def print_table(answers: list[Answer]) -> None:
    """Print how often the replies of each way agree, before and after."""
    print("| who answers | asked | before | after | more |\n" + "| --- " * 5 + "|")
    for way, kind in dict.fromkeys((a.way, a.kind) for a in answers):
        own = [a for a in answers if (a.way, a.kind) == (way, kind)]
        shares = np.array(
            [
                [
                    np.mean(
                        [
                            a.agrees
                            for a in own
                            if (a.message, a.is_after) == (message, is_after)
                        ]
                    )
                    for is_after in (False, True)
                ]
                for message in PARAPHRASES
            ]
        )
        draws = np.random.default_rng(0).integers(
            0, len(shares), (_ROUNDS, len(shares))
        )
        more = shares[:, 1] - shares[:, 0]
        low, high = np.quantile(more[draws].mean(axis=1), (0.025, 0.975))
        before, after = shares.mean(axis=0)
        print(
            f"| {way} | {kind} | {before:.2f} | {after:.2f} "
            f"| {more.mean():+.2f} [{low:+.2f}, {high:+.2f}] |"
        )


def main() -> None:
    """Ask before and after the corrections, and print the shares that agree."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--ways", nargs="+", default=["prompt", "tuned-run1"])
    parser.add_argument("--base")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int)
    given = parser.parse_args()
    folder: Path = given.results
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    given.output, given.settings, given.sampling = folder, {}, {}
    given.base_name = Path(given.base).stem if given.base else "default"
    person = Person(_VOICE, folder)
    real = {
        turn.line: turn.answer
        for talk in person.held_out
        for turn in talk[:1]
        if turn.line in PARAPHRASES
    }
    kept = Corrections()
    for message, better in real.items():
        kept.add([{"role": "user", "content": message}], "(the model's)", better)
    started = time.process_time()
    near = [
        any(each.better == better for each in kept.nearest(PARAPHRASES[message]))
        for message, better in real.items()
    ]
    spent = (time.process_time() - started) / len(real)
    others = [t.line for talk in person.held_out for t in talk if t.line not in real]
    false = sum(bool(kept.nearest(line)) for line in others)
    print(f"{sum(near)} of {len(real)} paraphrases find their correction")
    print(f"{false} of {len(others)} other messages find one")
    print(f"{spent * 1e3:.2f} ms of CPU time each")
    path = folder / "corrected_again.json"
    rows = json.loads(path.read_text("utf-8")) if path.is_file() else []
    answers = [Answer(**row) for row in rows]
    data = folder / "data"
    with LocalServer(given.base, data_dir=data, threads=given.threads) as server:
        bench = Bench(server, given)
        for way in given.ways:
            if way in {each.way for each in answers}:
                continue
            speaker = bench.speaker(person, way)
            for seed in range(1, given.seeds + 1):
                talk = bench.voice(speaker, seed)
                for corrections in (Corrections(), kept):
                    answers += ask(talk, way, real, corrections)
            path.touch(0o600)
            path.write_text(json.dumps([*map(asdict, answers)], indent=1), "utf-8")
    print_table(answers)


if __name__ == "__main__":
    main()
