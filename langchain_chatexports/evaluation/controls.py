"""Does a model read what it answers? The same replies, behind a foreign history.

A model that ignores its context finds the person's reply as likely behind somebody
else's conversation as behind its own.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from langchain_chatexports.evaluation.held_out import PERSON, Line, Piece, Turn
from langchain_chatexports.evaluation.intervals import (
    ratio,
    ratio_difference,
    resampled,
)
from langchain_chatexports.evaluation.loss import TurnPrice, sums_by_conversation
from langchain_chatexports.evaluation.results import Relevance

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["ONE_TALK", "compare_relevance", "foreign_pieces"]

ONE_TALK = "one conversation has more than half of the turns"


def foreign_pieces(
    places: Sequence[tuple[Piece, Turn]], *, seed: int = 0
) -> list[Piece | None]:
    """Put each turn behind the history of a turn of another conversation.

    Each history is used once, so that foreign ones are as long as the turns' own.

    Args:
        places: The turns and the pieces that they stand in.
        seed: Where chance begins.

    Returns:
        For each turn a piece that ends with it, and has no other turn; `None` for all
        if one conversation has more than half of them.
    """
    sizes: dict[int, int] = {}
    for piece, _ in places:
        sizes[piece.conversation] = sizes.get(piece.conversation, 0) + 1
    most = max(sizes.values(), default=0)
    if 2 * most > len(places):
        return [None] * len(places)
    numbers = [*sizes]
    random.Random(seed).shuffle(numbers)  # noqa: S311 - chance that can be repeated
    rank = {number: at for at, number in enumerate(numbers)}
    order = sorted(range(len(places)), key=lambda at: rank[places[at][0].conversation])
    found: list[Piece | None] = [None] * len(places)
    for at, own in enumerate(order):
        # Farther than the largest conversation reaches: never the turn's own.
        other = order[(at + most) % len(order)]
        found[own] = _behind(places[own], places[other])
    return found


def _behind(own: tuple[Piece, Turn], other: tuple[Piece, Turn]) -> Piece:
    piece, turn = own
    history = other[0].lines[: other[1].line]
    return replace(
        piece,
        lines=(*history, Line(PERSON, turn.reply)),
        turns=(Turn(len(history), turn.reply),),
    )


def compare_relevance(
    own: Mapping[str, Sequence[TurnPrice] | str],
    foreign: Mapping[str, Sequence[TurnPrice | None] | str],
    *,
    conversations: int,
    rounds: int = 2000,
    seed: int = 0,
) -> list[Relevance]:
    """Return the price of a foreign history, in bits per byte.

    Args:
        own: For each contestant the prices of the turns behind their own history.
        foreign: The same behind another conversation's, where it could be read.
        conversations: How many conversations the turns are of.
        rounds: How often conversations are drawn anew.
        seed: Where chance begins.
    """
    weights = resampled(conversations, rounds, np.random.default_rng(seed))
    return [
        _relevance(name, own[name], prices, weights) for name, prices in foreign.items()
    ]


def _relevance(
    name: str,
    own: Sequence[TurnPrice] | str,
    foreign: Sequence[TurnPrice | None] | str,
    weights: NDArray[np.int64],
) -> Relevance:
    if isinstance(own, str) or isinstance(foreign, str):
        return _unknown(name, own if isinstance(own, str) else str(foreign))
    both = [
        (mine, other)
        for mine, other in zip(own, foreign, strict=True)
        if other is not None
    ]
    if not both:
        return _unknown(name, ONE_TALK)
    conversations = weights.shape[1]
    at_home, abroad = (
        ratio(*sums_by_conversation(prices, conversations), weights)
        for prices in zip(*both, strict=True)
    )
    difference, interval = ratio_difference(abroad, at_home)
    return Relevance(
        contestant=name,
        own_history=at_home[0],
        foreign_history=abroad[0],
        difference=difference,
        interval=interval,
        turns=len(both),
    )


def _unknown(name: str, reason: str) -> Relevance:
    return Relevance(
        contestant=name,
        own_history=None,
        foreign_history=None,
        difference=None,
        interval=None,
        turns=0,
        reason=reason,
    )
