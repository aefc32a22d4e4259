"""What corrections are worth, beside ordinary messages.

```
python -m benchmarks.corrections RESULTS                       # a written voice
python -m benchmarks.corrections RESULTS --archives FOLDER     # a published person
python -m benchmarks.corrections RESULTS --counts 10 30 100 --base BASE
```

`FOLDER` has a clone of qTox/qtox-irc-logs (see `published_chats.py`); the person is the
one with the most messages. A model is trained on the oldest conversations. The others
are divided in turn: one part is measured, and from the other come

- corrections: the turns in which the model is worst (bits a byte), with what the person
  really wrote there;
- ordinary messages: turns of that part at random.

The variants, on the measured part (negative is better than the model):

| variant | |
| --- | --- |
| prompt | the model, with the nearest of the corrections in its prompt |
| learned | trained with the corrections as further examples |
| ordinary | trained with ordinary messages as further examples |

`RESULTS` stores the models, which are not trained again. Intervals (95 %) resample
conversations. With `--replies`, the models also reply to the measured messages, and a
detector tells the replies from the person's (0.5 is chance).

With `--counts 10 --training 34 --rest 66`, the default base of 135 million parameters
and a written voice (66 turns measured in 33 talks, one seed; 2026-11-23):

| variant | bits a byte | less the model |
| --- | --- | --- |
| the model | 1.700 | |
| prompt 10 | 1.700 | 0.000: no message was like a corrected one |
| learned 10 | 1.689 | -0.011 [-0.022, +0.000] |
| ordinary 10 | 1.695 | -0.005 [-0.018, +0.008] |
| ordinary 30 | 1.698 | -0.002 [-0.025, +0.020] |

With `--archives`, `--training 30 --rest 40` and the same base (90 turns; 2026-11-24):

| variant | bits a byte | less the model |
| --- | --- | --- |
| the model | 1.457 | |
| learned 10 | 1.456 | -0.001 [-0.017, +0.011] |
| ordinary 10 | 1.452 | -0.004 [-0.014, +0.006] |
| ordinary 30 | 1.453 | -0.004 [-0.014, +0.011] |
| prompt 30 | 1.457 | +0.000 [-0.002, +0.001]: 16 messages were like a corrected one |
| learned 30 | 1.450 | -0.007 [-0.025, +0.018] |
| ordinary 90 | 1.427 | -0.030 [-0.043, -0.013] |

With `--training 30 --rest 50 --counts 100 --replies` (90 other turns; the control,
ordinary 100, was not finished):

| variant | bits a byte | less the model | told apart |
| --- | --- | --- | --- |
| the model | 1.463 | | 0.70 [0.61, 0.80] |
| prompt 100 | 1.463 | 0.000 [-0.004, +0.002]: 14 came back | 0.79 [0.72, 0.87] |
| learned 100 | 1.424 | -0.039 [-0.059, -0.004] | 0.60 [0.52, 0.69] |

So a correction is worth about an ordinary message, though the intervals overlap. To
continue the model with them, instead of training anew, made other replies worse (+0.016
[+0.002, +0.030]), and `finetune` does not learn them. Larger bases were not measured.
"""

from __future__ import annotations

import argparse
import io
import random
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import HumanMessage, convert_to_openai_messages
from openai import OpenAI

from benchmarks.published_people import find_people
from langchain_chatexports import (
    ChunkSessions,
    LabelSpeakers,
    LocalServer,
    MapAIMessages,
    MergeChatRuns,
    to_training_examples,
    write_jsonl,
)
from langchain_chatexports.datasets.system_prompts import persona_prompt
from langchain_chatexports.evaluation.detector import detector_score
from langchain_chatexports.evaluation.loss import bits, compare_losses, size
from langchain_chatexports.evaluation.model_server import ModelClient, ScoredReply
from langchain_chatexports.local_server import Workspace, find_base
from langchain_chatexports.personas import Correction, Corrections, VoicePrompt
from langchain_chatexports.samples.writing import parse_scenes

_VOICE, _SPEAKER = "mechanic", "Dee"
_LINES = 8
_MAX_CHARACTERS = 600
_MAX_TOKENS = 60
_REQUESTS = 4


