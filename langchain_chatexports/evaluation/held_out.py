"""Held-out turns for the models to reply to."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from langchain_chatexports.evaluation.dialogues import (
    PERSON,
    Dialogue,
    HeldOutData,
    Utterance,
)

# Limits of the history in a prompt.
_MAX_LINES = 8
_MAX_CHARACTERS = 4000


@dataclass(frozen=True)
class HeldOutTurn:
    """One of the person's turns and the lines before it."""

    dialogue: int
    """Index of the dialogue in the sample."""

    history: tuple[Utterance, ...] = field(repr=False)
    """The lines before the reply; the first one is another person's."""

    reply: str = field(repr=False)
    """The person's reply."""

    system: str | None = field(default=None, repr=False)
    """The system prompt of the held-out examples."""


def choose_turns(
    data: HeldOutData, *, max_turns: int, min_dialogues: int, seed: int
) -> list[HeldOutTurn]:
    """Choose held-out dialogues at random until there are enough turns.

    If the dialogues are too long for that, each contributes only some consecutive
    turns, because intervals depend more on the number of dialogues than on the
    number of turns.
    """
    rng = random.Random(seed)  # noqa: S311 - reproducible, no secret
    dialogues = [turns for d in data.held_out if (turns := list(find_turns(d)))]
    rng.shuffle(dialogues)
    target = min(min_dialogues, len(dialogues))
    mean_length = sum(map(len, dialogues)) / len(dialogues)
    is_short = mean_length * target <= max_turns
    max_each = max_turns if is_short else max(1, max_turns // target)
    chosen: list[HeldOutTurn] = []
    for index, turns in enumerate(dialogues):
        count = min(max_each, max_turns - len(chosen))
        start = rng.randint(0, max(0, len(turns) - count))
        consecutive = turns[start : start + count]
        chosen += [replace(turn, dialogue=index) for turn in consecutive]
        if len(chosen) >= max_turns:
            break
    return chosen


def find_turns(dialogue: Dialogue) -> Iterator[HeldOutTurn]:
    """Yield the person's own turns that answer another person."""
    for index, line in enumerate(dialogue.lines):
        if line.speaker == PERSON and not line.is_forwarded:
            history = _last_lines(dialogue.lines[:index])
            if history:
                yield HeldOutTurn(0, tuple(history), line.text, dialogue.system)


def _last_lines(lines: Sequence[Utterance]) -> list[Utterance]:
    """Return the last lines within the limits of a prompt, but at least one."""
    last = list(lines[-_MAX_LINES:])
    while len(last) > 1 and (
        last[0].speaker == PERSON  # Templates require the user first.
        or sum(len(line.text) for line in last) > _MAX_CHARACTERS
    ):
        del last[0]
    return last
