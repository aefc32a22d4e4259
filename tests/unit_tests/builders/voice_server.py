"""Models that speak with synthetic voices, and their talks with three friends."""

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from langchain_chatexports.evaluation.conversations import PERSON, Dialogue, Utterance
from langchain_chatexports.evaluation.model_server import (
    Message,
    PromptTooLongError,
    Reply,
    ScoredReply,
)
from tests.unit_tests.builders.tables import START, write_lines
from tests.unit_tests.builders.voices import DISTINCT, Voice, conversations


class Voices:
    """A server whose models are synthetic people."""

    def __init__(self, voices: dict[str, Voice]) -> None:
        self._texts = {
            model: [*chain.from_iterable(conversations(voice, 99, 77))]
            for model, voice in voices.items()
        }
        self.asked: list[tuple[str, list[Message], dict[str, object]]] = []
        self.longest = math.inf

    def reply(
        self, model: str, messages: Sequence[Message], **options: object
    ) -> Reply:
        self._check(messages)
        self.asked.append((model, list(messages), options))
        rng = random.Random(f"{model} {options['seed']}")
        return Reply(rng.choice(self._texts[model]), is_cut=rng.random() < 0.1)

    def score(self, model: str, messages: Sequence[Message]) -> list[ScoredReply]:
        self._check(messages)
        nats = 1.0 if model == "tuned" else 2.0
        # A context of its own makes every reply cheaper.
        nats -= 0.5 * (len(messages) > 16)
        return [
            ScoredReply(
                at,
                nats * len(message["content"]),
                3.0,
                len(message["content"]),
                len(message["content"].split()),
            )
            for at, message in enumerate(messages)
            if message["role"] == "assistant"
        ]

    def _check(self, messages: Sequence[Message]) -> None:
        if len(messages) > self.longest:
            raise PromptTooLongError


def talks(count: int, seed: int, *, terse: bool = False) -> list[Dialogue]:
    """Let Mia talk with three friends in turn; terse talk fits a tiny memory."""
    mia, *friends = (
        replace(voice, longer=0.0, more=0.0) if terse else voice for voice in DISTINCT
    )
    own = conversations(mia, count, seed, mean_turns=3 if terse else 4)
    made = []
    for number, turns in enumerate(own):
        friend = friends[number % 3]
        (said,) = conversations(friend, 1, seed * 1000 + number, mean_turns=4)
        lines = []
        speaker = f"p{number % 3 + 1}"
        for at, turn in enumerate(turns):
            lines += [Utterance(speaker, said[at % len(said)]), Utterance(PERSON, turn)]
        made.append(Dialogue.of(lines))
    return made


def write_talks(path: Path, count: int, seed: int = 1, *, terse: bool = False) -> Path:
    """Write talks as a table of single messages; one conversation every other day."""
    rows = []
    for number, conversation in enumerate(talks(count, seed, terse=terse)):
        time = START + number * 172_800
        for line in conversation.lines:
            sender = "mia" if line.speaker == PERSON else f"friend {line.speaker}"
            for bubble in line.text.split("\n\n"):
                rows.append(
                    {
                        "conversation_id": f"talk {number}",
                        "sender": sender,
                        "time": time,
                        "text": bubble,
                    }
                )
                time += 20
    return write_lines(path, rows)
