"""A server whose models have synthetic voices, and talks of Mia with three friends."""

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, cycle
from pathlib import Path
from typing import Any

from langchain_chatexports.evaluation import (
    Evaluation,
    HeldOutData,
    ModelClient,
    evaluate,
)
from langchain_chatexports.evaluation.dialogues import PERSON, Dialogue, Utterance
from langchain_chatexports.evaluation.model_server import (
    Message,
    PromptTooLongError,
    Reply,
    ScoredReply,
)
from tests.unit_tests.builders.tables import START, write_lines
from tests.unit_tests.builders.voices import DISTINCT, Voice, conversations


class Voices(ModelClient):
    """A server whose models are synthetic people."""

    def __init__(self, **voices: Voice) -> None:
        self._texts = {
            model: [*chain.from_iterable(conversations(voice, 99, 77))]
            for model, voice in voices.items()
        }
        self.requests: list[tuple[str, list[Message]]] = []
        self.max_messages = math.inf

    def reply(
        self, model: str, messages: Sequence[Message], **options: object
    ) -> Reply:
        self._check(messages)
        self.requests.append((model, list(messages)))
        rng = random.Random(f"{model} {options['seed']}")
        return Reply(rng.choice(self._texts[model]), is_cut=rng.random() < 0.1)

    def score(self, model: str, messages: Sequence[Message]) -> list[ScoredReply]:
        self._check(messages)
        nats = 1.0 if model == "tuned" else 2.0
        # Examples in the prompt make every reply more likely.
        nats -= 0.5 * (len(messages) > 16)
        return [
            ScoredReply(index, nats * len(text), 3.0, len(text), len(text.split()))
            for index, message in enumerate(messages)
            if message["role"] == "assistant" and (text := message["content"])
        ]

    def _check(self, messages: Sequence[Message]) -> None:
        if len(messages) > self.max_messages:
            raise PromptTooLongError


def evaluate_voices(server: Voices, data: HeldOutData, **options: Any) -> Evaluation:
    """Evaluate the model `tuned` against `base`, unless other names are given."""
    names = {"tuned": "tuned", "base": "base"}
    return evaluate(data, server, **{**names, **options})


def talks(count: int, seed: int, *, terse: bool = False) -> list[Dialogue]:
    """Create talks of Mia with three friends in turn; terse ones fit a tiny context."""
    mia, *friends = (
        replace(voice, longer=0.0, more=0.0) if terse else voice for voice in DISTINCT
    )
    own = conversations(mia, count, seed, mean_turns=3 if terse else 4)
    dialogues = []
    for number, turns in enumerate(own):
        friend = friends[number % 3]
        (texts,) = conversations(friend, 1, seed * 1000 + number, mean_turns=4)
        lines = []
        speaker = f"p{number % 3 + 1}"
        for text, turn in zip(cycle(texts), turns, strict=False):
            lines += [Utterance(speaker, text), Utterance(PERSON, turn)]
        dialogues.append(Dialogue.from_lines(lines))
    return dialogues


def write_talks(path: Path, count: int, seed: int = 1, *, terse: bool = False) -> Path:
    """Write talks as a table of messages, with a conversation every other day."""
    rows = []
    for number, conversation in enumerate(talks(count, seed, terse=terse)):
        time = START + number * 172_800
        for line in conversation.lines:
            sender = "mia" if line.speaker == PERSON else f"friend {line.speaker}"
            for bubble in line.text.split("\n\n"):
                row = {"conversation_id": f"talk {number}", "sender": sender}
                rows.append({**row, "time": time, "text": bubble})
                time += 20
    return write_lines(path, rows)
