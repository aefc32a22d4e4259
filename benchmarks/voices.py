"""Compare recipes on published chats of real and fictional people.

```
python -m benchmarks.voices ARCHIVES -o RESULTS                # twelve speakers: hours
python -m benchmarks.voices ARCHIVES -o RESULTS --speakers series-1 channel-1
python -m benchmarks.voices ARCHIVES -o RESULTS --contestants tuned shown4
python -m benchmarks.voices ARCHIVES -o RESULTS --replies      # also measure replies
```

`ARCHIVES` is a folder with clones of the repositories in `published_chats.py`. Nothing
of them is shipped, and no name or text is printed: `channel-1` is the person with the
most messages in the channel. `RESULTS` stores all measurements, which are not repeated;
it contains models and replies, so it is as private as a chat.

Each speaker's thread is split at pauses, and the newest conversations are held out; a
model is trained for one epoch on the newest windows before them. The contestants are:

| contestant | model | prompt |
| --- | --- | --- |
| base | untuned | none |
| few-shot | untuned | the eight training pairs nearest to the last message, as turns |
| instant | untuned | name, style, and replies to the nearest messages |
| tuned | trained on windows that share answers, without names | none |
| persona | trained with this prompt | own name, others' names, speakers' labels |
| shown | as persona | as persona, and replies to the nearest messages |

With the prefix `wrong-`, the next person of the same archive continues the
conversations, with that person's prompt. A number after `shown` or `instant` is the
number of replies; `-last2` after it shows the last two messages of the conversation
instead of eight. `-rate2` at the end trains with twice the learning rate. Means exclude
the speakers that were used to choose recipes.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from openai import OpenAI

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.published_chats import ARCHIVES
from benchmarks.published_people import Person, find_people
from langchain_chatexports import (
    ChatFineTuner,
    ChunkSessions,
    LabelSpeakers,
    LocalServer,
    to_training_examples,
)
from langchain_chatexports._tokens import reply_token_limit
from langchain_chatexports.datasets.chat_prompts import participants_sentence
from langchain_chatexports.datasets.replies import (
    append_replies,
    reply_query,
)
from langchain_chatexports.datasets.system_prompts import persona_prompt
from langchain_chatexports.evaluation.contestants import NEAREST
from langchain_chatexports.evaluation.detector import detector_score
from langchain_chatexports.evaluation.dialogues import PERSON
from langchain_chatexports.evaluation.held_out import HeldOutTurn
from langchain_chatexports.evaluation.intervals import percentiles, ratio, resample
from langchain_chatexports.evaluation.loss import bits, compare_losses, size
from langchain_chatexports.evaluation.model_server import ModelClient, ScoredReply
from langchain_chatexports.evaluation.talk_measures import (
    TalkReply,
    comparable_messages,
    measure_talk,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SPEAKERS = [f"{kind}-{number}" for kind in ARCHIVES for number in (1, 2, 3, 4)]
CHOOSING = ("series-1", "channel-1")
CONTESTANTS = (
    *("base", "few-shot", "instant4", "tuned", "persona", "shown4"),
    *("wrong-tuned", "wrong-persona", "wrong-shown4"),
)
COMPARED = (
    *(("shown4", "tuned"), ("shown4", "few-shot"), ("shown4", "persona")),
    *(("persona", "tuned"), ("persona", "few-shot"), ("tuned", "few-shot")),
    *(("shown4", "wrong-shown4"), ("persona", "wrong-persona")),
    *(("instant4", "few-shot"), ("few-shot", "base")),
)
_REPLIES = 4
_LINES = 8
_WITH_REPLIES = re.compile(
    r"(?:instant|shown)(?P<replies>\d*)"
    r"(?:-last(?P<lines>\d+))?"
)
_NEXT = "wrong-"


class Recipe:
    """A recipe for training and for the prompt."""

    def __init__(self, contestant: str) -> None:
        name, _, rate = contestant.partition("-rate")
        self.rate = float(rate or 1)
        self.name = name
        found = _WITH_REPLIES.fullmatch(name)
        self.has_persona = name == "persona" or found is not None
        self.has_style = name.startswith("instant")
        self.replies = int(found["replies"] or _REPLIES) if found else 0
        self.lines = int(found["lines"] or _LINES) if found else _LINES

    @property
    def training_recipe(self) -> str | None:
        """The recipe that trains its model; `None` for the base."""
        if self.name in {"base", "few-shot"} or self.name.startswith("instant"):
            return None
        name = "persona" if self.name.startswith("shown") else self.name
        return name if self.rate == 1 else f"{name}-rate{self.rate:g}"

    def examples(self, person: Person, count: int) -> list[Any]:
        """Return the newest training examples."""
        step = ChunkSessions(keep_tail=True, overlap_as_context=self.has_persona)
        windows = [w for s in person.training for w in step.transform_session(s)]
        if not self.has_persona:
            return list(to_training_examples(windows))[-count:]
        labeled = LabelSpeakers().lazy_transform(windows)
        return list(to_training_examples(labeled, system=persona_prompt))[-count:]

    def messages(self, person: Person, turn: HeldOutTurn) -> list[dict[str, str]]:
        """Return the prompt of a turn, with the last lines of the conversation."""
        history = list(turn.history[-self.lines :])
        while history and history[0].speaker == PERSON:
            del history[0]
        chat = [
            {
                "role": "assistant" if line.speaker == PERSON else "user",
                "content": line.text
                if self.has_persona
                else line.text.removeprefix(f"{line.speaker}: "),
            }
            for line in history
        ]
        if self.name == "few-shot":
            near = person.replies.search(history[-1].text, NEAREST)
            shown = [
                {"role": role, "content": content}
                for pair in near
                for role, content in (("user", pair.message), ("assistant", pair.reply))
            ]
            return [*shown, *chat]
        if not self.has_persona:
            return chat
        speakers = dict.fromkeys(x.speaker for x in history if x.speaker != PERSON)
        parts = [f"You are {person.name}. {participants_sentence([*speakers])}"]
        if self.has_style and person.style:
            parts.append(person.style)
        question = reply_query(chat)
        found = person.replies.search(question, self.replies)
        system = append_replies("\n\n".join(parts), found)
        return [{"role": "system", "content": str(system)}, *chat]


@dataclass(frozen=True)
class Limits:
    """The amounts of training and held-out data."""

    windows: int
    turns: int
    epochs: int
    replies: bool


class Bench:
    """Trains, scores, and stores the measurements."""

    def __init__(self, server: LocalServer, results: Path, limits: Limits) -> None:
        self.server = server
        self.results = results
        self.limits = limits

    def measure(self, person: Person, other: Person, contestant: str) -> None:
        """Score a speaker's held-out turns with a contestant, unless already done."""
        path = self.results / f"{person.speaker}.{contestant}.scores.json"
        last = path
        if self.limits.replies:
            last = path.with_name(path.name.replace("scores", "said"))
        if last.is_file():
            return
        voice = other if contestant.startswith(_NEXT) else person
        recipe = Recipe(contestant.removeprefix(_NEXT))
        model = self.server.base_model
        if recipe.training_recipe is not None:
            model = self.train(voice, recipe.training_recipe)
        turns = person.turns(self.limits.turns)
        prompts = [recipe.messages(voice, turn) for turn in turns]
        with self.client() as client:
            server = ModelClient(client)
            rows: list[tuple[int, dict[str, Any]]] = []
            for turn, prompt in zip(turns, prompts, strict=True):
                reply = {"role": "assistant", "content": turn.reply}
                scored = server.score(model, [*prompt, reply])[-1]
                rows.append((turn.dialogue, asdict(scored)))
            write_private(path, rows)
            if self.limits.replies:
                limit = reply_token_limit(row["tokens"] for _, row in rows)
                replies = [
                    server.reply(
                        model, prompt, temperature=1.0, max_tokens=limit, seed=number
                    ).text
                    for number, prompt in enumerate(prompts)
                ]
                write_private(last, replies)

    def train(self, person: Person, contestant: str) -> str:
        """Train with a recipe, or return the existing model."""
        recipe = Recipe(contestant)
        path = self.results / f"{person.speaker}.{contestant}.model.json"
        if path.is_file():
            return str(json.loads(path.read_text()))
        examples = recipe.examples(person, self.limits.windows)
        tuner = ChatFineTuner(
            model=self.server.base_model,
            base_url=self.server.base_url,
            api_key=self.server.api_key,
            suffix=f"{person.speaker}-{contestant}",
            n_epochs=self.limits.epochs,
            learning_rate_multiplier=recipe.rate,
            seed=1,
            allow_trailing=True,
        )
        name = str(tuner.invoke(examples).model_name)
        write_private(path, name)
        return name

    def client(self) -> OpenAI:
        """Create a client of the server."""
        return OpenAI(
            base_url=self.server.base_url, api_key=self.server.api_key, timeout=900
        )