@dataclass(frozen=True)
class Turn:
    """A reply of the person, and the messages before it."""

    talk: int
    system: str | None
    before: tuple[dict[str, Any], ...]
    reply: str

    def messages(self, corrections: Corrections | None = None) -> list[Any]:
        """Return the chat to score, with corrections in the prompt."""
        prompt: Any = VoicePrompt(persona=self.system, k=0)
        if corrections is not None:
            prompt.corrections = corrections
        chat = convert_to_openai_messages(prompt.invoke([*self.before]))
        return [*chat, {"role": "assistant", "content": self.reply}]

    def correct(self, kept: Corrections) -> Correction:
        """Keep the real reply as a correction."""
        return kept.add(self.before, "(the model's)", self.reply)


def main() -> None:
    """Train the models that are missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--archives", type=Path)
    parser.add_argument("--base")
    parser.add_argument("--counts", type=int, nargs="+", default=[10, 30])
    parser.add_argument("--training", type=int, default=40)
    parser.add_argument("--rest", type=int, default=80)
    parser.add_argument("--measured", type=int, default=90)
    parser.add_argument("--replies", action="store_true", help="also the detector")
    given = parser.parse_args()
    given.results.mkdir(mode=0o700, parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    sessions = load_sessions(given)[-given.training - given.rest :]
    bench = Bench(given, sessions[: given.training])
    rest = [
        turn
        for number, session in enumerate(sessions[given.training :])
        for turn in find_turns(number, session)
    ]
    with (
        LocalServer(given.base, data_dir=given.results / "models") as server,
        OpenAI(base_url=server.base_url, api_key=server.api_key) as client,
    ):
        bench.run(ModelClient(client), rest)


def load_sessions(given: argparse.Namespace) -> list[ChatSession]:
    """Return the person's conversations, oldest first."""
    if given.archives:
        chats = given.results / "chats"
        chats.mkdir(mode=0o700, exist_ok=True)
        return find_people(given.archives, chats, "channel")["channel-1"].own
    path = Path(__file__).with_name("voices") / f"{_VOICE}.txt"
    talks = [
        ChatSession(
            messages=[
                HumanMessage(line.text, additional_kwargs={"sender": line.speaker})
                for line in lines
            ]
        )
        for lines in parse_scenes(path.read_text("utf-8")).values()
    ]
    return (MergeChatRuns() | MapAIMessages(sender=_SPEAKER)).invoke(talks)


def to_examples(sessions: list[ChatSession]) -> list[Any]:
    """Convert conversations to examples with a prompt, as `finetune` does."""
    labeled = LabelSpeakers().lazy_transform(sessions)
    return list(to_training_examples(labeled, system=persona_prompt))


def find_turns(talk: int, session: ChatSession) -> list[Turn]:
    """Return the replies of a conversation."""
    turns = []
    for example in to_examples([session]):
        system, *chat = example["messages"]
        for at, message in enumerate(chat):
            before = chat[max(0, at - _LINES) : at]
            while before and before[0]["role"] != "user":
                before = before[1:]
            is_short = sum(len(m["content"]) for m in before) < _MAX_CHARACTERS
            if message["role"] == "assistant" and before and is_short:
                reply = message["content"]
                turns.append(Turn(talk, system["content"], tuple(before), reply))
    return turns


