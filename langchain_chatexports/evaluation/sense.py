"""Whether replies can be told to belong to their messages, without a judge.

The base scores each reply after its own message and after seven others. It prefers what
it writes itself, so only the person and tuned models are measured.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from langchain_chatexports.evaluation.answers import Answers, Progress
from langchain_chatexports.evaluation.contestants import TITLES, Contestant
from langchain_chatexports.evaluation.intervals import percentiles, ratio, resample
from langchain_chatexports.evaluation.model_server import ModelClient
from langchain_chatexports.evaluation.results import Measurement

CHOICES = 8
# Each reply is scored eight times, so the number and the lengths are limited.
_MAX_BLOCKS = 10
_MAX_CHARACTERS = 400


def measure_sense(
    answers: Answers,
    contestants: Iterable[Contestant],
    server: ModelClient,
    base: str | None,
    *,
    rounds: int,
    seed: int,
    progress: Progress,
) -> tuple[dict[str, Measurement], dict[str, str]]:
    """Return how often replies can be told to belong to their messages, or the reason.

    If the person's own replies cannot be told, the chat cannot show it for a model.
    """
    if base is None:
        return {}, {"matched": "it needs the base model"}
    messages = [turn.history[-1].text for turn in answers.turns]
    blocks = choose_blocks(messages, answers.groups)
    if not blocks:
        return {}, {"matched": f"it needs {CHOICES} different held-out messages"}
    weights = resample(max(answers.groups) + 1, rounds, seed)
    groups = [answers.groups[index] for block in blocks for index in block]
    replies = {"person": answers.person_replies} | {
        contestant.kind: [reply.text for reply in answers.replies[contestant.kind]]
        for contestant in contestants
        if not contestant.is_plain
    }
    found: dict[str, Measurement] = {}
    for kind, texts in replies.items():
        hits: list[bool] = []
        for block in blocks:
            hits += match_replies(
                server, base, [(messages[index], texts[index]) for index in block]
            )
            title = f"matching: {TITLES.get(kind, 'the person')}"
            progress(title, len(hits), len(groups))
        value, values = ratio(hits, [1.0] * len(hits), groups, weights)
        found[kind] = Measurement(value=value, interval=percentiles(values))
        if found["person"].interval[0] <= 1 / CHOICES:
            reason = "the person's own replies could as well belong to other messages"
            return found, {"matched": reason}
    return found, {}


def choose_blocks(messages: Sequence[str], groups: Sequence[int]) -> list[list[int]]:
    """Return blocks of eight turns with different messages, of many dialogues."""
    counts: Counter[int] = Counter()
    order = []
    for index, group in enumerate(groups):
        order.append((counts[group], index))
        counts[group] += 1
    blocks: list[list[int]] = []
    for _, index in sorted(order):
        for block in blocks:
            is_new = all(messages[index] != messages[other] for other in block)
            if len(block) < CHOICES and is_new:
                block.append(index)
                break
        else:
            blocks.append([index])
    return [block for block in blocks if len(block) == CHOICES][:_MAX_BLOCKS]


def match_replies(
    server: ModelClient, base: str, exchanges: Sequence[tuple[str, str]]
) -> list[bool]:
    """Return whether each reply is most likely after its own message."""

    def score(message: str, reply: str) -> float:
        chat = [
            {"role": "user", "content": message[-_MAX_CHARACTERS:]},
            {"role": "assistant", "content": reply[:_MAX_CHARACTERS]},
        ]
        return server.score(base, chat)[-1].nll if reply.strip() else 0.0

    losses = np.array(
        [[score(message, reply) for message, _ in exchanges] for _, reply in exchanges]
    )
    # Some messages make every reply more likely.
    losses -= losses.mean(axis=0)
    best = losses.argmin(axis=1)
    return [
        bool(reply.strip() and best[index] == index)
        for index, (_, reply) in enumerate(exchanges)
    ]