def write_private(path: Path, value: Any) -> None:
    """Write a result, readable by its owner only."""
    path.write_text(json.dumps(value), encoding="utf-8")
    path.chmod(0o600)


Scored = list[tuple[int, ScoredReply]]


def load_scores(results: Path, speaker: str) -> dict[str, Scored]:
    """Load the scores of a speaker by contestant, with conversation numbers."""
    found = {}
    for path in sorted(results.glob(f"{speaker}.*.scores.json")):
        rows = json.loads(path.read_text())
        name = path.name.removeprefix(f"{speaker}.").removesuffix(".scores.json")
        found[name] = [(number, ScoredReply(**row)) for number, row in rows]
    return found


def print_speaker(results: Path, speaker: str) -> None:
    """Print a speaker's losses and differences so far."""
    found = load_scores(results, speaker)
    if not found:
        return
    groups = [number for number, _ in next(iter(found.values()))]
    scores = {name: [reply for _, reply in turns] for name, turns in found.items()}
    losses, differences = compare_losses(scores, groups)
    number = max(groups) + 1
    print(f"\n## {speaker}: {len(groups)} turns of {number} conversations\n")
    print("| contestant | bits per byte |\n| --- | --- |")
    for name, loss in losses.items():
        low, high = loss.interval
        print(f"| {name} | {loss.value:.3f} [{low:.3f}, {high:.3f}] |")
    print("\n| difference | bits per byte |\n| --- | --- |")
    for d in differences:
        low, high = d.interval
        print(f"| {d.a} - {d.b} | {d.value:+.3f} [{low:+.3f}, {high:+.3f}] |")
    sys.stdout.flush()


