"""The same replies behind a foreign history."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest

from langchain_chatexports.evaluation import EvaluationSettings, HeldOutData, evaluate
from langchain_chatexports.evaluation.controls import (
    ONE_TALK,
    compare_relevance,
    foreign_pieces,
)
from langchain_chatexports.evaluation.held_out import PERSON, Piece, Turn, chosen_pieces
from langchain_chatexports.evaluation.loss import TurnPrice
from langchain_chatexports.evaluation.replies import Message, Price
from tests.unit_tests.builders.voice_server import Voices, talks
from tests.unit_tests.builders.voices import DISTINCT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_chatexports.evaluation import Evaluation
    from langchain_chatexports.evaluation.replies import ModelServer

HELD_OUT = talks(30, 2)
PLACES = [
    (piece, turn)
    for piece in chosen_pieces(HELD_OUT, most_turns=200, least_conversations=30, seed=0)
    for turn in piece.turns
]


def history(piece: Piece, turn: Turn) -> tuple[str, ...]:
    return tuple(line.text for line in piece.lines[: turn.line])


def test_each_history_is_of_another_conversation_and_used_once() -> None:
    found = foreign_pieces(PLACES)
    own = {history(*place): place[0].conversation for place in PLACES}
    used = []
    for (piece, turn), foreign in zip(PLACES, found, strict=True):
        assert foreign is not None
        (only,) = foreign.turns
        assert foreign.lines[-1].text == only.reply == turn.reply
        assert foreign.lines[-2].speaker != PERSON
        assert foreign.conversation == piece.conversation
        used.append(history(foreign, only))
        assert own[used[-1]] != piece.conversation
    assert sorted(used) == sorted(own)


def test_it_keeps_the_turns_own_system_prompt() -> None:
    told = [
        (replace(piece, system=f"{n}"), turn) for n, (piece, turn) in enumerate(PLACES)
    ]
    for number, foreign in enumerate(foreign_pieces(told)):
        assert foreign is not None
        assert foreign.system == f"{number}"


def test_the_seed_says_which_history() -> None:
    assert foreign_pieces(PLACES, seed=3) == foreign_pieces(PLACES, seed=3)
    assert foreign_pieces(PLACES, seed=3) != foreign_pieces(PLACES, seed=4)


@pytest.mark.parametrize("first", [1, 2, 3, 5])
def test_no_turn_gets_a_history_of_its_own_however_long_one_is(first: int) -> None:
    sizes = [first, 1, 2, 1, 1]
    places = [
        (replace(PLACES[0][0], conversation=number), PLACES[0][1])
        for number, size in enumerate(sizes)
        for _ in range(size)
    ]
    marked = [
        (
            replace(
                piece,
                lines=(
                    replace(piece.lines[0], text=f"{piece.conversation}"),
                    *piece.lines[1:],
                ),
            ),
            turn,
        )
        for piece, turn in places
    ]
    for (piece, _), found in zip(marked, foreign_pieces(marked), strict=True):
        assert found is not None
        assert found.lines[0].text != f"{piece.conversation}"


def test_where_one_conversation_has_most_turns_there_is_no_other() -> None:
    (one,) = {p.conversation for p, _ in PLACES[:1]}
    places = [place for place in PLACES if place[0].conversation == one]
    assert foreign_pieces(places) == [None] * len(places)


def price(conversation: int, nll: float, end: float, size: int) -> TurnPrice:
    return TurnPrice(conversation, Price(0, nll, end, size, size))


def test_the_difference_is_that_of_the_formula_over_the_same_turns() -> None:
    """The third turn was too long behind the foreign history, and does not count."""
    own = [price(0, 7.0, 1.0, 9), price(1, 11.0, 1.0, 19), price(1, 99.0, 1.0, 4)]
    foreign = [price(0, 9.0, 1.0, 9), price(1, 14.0, 2.0, 19), None]
    (found,) = compare_relevance(
        {"tuned": own}, {"tuned": foreign}, conversations=2, rounds=50
    )
    bits = math.log(2) * (10 + 20)
    assert found.own_history == pytest.approx(20 / bits)
    assert found.foreign_history == pytest.approx(26 / bits)
    assert found.difference == pytest.approx(6 / bits)
    assert found.turns == 2
    assert found.interval is not None
    # All of the one conversation, or all of the other.
    ends = (2 / (math.log(2) * 10), 4 / (math.log(2) * 20))
    assert found.interval == pytest.approx((min(ends), max(ends)))


def test_without_another_conversation_it_says_so() -> None:
    own = [price(0, 7.0, 1.0, 9)]
    (found,) = compare_relevance({"tuned": own}, {"tuned": [None]}, conversations=1)
    assert (found.difference, found.reason) == (None, ONE_TALK)


class Reader(Voices):
    """A server whose tuned model reads what it answers, and whose base does not."""

    def prices(self, model: str, messages: Sequence[Message]) -> list[Price]:
        known = {history(*place)[-1]: place[1].reply for place in PLACES}
        found = []
        for at, message in enumerate(messages):
            if message["role"] == "assistant":
                fits = known.get(messages[at - 1]["content"]) == message["content"]
                nats = 1.0 + (model == "tuned" and not fits)
                size = len(message["content"])
                found.append(Price(at, nats * size, 0.0, size, size))
        return found


@pytest.fixture(scope="module")
def found() -> Evaluation:
    return evaluate(
        HeldOutData(talks(60, 1), HELD_OUT),
        cast("ModelServer", Reader({"base": DISTINCT[1], "tuned": DISTINCT[0]})),
        tuned="tuned",
        base="base",
        settings=EvaluationSettings((1.0,), 200, 30, rounds=3, loss_rounds=99),
    )


def test_a_model_that_reads_is_told_from_one_that_does_not(found: Evaluation) -> None:
    base, tuned = found.relevance
    assert (base.contestant, tuned.contestant) == ("base", "tuned")
    assert base.difference == pytest.approx(0)
    assert tuned.difference is not None
    assert tuned.difference > 0.5 / math.log(2)
    assert tuned.interval is not None
    assert tuned.interval[0] > 0


def test_behind_its_own_history_it_is_the_loss(found: Evaluation) -> None:
    losses = {each.contestant: each.bits_per_byte for each in found.loss}
    for each in found.relevance:
        assert each.own_history == pytest.approx(losses[each.contestant])
