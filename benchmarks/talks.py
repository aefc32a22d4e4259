"""Quality of free talks: loops, truncation, other languages, and distinct replies.

```
python -m benchmarks.talks -o RESULTS                            # the embedded base
python -m benchmarks.talks -o RESULTS --base BASE --voices mother friend
python -m benchmarks.talks -o RESULTS --ways tuned-rate0.5 --sampling '{"min_p": 0.1}'
python -m benchmarks.talks -o RESULTS --voices mother --bits
```

The voices were written for these benchmarks (`benchmarks/voices/*.txt`): a mother in
German, a friend in Spanish, a baker and a captain in English, a grandmother in Hindi,
an aunt in Korean, a grandfather in Chinese, a mechanic in English, an uncle in German
(100 talks each, half of them begin with a question). Each becomes a WhatsApp export.
The newest third of its conversations is held out; the models answer each of its turns
after the real earlier messages, and then have talks of twelve turns with their own
answers as history. They use the same talk as `chatexports chat`.

| way | model | prompt |
| --- | --- | --- |
| prompt | untrained | as `chatexports chat EXPORT` |
| tuned | trained on the older conversations | as `chatexports chat MODEL` |

After `tuned`, in this order: `-rate0.5` trains with half the learning rate, `-epochs1`
for one epoch, `-windows40` with the newest 40 windows, one of the levers below, and
`-run2` with another seed.

| lever | what is trained | control |
| --- | --- | --- |
| openers | no loss on replies that answer nothing | tuned |
| last | loss on the last reply of each example only | tuned |
| mixed | also the base's own answers to questions to other people | others |
| others | also what these people answered | tuned |
| draft | to rewrite the base's draft of the last reply; `sense` asks so, too | last |

`--bits` scores the person's replies with the prompt of each way, and compares them.
`--sampling` has fields of the request. `RESULTS` stores models and replies, which are
not measured again. Intervals are 95 %, and exact for counts.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from langchain_core.messages import convert_to_openai_messages
from openai import OpenAI
from scipy.stats import binomtest

from benchmarks.published_chats import Line, write_table
from benchmarks.published_people import find_people
from langchain_chatexports import ChatFineTuner, LocalServer
from langchain_chatexports._languages import main_language
from langchain_chatexports.evaluation.detector import detector_score
from langchain_chatexports.evaluation.dialogues import PERSON
from langchain_chatexports.evaluation.loss import compare_losses
from langchain_chatexports.evaluation.model_server import ModelClient, ScoredReply
from langchain_chatexports.evaluation.talk_measures import (
    TalkReply,
    comparable_messages,
    measure_talk,
)
from langchain_chatexports.personas import PersonaChatModel
from langchain_chatexports.personas.talk import ChatSettings, Talk, Turn
from langchain_chatexports.samples.writing import parse_scenes
from langchain_chatexports.workflows.preparation import PrepareOptions
from langchain_chatexports.workflows.prepare import prepare
from langchain_chatexports.workflows.talk import (
    Speaker,
    create_talks,
    load_person,
    load_tuned_speaker,
)

VOICES = {
    "mother": "Mama",
    "friend": "Vero",
    "baker": "Mina",
    "captain": "Oster",
    "grandmother": "\u0926\u093e\u0926\u0940",
    "aunt": "\uc774\ubaa8",
    "grandfather": "\u5916\u516c",
    "mechanic": "Dee",
    "uncle": "Heinz",
}
WAYS = ("prompt", "tuned")
_WAY = re.compile(
    r"([a-z]+)(?:-rate([\d.]+))?(?:-epochs(\d+))?(?:-windows(\d+))?"
    r"(?:-(openers|last|mixed|others|draft))?(?:-run(\d+))?"
)
# People whose questions are answered in `-mixed` and `-others`.
_ASKED = ("baker", "captain")
# A published person's newest talks, and windows without `-windows`.
_PUBLISHED_TALKS, _PUBLISHED_WINDOWS = 120, 50
_DRAFT_TOKENS = 60
_TURNS = 12
_MIN_CONVERSATIONS = 8
_COLUMNS = (
    *("looping", "cut", "empty", "other language", "quoting", "continuing"),
    "repeating",
    *("distinct", "told apart", "characters", "bubbles", "marks"),
)


@dataclass(frozen=True)
class Reply:
    """A reply to the person's earlier messages, or in a talk."""

    talk: int
    asked: str
    text: str
    is_cut: bool = False
    real: str | None = None
    """The person's reply to the same message, if any."""

    prompt: str = ""
    """The system prompt."""