class Bench:
    """Trains and measures the variants."""

    def __init__(self, given: argparse.Namespace, training: list[ChatSession]) -> None:
        self.given = given
        self.base = find_base(given.base)
        self.workspace = Workspace(given.results / "models")
        windows = ChunkSessions(keep_tail=True).lazy_transform(training)
        self.examples = to_examples([*windows])

    def run(self, client: ModelClient, turns: list[Turn]) -> None:
        """Print the size of the data, and a row for each variant."""
        measured = [turn for turn in turns if turn.talk % 2]
        chosen = random.Random(1).sample(range(len(measured)), len(measured))
        measured = [measured[at] for at in sorted(chosen[: self.given.measured])]
        pool = [turn for turn in turns if not turn.talk % 2]
        print(
            f"{len(self.examples)} windows; {len(pool)} turns to take from, "
            f"{len(measured)} measured",
            flush=True,
        )
        plain = self.train(self.examples)
        found = [self.score(client, plain.name, turn) for turn in pool]
        worst = sorted(
            zip(pool, found, strict=True),
            key=lambda each: -bits(each[1]) / size(each[1]),
        )
        random_turns = random.Random(0).sample(pool, len(pool))
        scores = {"the model": [self.score(client, plain.name, t) for t in measured]}
        told = {"the model": self.detect(client, plain.name, measured)}
        groups = [turn.talk // 2 for turn in measured]
        for count in self.given.counts:
            kept = Corrections()
            learned = [turn.correct(kept) for turn, _ in worst[:count]]
            near = [t for t in measured if kept.nearest(t.before[-1]["content"])]
            print(f"{count}: {len(near)} messages come back", flush=True)
            scores[f"prompt {count}"] = [
                self.score(client, plain.name, turn, kept) for turn in measured
            ]
            told[f"prompt {count}"] = self.detect(client, plain.name, measured, kept)
            groups_of = {f"learned {count}": learned}
            for number in (count, 3 * count):
                if number <= len(pool):
                    ordinary = [t.correct(Corrections()) for t in random_turns[:number]]
                    groups_of[f"ordinary {number}"] = ordinary
            for name, corrections in groups_of.items():
                if name not in scores:
                    more = map(self.to_example, corrections)
                    model = self.train([*self.examples, *more])
                    scores[name] = [
                        self.score(client, model.name, turn) for turn in measured
                    ]
                    told[name] = self.detect(client, model.name, measured)
                    self.print_table(scores, told, groups)

    def print_table(
        self,
        scores: dict[str, list[ScoredReply]],
        told: dict[str, str],
        groups: list[int],
    ) -> None:
        """Print the bits a byte of each variant, less those of the model."""
        losses, differences = compare_losses(scores, groups)
        print("| variant | bits a byte | less the model | told apart |")
        print("| --- | --- | --- | --- |")
        for name, loss in losses.items():
            cell = ""
            for each in differences:
                if (each.a, each.b) == ("the model", name):
                    low, high = each.interval
                    cell = f"{-each.value:+.3f} [{-high:+.3f}, {-low:+.3f}]"
            print(f"| {name} | {loss.value:.3f} | {cell} | {told[name]} |", flush=True)

    def detect(
        self,
        client: ModelClient,
        model: str,
        turns: list[Turn],
        corrections: Corrections | None = None,
    ) -> str:
        """Return how often the detector picks the person's reply from two."""
        if not self.given.replies:
            return ""

        def reply(turn: Turn) -> str:
            chat = turn.messages(corrections)[:-1]
            limit = _MAX_TOKENS
            found = client.reply(
                model, chat, temperature=1.0, max_tokens=limit, seed=turn.talk
            )
            return found.text

        with ThreadPoolExecutor(_REQUESTS) as pool:
            texts = [*pool.map(reply, turns)]
        groups = [turn.talk // 2 for turn in turns]
        found = detector_score([turn.reply for turn in turns], texts, groups)
        low, high = found.interval
        return f"{found.value:.2f} [{low:.2f}, {high:.2f}]"

    def score(
        self,
        client: ModelClient,
        model: str,
        turn: Turn,
        corrections: Corrections | None = None,
    ) -> ScoredReply:
        """Score the person's real reply."""
        return client.score(model, turn.messages(corrections))[-1]

    def to_example(self, correction: Correction) -> Any:
        """Return an example in which only the reply is learned."""
        first, *_ = self.examples[0]["messages"]
        before = (
            message if message["role"] == "user" else {**message, "weight": 0}
            for message in correction.messages
        )
        reply = {"role": "assistant", "content": correction.better}
        return {"messages": [first, *before, reply]}

    def train(self, examples: list[Any]) -> Any:
        """Train a model, or return the one that is there."""
        buffer = io.BytesIO()
        write_jsonl(examples, buffer)
        job, _ = self.workspace.jobs.find_or_create(
            base=self.base.id,
            base_model=self.base.name,
            training_file=self.workspace.files.create(buffer.getvalue()).id,
            seed=1,
        )
        for _ in self.workspace.jobs.follow(job.id):
            pass
        done = self.workspace.jobs.get(job.id)
        if done.model is None:
            raise SystemExit(str(done.error))
        steps, seconds = done.steps, (done.finished_at or 0) - (done.started_at or 0)
        print(f"trained: {steps} steps, {seconds:.0f} s", flush=True)
        return self.workspace.models.find(done.model)


if __name__ == "__main__":
    main()
