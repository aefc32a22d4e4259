"""Held-out conversations and their turns, without what training has seen."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from langchain_chatexports.evaluation.text_features import words
from langchain_chatexports.exceptions import TrainingDataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = [
    "PERSON",
    "SEVERAL",
    "Conversation",
    "HeldOutData",
    "Line",
    "Piece",
    "Turn",
    "chosen_pieces",
    "pieces_of",
    "require_turns",
    "turns_of_others",
    "without_known_turns",
]

PERSON = ""
"""Who speaks in the lines of the person whom the model is to sound like."""

SEVERAL = "?"
"""Who speaks where several people do, and nobody knows which one."""

# What a model sees at most: two windows of training, or a page of text.
_MAX_LINES = 16
_MAX_CHARACTERS = 6000
_SHINGLE = 5
_NEAR = 0.5
_BUBBLES = "\n\n"


@dataclass(frozen=True)
class Line:
    """What one speaker said before another one spoke; bubbles part at line breaks."""

    speaker: str
    """`PERSON`, or the id of somebody else: `p1`, `p2`, …"""

    text: str = field(repr=False)
    is_forwarded: bool = False


@dataclass(frozen=True)
class Conversation:
    """A conversation with the person.

    Attributes:
        lines: What was said, oldest first; each by another speaker than the one before.
        system: The system prompt that its training examples have.
        circle: Names of those who take part, for what comes up unprompted.
    """

    lines: tuple[Line, ...] = field(repr=False)
    system: str | None = field(default=None, repr=False)
    circle: frozenset[str] = field(default=frozenset(), repr=False)

    @classmethod
    def of(
        cls,
        lines: Iterable[Line],
        *,
        system: str | None = None,
        circle: Iterable[str] = (),
    ) -> Conversation:
        """Make one, and join lines of one speaker that follow each other."""
        joined: list[Line] = []
        for line in lines:
            if joined and joined[-1].speaker == line.speaker:
                last = joined.pop()
                joined.append(
                    Line(
                        line.speaker,
                        f"{last.text}{_BUBBLES}{line.text}",
                        last.is_forwarded or line.is_forwarded,
                    )
                )
            else:
                joined.append(line)
        return cls(tuple(joined), system, frozenset(circle))

    def replies(self, speaker: str = PERSON) -> list[str]:
        """Return what a speaker said to others, who had spoken before."""
        return [
            line.text
            for line in self.lines[1:]
            if line.speaker == speaker and not line.is_forwarded
        ]


@dataclass(frozen=True)
class HeldOutData:
    """Conversations that a model was trained on, and others that it was not.

    Attributes:
        training: The training half, oldest first.
        held_out: Later conversations, oldest first.
        names: Names of the export's people; `None` where they are not known.
        person: Something that tells the person from others, to be hashed.
    """

    training: Sequence[Conversation] = field(repr=False)
    held_out: Sequence[Conversation] = field(repr=False)
    names: frozenset[str] | None = field(default=None, repr=False)
    person: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Turn:
    """A turn of the person, and where in its piece it stands."""

    line: int
    reply: str = field(repr=False)


@dataclass(frozen=True)
class Piece:
    """A stretch of a conversation that fits a model's memory, with its turns.

    Attributes:
        conversation: The number of the conversation among those that were chosen.
        lines: What was said; the first line is somebody else's.
        turns: The person's turns in it that count.
    """

    conversation: int
    lines: tuple[Line, ...] = field(repr=False)
    turns: tuple[Turn, ...]
    system: str | None = field(default=None, repr=False)
    circle: frozenset[str] = field(default=frozenset(), repr=False)


def require_turns(data: HeldOutData) -> None:
    """Make sure that the person speaks in both halves, before something long begins.

    Raises:
        TrainingDataError: If there is nothing to compare, or nothing to compare with.
    """
    halves = {"trained on": data.training, "held out": data.held_out}
    for what, half in halves.items():
        if not any(found.replies() for found in half):
            msg = (
                f"There is no turn of the person that was {what}, so there is nothing "
                "to compare. Add conversations, or split them otherwise."
            )
            raise TrainingDataError(msg)


def chosen_pieces(
    conversations: Sequence[Conversation],
    *,
    most_turns: int,
    least_conversations: int,
    seed: int,
) -> list[Piece]:
    """Choose whole conversations at random until there are enough turns.

    Where long conversations would use up the turns before there are enough
    conversations, each gives a random stretch of its turns only: a score needs many
    conversations more than many turns.

    Args:
        conversations: The held-out ones.
        most_turns: How many turns to choose.
        least_conversations: How many conversations to choose from, if there are.
        seed: Where chance begins.

    Returns:
        Pieces, whose conversations are numbered anew, without gaps.
    """
    rng = random.Random(seed)  # noqa: S311 - chance that can be repeated
    order = [found for found in conversations if found.replies()]
    rng.shuffle(order)
    average = sum(len(found.replies()) for found in order) / max(len(order), 1)
    wanted = min(least_conversations, len(order))
    most_each = None
    if average * wanted > most_turns:
        most_each = max(1, most_turns // wanted)
    pieces: list[Piece] = []
    left, number = most_turns, 0
    for found in order:
        if left <= 0:
            break
        made = list(pieces_of(found, number))
        if most_each is not None:
            made = list(_stretch(made, most_each, rng))
        count = sum(len(piece.turns) for piece in made)
        if count:
            pieces += made
            left, number = left - count, number + 1
    return pieces


def pieces_of(conversation: Conversation, number: int = 0) -> Iterator[Piece]:
    """Cut a conversation into pieces that fit a model's memory, each with a turn.

    Args:
        conversation: The conversation.
        number: Its number in the pieces.
    """
    lines: list[Line] = []
    size = 0
    for line in (*conversation.lines, None):
        is_full = len(lines) >= _MAX_LINES or size >= _MAX_CHARACTERS
        # A piece begins with somebody else: templates want the user first.
        if line is None or (is_full and line.speaker != PERSON):
            turns = tuple(
                Turn(at, said.text)
                for at, said in enumerate(lines)
                if said.speaker == PERSON and not said.is_forwarded
            )
            if turns:
                yield Piece(
                    number,
                    tuple(lines),
                    turns,
                    conversation.system,
                    conversation.circle,
                )
            lines, size = [], 0
        if line is not None and (lines or line.speaker != PERSON):
            lines.append(line)
            size += len(line.text)


def _stretch(pieces: list[Piece], most: int, rng: random.Random) -> Iterator[Piece]:
    total = sum(len(piece.turns) for piece in pieces)
    start = rng.randint(0, max(0, total - most))
    kept = range(start, start + most)
    number = 0
    for piece in pieces:
        turns = []
        for turn in piece.turns:
            if number in kept:
                turns.append(turn)
            number += 1
        if turns:
            # What comes after the last turn is nobody's history.
            lines = piece.lines[: turns[-1].line + 1]
            yield Piece(
                piece.conversation, lines, tuple(turns), piece.system, piece.circle
            )


def without_known_turns(
    pieces: Sequence[Piece], training: Iterable[Conversation]
) -> tuple[list[Piece], int]:
    """Leave out turns that, with the message before, nearly stand in the training half.

    Args:
        pieces: The held-out turns.
        training: The training half.

    Returns:
        The pieces without these turns, and how many they were.
    """
    index = _ShingleIndex()
    for conversation in training:
        for at, line in enumerate(conversation.lines):
            if at and line.speaker == PERSON:
                index.add(f"{conversation.lines[at - 1].text} {line.text}")
    dropped = 0
    kept = []
    for piece in pieces:
        turns = tuple(
            turn
            for turn in piece.turns
            if not index.holds(f"{piece.lines[turn.line - 1].text} {turn.reply}")
        )
        dropped += len(piece.turns) - len(turns)
        if turns:
            kept.append(
                Piece(
                    piece.conversation, piece.lines, turns, piece.system, piece.circle
                )
            )
    order = dict.fromkeys(piece.conversation for piece in kept)
    numbers = {old: new for new, old in enumerate(order)}
    return [
        Piece(numbers[p.conversation], p.lines, p.turns, p.system, p.circle)
        for p in kept
    ], dropped


class _ShingleIndex:
    """Texts by their runs of five words."""

    def __init__(self) -> None:
        self._sizes: list[int] = []
        self._places: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)

    def add(self, text: str) -> None:
        shingles = _shingles(text)
        for shingle in shingles:
            self._places[shingle].append(len(self._sizes))
        self._sizes.append(len(shingles))

    def holds(self, text: str) -> bool:
        shingles = _shingles(text)
        shared = Counter(
            place for shingle in shingles for place in self._places.get(shingle, ())
        )
        return any(
            count / (len(shingles) + self._sizes[place] - count) >= _NEAR
            for place, count in shared.items()
        )


def _shingles(text: str) -> set[tuple[str, ...]]:
    said = words(text)
    return {tuple(said[at : at + _SHINGLE]) for at in range(len(said) - _SHINGLE + 1)}


def turns_of_others(
    data: HeldOutData, *, conversations: int, least_turns: int, most_people: int
) -> dict[str, list[list[str]]]:
    """Give other people's turns, of the same months as the held-out ones.

    Args:
        data: The conversations.
        conversations: From how many, the latest, each person's turns are taken.
        least_turns: Who has fewer is left out.
        most_people: How many people, those with the most turns first.

    Returns:
        For each person a list of turns for each conversation.
    """
    found: defaultdict[str, list[list[str]]] = defaultdict(list)
    latest_first = [*reversed(data.held_out), *reversed(data.training)]
    for conversation in latest_first:
        speakers = {line.speaker for line in conversation.lines}
        for speaker in sorted(speakers - {PERSON, SEVERAL}):
            # Their first words count, too: otherwise who begins would have few.
            said = [
                line.text
                for line in conversation.lines
                if line.speaker == speaker and not line.is_forwarded
            ]
            if said and len(found[speaker]) < conversations:
                found[speaker].append(said)
    turns = {name: sum(map(len, said)) for name, said in found.items()}
    ranked = sorted(found, key=lambda name: (-turns[name], name))
    enough = [name for name in ranked if turns[name] >= least_turns]
    return {name: found[name] for name in enough[:most_people]}