class Person:
    """A person, with an export of older conversations and held-out newer ones."""

    windows = 0
    """The newest windows that are trained; 0 for all."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.speaker = name, VOICES[name]
        path = Path(__file__).with_name("voices") / f"{name}.txt"
        scenes = [*parse_scenes(path.read_text("utf-8")).values()]
        end = len(scenes) * 2 // 3
        texts = (text for lines in scenes[:end] for _, text in lines)
        self.known = comparable_messages(texts)
        rows = []
        for day, lines in enumerate(scenes[:end]):
            begin = datetime(2024, 1, 1, 18) + timedelta(days=day)  # noqa: DTZ001 - local
            for minute, (who, text) in enumerate(lines):
                moment = begin + timedelta(minutes=minute)
                rows.append(f"{moment:%d.%m.%y, %H:%M} - {who}: {text}\n")
        self.export = folder / f"WhatsApp Chat {name}.txt"
        self.export.write_text("".join(rows), "utf-8")
        self.held_out = [_turns(lines, self.speaker) for lines in scenes[end:]]
        self.replies = [turn.answer for talk in self.held_out for turn in talk]
        self.language = main_language(self.replies)
        self.names = tuple({who for lines in scenes for who, _ in lines})


class PublishedPerson(Person):
    """A member of a published archive; the newest conversations are held out."""

    windows = _PUBLISHED_WINDOWS

    def __init__(self, name: str, folder: Path, archives: Path) -> None:
        kind, _, _ = name.partition("-")
        person = find_people(archives, folder, kind)[name]
        self.name, self.speaker = name, person.name
        newest = person.training[-_PUBLISHED_TALKS:]
        lines = [
            Line(
                str(number),
                message.additional_kwargs["sender"],
                datetime.fromtimestamp(
                    message.additional_kwargs["message_time"], UTC
                ).isoformat(),
                message.text,
            )
            for number, session in enumerate(newest)
            for message in session["messages"]
        ]
        self.known = comparable_messages(line.text for line in lines)
        self.export = write_table(lines, folder / f"{name}.csv")
        self.held_out = [
            _turns([(line.speaker, line.text) for line in dialogue.lines], PERSON)
            for dialogue in person.held_out
        ]
        self.held_out = [talk for talk in self.held_out if talk]
        self.replies = [turn.answer for talk in self.held_out for turn in talk]
        self.language = main_language(self.replies)
        self.names = tuple({line.sender for line in lines})


def _turns(lines: list[Any], speaker: str) -> list[Turn]:
    turns: list[Turn] = []
    for who, text in lines:
        is_reply = who == speaker
        if is_reply and turns:
            turns[-1].answer += f"\n\n{text}" if turns[-1].answer else text
        elif not is_reply and turns and not turns[-1].answer:
            turns[-1].line += f"\n\n{text}"
        elif not is_reply:
            turns.append(Turn(text))
    return [turn for turn in turns if turn.answer]


class Bench:
    """Trains models, and creates talks."""

    def __init__(self, server: LocalServer, given: argparse.Namespace) -> None:
        self.server, self.given = server, given
        self.base = given.base_name

    def speaker(self, person: Person, way: str) -> Speaker:
        """Return a speaker, trained first if necessary."""
        found = _WAY.fullmatch(way)
        if found is None or found[1] not in WAYS:
            msg = f"There is no way {way}."
            raise SystemExit(msg)
        choices = PrepareOptions((person.speaker,), export_zone="UTC")
        if found[1] == "prompt":
            return load_person(person.export, choices)
        path = self.given.output / f"{self.base}.{person.name}.{way}.model.json"
        if not path.is_file():
            path.write_text(json.dumps(self.train(person, choices, found)))
        workspace = self.server.workspace
        model = workspace.models.find(json.loads(path.read_text()))
        return load_tuned_speaker(workspace, model)

    def train(self, person: Person, choices: PrepareOptions, way: re.Match[str]) -> str:
        """Train on a person's older conversations, and return the model's name."""
        rate, epochs, windows, lever, run = way.groups()[1:]
        data = prepare(person.export, choices)
        newest = data.examples[-int(windows or person.windows) :]
        examples = [pull(lever, example) for example in newest]
        if lever in ("mixed", "others"):
            examples += self.other_answers(len(examples) // 2, lever)
        elif lever == "draft":
            examples = [*map(self.add_draft, examples)]
        begin = time.time()
        tuner = ChatFineTuner(
            model=self.server.base_model,
            base_url=self.server.base_url,
            api_key=self.server.api_key,
            learning_rate_multiplier=float(rate or 1),
            n_epochs=int(epochs) if epochs else "auto",
            validation_examples=data.validation or None,
            allow_trailing=True,
            seed=int(run or 1),
        )
        name = str(tuner.invoke(examples).model_name)
        seconds = time.time() - begin
        print(f"{len(examples)} examples, {seconds:.0f} s", file=sys.stderr)
        return name

    def other_answers(self, count: int, lever: str) -> list[Any]:
        """Return examples with questions to other people, and an answer to each.

        The base answers as itself (`mixed`), or the person who was asked (`others`).
        """
        folder = Path(__file__).with_name("voices")
        asked = [
            pair
            for name in _ASKED
            for lines in parse_scenes((folder / f"{name}.txt").read_text()).values()
            for pair in pairwise(lines)
            if pair[0].text.endswith("?") and pair[1].speaker == VOICES[name]
        ]
        examples = []
        for question, reply in asked[:count]:
            chat = [
                {"role": "system", "content": "Answer in one or two sentences."},
                {"role": "user", "content": question.text},
            ]
            text = reply.text if lever == "others" else self.base_reply(chat, 0, 1)
            answer = {"role": "assistant", "content": text}
            examples.append({"messages": [*chat, answer]})
        return examples

    def base_reply(self, chat: list[Any], temperature: float, seed: int) -> str:
        """Return the base's reply."""
        with OpenAI(
            base_url=self.server.base_url, api_key=self.server.api_key
        ) as client:
            options: Any = {"temperature": temperature, "seed": seed}
            found = ModelClient(client).reply(
                self.server.base_model, chat, max_tokens=_DRAFT_TOKENS, **options
            )
        return found.text.strip()

    def add_draft(self, example: Any) -> Any:
        """Add the base's draft of the last reply to the message before it."""
        chat = example["messages"]
        roles = [message["role"] for message in chat]
        end = len(roles) - roles[::-1].index("assistant") - 1
        if roles[end - 1] != "user":
            return example
        text = with_draft(chat[end - 1]["content"], self.base_reply(chat[:end], 0.7, 1))
        asked = {**chat[end - 1], "content": text}
        return {**example, "messages": [*chat[: end - 1], asked, *chat[end:]]}

    def voice(self, speaker: Speaker, seed: int) -> Talk:
        """Create a talk with the measured sampling."""
        settings = ChatSettings(seed=seed, **self.given.settings)
        (voice,) = create_talks(self.server, speaker, settings)
        model: Any = voice.model
        model = model.model if isinstance(model, PersonaChatModel) else model
        model.extra_body = self.given.sampling or None
        return voice

    def replies(self, person: Person, speaker: Speaker) -> list[Reply]:
        """Return the replies of a speaker."""
        replies = []
        for seed in range(1, self.given.times + 1):
            voice = self.voice(speaker, seed)
            for number, talk in enumerate(person.held_out):
                for at, turn in enumerate(talk[: self.given.turns]):
                    voice.turns = [Turn(one.line, one.answer) for one in talk[:at]]
                    replies.append(_ask(voice, number, turn.line, turn.answer))
        lines = [turn.line for talk in person.held_out for turn in talk]
        for number in range(self.given.talks):
            voice = self.voice(speaker, 100 + number)
            first = number * _TURNS
            questions = [lines[(first + at) % len(lines)] for at in range(_TURNS)]
            replies += [_ask(voice, number, line) for line in questions]
        return replies

    def scores(
        self, speaker: Speaker, turns: Iterable[tuple[list[Turn], Turn]]
    ) -> list[ScoredReply]:
        """Score the person's replies, each after its message and earlier turns."""
        voice, models = self.voice(speaker, 1), self.server.workspace.models
        if speaker.tuned is None:
            return self._score(voice, turns)
        kept, strength = models.find(voice.name).strength, voice.settings.strength
        models.set_strength(voice.name, 1.0 if strength is None else strength)
        try:
            return self._score(voice, turns)
        finally:
            models.set_strength(voice.name, kept)

    def _score(
        self, voice: Talk, turns: Iterable[tuple[list[Turn], Turn]]
    ) -> list[ScoredReply]:
        persona = (
            voice.model.voice if isinstance(voice.model, PersonaChatModel) else None
        )
        found = []
        with OpenAI(
            base_url=self.server.base_url, api_key=self.server.api_key, timeout=900
        ) as client:
            server = ModelClient(client)
            for before, turn in turns:
                asked = voice.messages(before, turn.line)
                asked = persona.invoke(asked) if persona else asked
                chat: Any = convert_to_openai_messages(asked)
                chat.append({"role": "assistant", "content": turn.answer})
                found.append(server.score(voice.name, chat)[-1])
        return found