def print_means(results: Path, speakers: Sequence[str]) -> None:
    """Print mean differences over speakers, without those used for choosing."""
    scores = {name: load_scores(results, name) for name in speakers}
    counted = {k: v for k, v in scores.items() if v and k not in CHOOSING}
    print("\n| difference | speakers | mean bits per byte |\n| --- | --- | --- |")
    for a, b in COMPARED:
        values, rounds = [], []
        for number, found in enumerate(counted.values()):
            if a in found and b in found:
                known = [_resampled_bits(found[name], number) for name in (a, b)]
                values.append(known[0][0] - known[1][0])
                rounds.append(known[0][1] - known[1][1])
        if values:
            low, high = percentiles(np.mean(rounds, axis=0))
            mean = float(np.mean(values))
            print(
                f"| {a} - {b} | {len(values)} | {mean:+.3f} [{low:+.3f}, {high:+.3f}] |"
            )
    sys.stdout.flush()


def _resampled_bits(turns: Scored, seed: int) -> tuple[float, NDArray[np.float64]]:
    """Return bits per byte, and those of bootstrap rounds over conversations."""
    groups, replies = zip(*turns, strict=True)
    weights = resample(max(groups) + 1, 2000, seed)
    return ratio([*map(bits, replies)], [*map(size, replies)], groups, weights)


def print_replies(results: Path, person: Person, limits: Limits) -> None:
    """Print measures of the replies of a speaker's contestants."""
    turns = person.turns(limits.turns)
    groups = [turn.dialogue for turn in turns]
    known = comparable_messages(
        line.text for talk in person.past for line in talk.lines
    )
    own = [turn.reply for turn in turns]
    past = [text for talk in person.past for text in talk.replies()][-len(own) :]
    suffix = ".said.json"
    said = {
        path.name.removeprefix(f"{person.speaker}.").removesuffix(suffix): json.loads(
            path.read_text()
        )
        for path in sorted(results.glob(f"{person.speaker}.*{suffix}"))
    }
    print("\n| contestant | told apart | repeating | looping | distinct | characters |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, texts in {**said, "the person": past}.items():
        detected = detector_score(own[: len(texts)], texts, groups[: len(texts)])
        talk = measure_talk([TalkReply(text) for text in texts], known=known)
        print(
            f"| {name} | {detected.value:.2f} | {talk.repeating:.2f} | "
            f"{talk.looping:.2f} | {talk.distinct:.2f} | {talk.characters:.0f} |"
        )
    sys.stdout.flush()


def main() -> None:
    """Run missing measurements, and print all results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archives", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--speakers", nargs="+", default=SPEAKERS, choices=SPEAKERS)
    parser.add_argument("--contestants", nargs="+", default=list(CONTESTANTS))
    parser.add_argument("--base", default=None)
    parser.add_argument("--windows", type=int, default=150)
    parser.add_argument("--turns", type=int, default=60)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--replies", action="store_true", help="also measure replies")
    given = parser.parse_args()
    given.output.mkdir(mode=0o700, parents=True, exist_ok=True)
    limits = Limits(given.windows, given.turns, given.epochs, given.replies)
    people: dict[str, Person] = {}
    data = given.output / "data"
    with LocalServer(given.base, data_dir=data, threads=1) as server:
        bench = Bench(server, given.output, limits)
        for speaker in given.speakers:
            kind, _, number = speaker.partition("-")
            if speaker not in people:
                people |= find_people(given.archives, given.output, kind)
            other = people[f"{kind}-{int(number) % 4 + 1}"]
            for contestant in given.contestants:
                bench.measure(people[speaker], other, contestant)
                print(f"{speaker} {contestant}", file=sys.stderr, flush=True)
            print_speaker(given.output, speaker)
            print_replies(given.output, people[speaker], limits)
        print_means(given.output, given.speakers)


if __name__ == "__main__":
    main()
