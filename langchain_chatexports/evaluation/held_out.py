"""Held-out turns to answer, with the lines before them."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from langchain_chatexports.evaluation.conversations import (
    PERSON,
    Dialogue,
    HeldOutData,
    Utterance,
)

# Limits of a prompt: a window of training, or a page of text.
_MAX_LINES = 8
_MAX_CHARACTERS = 4000


@dataclass(frozen=True)
class HeldOutTurn:
    """A turn of the person, and the lines before it.

    Attributes:
        conversation: The number of its conversation among the chosen ones.
        history: The lines before it, which begin with another person's.
        reply: The person's reply.
        system: The system prompt of its training examples.
    """

    conversation: int
    history: tuple[Utterance, ...] = field(repr=False)
    reply: str = field(repr=False)
    system: str | None = field(default=None, repr=False)


def choose_turns(
    data: HeldOutData, *, max_turns: int, min_conversations: int, seed: int
) -> list[HeldOutTurn]:
    """Choose held-out conversations at random until there are enough turns.

    If long conversations would use up the turns, each contributes only a random stretch
    of its turns, because intervals depend more on the number of conversations than on
    that of turns.
    """
    rng = random.Random(seed)  # noqa: S311 - reproducible, no secret
    found = [turns for turns in map(list, map(turns_of, data.held_out)) if turns]
    rng.shuffle(found)
    wanted = min(min_conversations, len(found))
    is_short = sum(map(len, found)) / len(found) * wanted <= max_turns
    max_each = max_turns if is_short else max(1, max_turns // wanted)
    chosen: list[HeldOutTurn] = []
    for number, turns in enumerate(found):
        count = min(max_each, max_turns - len(chosen))
        start = rng.randint(0, max(0, len(turns) - count))
        stretch = turns[start : start + count]
        chosen += [replace(turn, conversation=number) for turn in stretch]
        if len(chosen) >= max_turns:
            break
    return chosen


def turns_of(dialogue: Dialogue) -> Iterator[HeldOutTurn]:
    """Yield the person's own turns of a conversation that answer somebody."""
    for at, line in enumerate(dialogue.lines):
        if line.speaker == PERSON and not line.is_forwarded:
            history = _last_lines(dialogue.lines[:at])
            if history:
                yield HeldOutTurn(0, tuple(history), line.text, dialogue.system)


def _last_lines(lines: Sequence[Utterance]) -> list[Utterance]:
    """Return the lines that fit a prompt, at least the last one.

    Templates require the user first.
    """
    last = list(lines[-_MAX_LINES:])
    while len(last) > 1 and (
        last[0].speaker == PERSON
        or sum(len(line.text) for line in last) > _MAX_CHARACTERS
    ):
        del last[0]
    return last