def with_draft(message: str, draft: str) -> str:
    """Return a message with the base's draft of its reply."""
    return f"{message}\n\n({draft})"


def pull(lever: str | None, example: Any) -> Any:
    """Return an example in which some replies have no loss."""
    chat = example["messages"]
    roles = [message["role"] for message in chat]
    replies = [at for at, role in enumerate(roles) if role == "assistant"]
    silent: list[int] = []
    if lever == "openers":
        silent = [at for at in replies if "user" not in roles[:at]]
    elif lever in ("last", "draft"):
        silent = replies[:-1]
    if silent == replies:  # Nothing else could be learned from it.
        return example
    changed = ({**m, "weight": 0} if at in silent else m for at, m in enumerate(chat))
    return {**example, "messages": [*changed]}


def _ask(voice: Talk, talk: int, line: str, real: str | None = None) -> Reply:
    voice.add_line(line)
    text = "".join(voice.answer())
    print(".", end="", file=sys.stderr, flush=True)
    persona = voice.model if isinstance(voice.model, PersonaChatModel) else None
    read = persona.voice.invoke(line)[:-1] if persona else []
    prompt = "".join(str(message.text) for message in read)
    return Reply(talk, line, text, voice.turns[-1].is_cut, real, prompt)


def print_row(title: str, person: Person, replies: list[Reply]) -> None:
    """Print statistics of replies."""
    talk = [
        TalkReply(r.text, r.is_cut, r.prompt, person.names, (r.asked,)) for r in replies
    ]
    figures = measure_talk(talk, language=person.language, known=person.known)
    shares = (
        *(figures.looping, figures.cut, figures.empty),
        *(figures.other_language or 0, figures.quoting, figures.continuing),
        figures.repeating,
    )
    cells = [_count(round(share * len(replies)), len(replies)) for share in shares]
    answers = [reply for reply in replies if reply.real]
    texts = [reply.text for reply in answers]
    real = [str(reply.real) for reply in answers]
    detected = "-"
    groups = [reply.talk for reply in answers]
    if len(set(groups)) >= _MIN_CONVERSATIONS and texts != real:
        found = detector_score(real, texts, groups)
        low, high = found.interval
        detected = f"{found.value:.2f} [{low:.2f}, {high:.2f}]"
    cells += [f"{figures.distinct:.2f}", detected, f"{figures.characters:.0f}"]
    cells += [f"{figures.bubbles:.2f}", f"{figures.marks:.2f}"]
    print(f"| {title} | {len(replies)} | {' | '.join(cells)} |", flush=True)


