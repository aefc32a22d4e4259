"""Held-out bits per byte of the base, few-shot and tuned models.

```
python -m benchmarks.held_out_loss                   # four voices, half an hour
python -m benchmarks.held_out_loss --voices Oster
```

Voices: the Tortoise (`samples.write_imessage`), Harry Potter
(`samples.write_messenger`, 24 messages per thread, from templates), and two that were
written for this benchmark, `benchmarks/voices/*.txt`. Each fold holds out a third of a
voice's conversations, trains on windows of the others by the server's rules, and scores
the person's turns in the held-out ones: with the base, with the base and the training
conversations in its context (the last 3,000 words), and with the tuned model. Each
conversation is held out once.

Intervals: 2,000 bootstrap rounds over conversations, the same for all contestants.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import HumanMessage, convert_to_messages
from openai import OpenAI

from langchain_chatexports import (
    ChatFineTuner,
    ChunkSessions,
    FolderFacebookMessengerChatLoader,
    IMessageChatLoader,
    LocalServer,
    MapAIMessages,
    MergeChatRuns,
    to_training_examples,
)
from langchain_chatexports.samples import write_imessage, write_messenger
from langchain_chatexports.samples.writing import parse_scenes

if TYPE_CHECKING:
    from collections.abc import Iterable

CONTESTANTS = ("base", "few-shot", "tuned")
FOLDS = 3
ROUNDS = 2000
MAX_WORDS_IN_CONTEXT = 3000
# Harry's threads are made from templates: longer ones repeat them.
MAX_MESSAGES = 24
VOICES = {"Mina": "baker.txt", "Oster": "captain.txt"}
# These voices have conversations of six to ten messages.
WINDOW_SIZES = {"Mina": 4, "Oster": 4}


@dataclass(frozen=True)
class Loss:
    """The loss of the person's turns in one conversation."""

    bits: float
    size_bytes: int


def main() -> None:
    """Train and score each voice, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    every = ["Tortoise", "Harry Potter", *VOICES]
    parser.add_argument("--voices", nargs="+", default=every, choices=every)
    print("| voice | turns | base | few-shot | tuned | tuned less few-shot |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with LocalServer(data_dir=folder / "data") as server:
            for voice in parser.parse_args().voices:
                dialogues = [
                    list(example["messages"])[:MAX_MESSAGES]
                    for example in to_training_examples(load_voice(voice, folder))
                ]
                size = WINDOW_SIZES.get(voice, 8)
                steps = ChunkSessions(size=size, keep_tail=True)
                losses = measure(server, dialogues, steps)
                print(row(voice, dialogues, losses), flush=True)


def load_voice(voice: str, folder: Path) -> Iterable[ChatSession]:
    """Load the conversations of a voice, mapped to the assistant."""
    steps = MergeChatRuns() | MapAIMessages(sender=voice)
    if voice == "Tortoise":
        return IMessageChatLoader(write_imessage(folder / "chat.db")) | steps
    if voice == "Harry Potter":
        export = write_messenger(folder / "hogwarts")
        return FolderFacebookMessengerChatLoader(export) | steps
    text = Path(__file__).with_name("voices").joinpath(VOICES[voice]).read_text("utf-8")
    sessions = [
        ChatSession(
            messages=[
                HumanMessage(line.text, additional_kwargs={"sender": line.speaker})
                for line in lines
            ]
        )
        for lines in parse_scenes(text).values()
    ]
    return steps.invoke(sessions)


def measure(
    server: LocalServer, dialogues: list[Any], windows: ChunkSessions
) -> dict[str, list[Loss]]:
    """Train and score each fold; return the losses by contestant and conversation."""
    losses: dict[str, list[Loss]] = {name: [] for name in CONTESTANTS}
    for fold in range(FOLDS):
        held_out = dialogues[fold::FOLDS]
        training = [d for at, d in enumerate(dialogues) if at % FOLDS != fold]
        sessions = windows.invoke([as_session(d) for d in training])
        tuned = train(server, list(to_training_examples(sessions)))
        prefix = few_shot_context(training)
        for dialogue in held_out:
            for name, model, context in (
                ("base", server.base_model, []),
                ("few-shot", server.base_model, prefix),
                ("tuned", tuned, []),
            ):
                losses[name].append(measure_loss(server, model, context, dialogue))
    return losses


def train(server: LocalServer, windows: list[Any]) -> str:
    """Train on windows of conversations, and return the model's name."""
    tuner = ChatFineTuner(
        model=server.base_model,
        base_url=server.base_url,
        api_key=server.api_key,
        seed=1,
    )
    return str(tuner.invoke(windows).model_name)


def as_session(dialogue: list[Any]) -> ChatSession:
    """Convert a dialogue to a session, to split it into windows."""
    return ChatSession(messages=convert_to_messages(dialogue))


def few_shot_context(dialogues: list[Any]) -> list[Any]:
    """Return the last conversations that fit into the context, as turns."""
    chosen: list[Any] = []
    words = 0
    for dialogue in reversed(dialogues):
        words += sum(len(message["content"].split()) for message in dialogue)
        if words > MAX_WORDS_IN_CONTEXT and chosen:
            break
        chosen = [*dialogue, *chosen]
    return chosen


def measure_loss(
    server: LocalServer, model: str, context: list[Any], dialogue: list[Any]
) -> Loss:
    """Score the assistant's turns of a dialogue after a context."""
    body = {"model": model, "messages": [*context, *dialogue]}
    with OpenAI(
        base_url=server.base_url, api_key=server.api_key, timeout=600, max_retries=0
    ) as client:
        answer: Any = client.post("/score", body=body, cast_to=object)
    turns = [turn for turn in answer["turns"] if turn["index"] >= len(context)]
    # Include the token that ends a turn, as one byte.
    nats = sum(turn["nll"] + turn["end_nll"] for turn in turns)
    size = sum(turn["size_bytes"] + 1 for turn in turns)
    return Loss(nats / math.log(2), size)


def row(voice: str, dialogues: list[Any], losses: dict[str, list[Loss]]) -> str:
    """Format a row of the table: bits per byte with intervals."""
    turns = sum(message["role"] == "assistant" for d in dialogues for message in d)
    sizes = np.array([loss.size_bytes for loss in losses["base"]], dtype=float)
    bits = {
        name: np.array([loss.bits for loss in found]) for name, found in losses.items()
    }
    picks = np.random.default_rng(0).integers(0, len(sizes), (ROUNDS, len(sizes)))
    weights = sizes[picks].sum(axis=1)

    def format_cell(values: Any, form: str = ".2f") -> str:
        low, high = np.quantile(values[picks].sum(axis=1) / weights, [0.025, 0.975])
        point = values.sum() / sizes.sum()
        return f"{point:{form}} [{low:{form}}, {high:{form}}]"

    cells = [format_cell(bits[name]) for name in CONTESTANTS]
    cells.append(format_cell(bits["tuned"] - bits["few-shot"], "+.2f"))
    data = f"{turns} in {len(dialogues)} conversations"
    return f"| {voice} | {data} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
