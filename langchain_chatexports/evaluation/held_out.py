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

# Limits of a prompt: two windows of training, or a page of text.
_MAX_LINES = 16
_MAX_CHARACTERS = 6000


@dataclass(frozen=True)
class Excerpt:
    """A part of a conversation that fits a model's context, with turns of the person.

    One request scores all of its turns.
    """

    conversation: int
    """The number of the conversation among the chosen ones."""

    lines: tuple[Utterance, ...] = field(repr=False)
    turns: tuple[int, ...]
    """The indexes of the turns to measure."""

    system: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class HeldOutTurn:
    """A turn of the person: a line of an excerpt."""

    excerpt: Excerpt
    line: int

    @property
    def conversation(self) -> int:
        """The number of its conversation."""
        return self.excerpt.conversation

    @property
    def reply(self) -> str:
        """The person's reply."""
        return self.excerpt.lines[self.line].text

    @property
    def history(self) -> tuple[Utterance, ...]:
        """The lines before it."""
        return self.excerpt.lines[: self.line]


def choose_excerpts(
    data: HeldOutData, *, max_turns: int, min_conversations: int, seed: int
) -> list[Excerpt]:
    """Choose held-out conversations at random until there are enough turns.

    If long conversations would use up the turns, each contributes only a random stretch
    of its turns, because intervals depend more on the number of conversations than on
    that of turns.
    """
    rng = random.Random(seed)  # noqa: S311 - reproducible, no secret
    cut = (list(excerpts_of(dialogue)) for dialogue in data.held_out)
    found = [excerpts for excerpts in cut if excerpts]
    rng.shuffle(found)
    sizes = [sum(len(excerpt.turns) for excerpt in excerpts) for excerpts in found]
    wanted = min(min_conversations, len(found))
    is_short = sum(sizes) / len(found) * wanted <= max_turns
    max_each = max_turns if is_short else max(1, max_turns // wanted)
    chosen: list[Excerpt] = []
    left = max_turns
    for number, excerpts in enumerate(found):
        for excerpt in _stretch(excerpts, min(max_each, left), rng):
            chosen.append(replace(excerpt, conversation=number))
            left -= len(excerpt.turns)
        if left <= 0:
            break
    return chosen


def excerpts_of(dialogue: Dialogue) -> Iterator[Excerpt]:
    """Cut a conversation into excerpts, each with a turn of the person."""
    lines: list[Utterance] = []
    size = 0
    for line in (*dialogue.lines, None):
        is_full = len(lines) >= _MAX_LINES or size >= _MAX_CHARACTERS
        # An excerpt begins with another person: templates require the user first.
        if line is None or (is_full and line.speaker != PERSON):
            turns = tuple(
                at
                for at, said in enumerate(lines)
                if said.speaker == PERSON and not said.is_forwarded
            )
            if turns:
                yield Excerpt(0, tuple(lines), turns, dialogue.system)
            lines, size = [], 0
        if line is not None and (lines or line.speaker != PERSON):
            lines.append(line)
            size += len(line.text)


def _stretch(
    excerpts: Sequence[Excerpt], max_turns: int, rng: random.Random
) -> Iterator[Excerpt]:
    total = sum(len(excerpt.turns) for excerpt in excerpts)
    start = rng.randint(0, max(0, total - max_turns))
    number = 0
    for excerpt in excerpts:
        numbered = enumerate(excerpt.turns, number)
        turns = tuple(at for n, at in numbered if start <= n < start + max_turns)
        number += len(excerpt.turns)
        if turns:
            # Lines after the last turn are not read.
            yield replace(excerpt, lines=excerpt.lines[: turns[-1] + 1], turns=turns)