def print_bits(person: Person, scores: dict[str, list[ScoredReply]]) -> None:
    """Print the bits per byte of each way, and their differences."""
    groups = [number for number, talk in enumerate(person.held_out) for _ in talk]
    losses, differences = compare_losses(scores, groups)
    for name, loss in losses.items():
        low, high = loss.interval
        print(f"{person.name}, {name}: {loss.value:.3f} [{low:.3f}, {high:.3f}]")
    for each in differences:
        low, high = each.interval
        print(f"  {each.a} - {each.b}: {each.value:+.3f} [{low:+.3f}, {high:+.3f}]")
    sys.stdout.flush()


def _count(count: int, of: int) -> str:
    interval = binomtest(count, of).proportion_ci(method="exact")
    return f"{count} [{interval.low:.0%}, {interval.high:.0%}]"


def main() -> None:
    """Create missing talks, and print statistics."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--base", default=None)
    parser.add_argument("--voices", nargs="+", default=[*VOICES], choices=VOICES)
    parser.add_argument("--ways", nargs="+", default=[*WAYS])
    parser.add_argument("--times", type=int, default=1, help="answers per question")
    parser.add_argument("--turns", type=int, default=9, help="questions per talk")
    parser.add_argument("--talks", type=int, default=3, help="talks of twelve turns")
    parser.add_argument("--bits", action="store_true", help="also score real replies")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--settings", type=json.loads, default={})
    parser.add_argument("--sampling", type=json.loads, default={})
    given = parser.parse_args()
    given.output.mkdir(mode=0o700, parents=True, exist_ok=True)
    asked = json.dumps([given.times, given.turns, given.talks])
    asked += json.dumps([given.settings, given.sampling], sort_keys=True)
    key = hashlib.sha256(asked.encode()).hexdigest()[:8]
    base = Path(given.base).stem if given.base else "default"
    given.base_name = base
    print(f"\n{base}, settings {given.settings}, sampling {given.sampling}\n")
    print(f"| voice, way | replies | {' | '.join(_COLUMNS)} |")
    print("| --- " * (len(_COLUMNS) + 2) + "|")
    data = given.output / f"data-{base}"
    with LocalServer(given.base, data_dir=data, threads=given.threads) as server:
        bench = Bench(server, given)
        for name in given.voices:
            person = Person(name, given.output)
            own = [
                Reply(number, turn.line, turn.answer, real=turn.answer)
                for number, talk in enumerate(person.held_out)
                for turn in talk
            ]
            print_row(f"{name}, the person", person, own)
            scores = {}
            for way in given.ways:
                if given.bits:
                    path = given.output / f"{base}.{name}.{way}.bits.json"
                    if not path.is_file():
                        turns = [
                            (talk[:at], turn)
                            for talk in person.held_out
                            for at, turn in enumerate(talk)
                        ]
                        found = bench.scores(bench.speaker(person, way), turns)
                        path.write_text(json.dumps([vars(score) for score in found]))
                    rows = json.loads(path.read_text())
                    scores[way] = [ScoredReply(**row) for row in rows]
                path = given.output / f"{base}.{name}.{way}.{key}.json"
                if not path.is_file():
                    speaker = bench.speaker(person, way)
                    replies = bench.replies(person, speaker)
                    path.touch(0o600)
                    path.write_text(
                        json.dumps([vars(reply) for reply in replies], indent=1)
                    )
                replies = [Reply(**row) for row in json.loads(path.read_text())]
                print_row(f"{name}, {way}", person, replies)
            if scores:
                print_bits(person, scores)


if __name__ == "__main__":
    main()
