"""Bits per byte with their own and a foreign history."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest

from langchain_chatexports.evaluation import EvaluationSettings, HeldOutData, evaluate
from langchain_chatexports.evaluation.conversations import PERSON
from langchain_chatexports.evaluation.held_out import HeldOutTurn, choose_excerpts
from langchain_chatexports.evaluation.loss import (
    ONE_CONVERSATION,
    ScoredTurn,
    bits_per_byte,
    compare_losses,
    compare_relevance,
    foreign_excerpts,
)
from langchain_chatexports.evaluation.model_server import Message, ScoredReply
from tests.unit_tests.builders.voice_server import Voices, talks
from tests.unit_tests.builders.voices import DISTINCT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_chatexports.evaluation import Evaluation
    from langchain_chatexports.evaluation.model_server import ModelServer


def turn(
    nll: float, end: float | None = 1.0, size: int = 9, conversation: int = 0
) -> ScoredTurn:
    return ScoredTurn(conversation, ScoredReply(0, nll, end, size, size))


def test_the_end_pays_for_a_byte_of_its_own() -> None:
    turns = [turn(math.log(2) * 12, math.log(2) * 8), turn(0, 0, 9)]
    assert bits_per_byte(turns) == pytest.approx(20 / 20)


def test_a_template_without_an_end_has_no_byte_for_it() -> None:
    assert bits_per_byte([turn(math.log(2) * 9, None)]) == pytest.approx(1)


def test_differences_are_paired() -> None:
    """Hard conversations are hard for both, so the difference is sharper."""
    hard = [turn(5.0 * (n % 7 + 1), conversation=n) for n in range(40)]
    easier = [turn(5.0 * (n % 7 + 1) - 2, conversation=n) for n in range(40)]
    losses, (difference,) = compare_losses(
        {"base": hard, "tuned": easier}, conversations=40
    )
    assert (difference.a, difference.b) == ("tuned", "base")
    expected = bits_per_byte(easier) - bits_per_byte(hard)
    assert difference.value == pytest.approx(expected)
    low, high = difference.interval
    assert low <= difference.value <= high
    wide = losses[0].interval
    assert wide is not None
    assert high - low < (wide[1] - wide[0]) / 5


def test_intervals_hold_their_point_and_are_the_same_again() -> None:
    turns = [turn(5.0 * (n % 7 + 1), conversation=n) for n in range(40)]
    (loss,), _ = compare_losses({"base": turns}, conversations=40)
    assert loss.interval is not None
    assert loss.bits_per_byte is not None
    assert loss.interval[0] < loss.bits_per_byte < loss.interval[1]
    assert compare_losses({"base": turns}, conversations=40)[0] == [loss]


def test_bits_of_the_end_are_beside_it() -> None:
    turns = [turn(1, math.log(2) * 10), turn(1, math.log(2) * 11)]
    (loss,), _ = compare_losses({"base": turns}, conversations=1)
    assert loss.end_bits == pytest.approx(10.5)


def test_where_nothing_can_be_priced_there_is_a_reason_and_no_zero() -> None:
    (loss, _), differences = compare_losses(
        {"tuned": "this endpoint cannot score given text", "base": [turn(1)]},
        conversations=1,
    )
    assert (loss.bits_per_byte, loss.interval) == (None, None)
    assert loss.reason == "this endpoint cannot score given text"
    assert differences == []


HELD_OUT = talks(30, 2)
TURNS = [
    HeldOutTurn(excerpt, line)
    for excerpt in choose_excerpts(
        HELD_OUT, max_turns=200, min_conversations=30, seed=0
    )
    for line in excerpt.turns
]


def texts(turn: HeldOutTurn) -> tuple[str, ...]:
    return tuple(line.text for line in turn.history)


def test_each_history_is_of_another_conversation_and_used_once() -> None:
    own = {texts(turn): turn.excerpt.conversation for turn in TURNS}
    used = []
    for turn, foreign in zip(TURNS, foreign_excerpts(TURNS), strict=True):
        assert foreign is not None
        (line,) = foreign.turns
        only = HeldOutTurn(foreign, line)
        assert foreign.lines[-1].text == only.reply == turn.reply
        assert foreign.lines[-2].speaker != PERSON
        assert foreign.conversation == turn.excerpt.conversation
        used.append(texts(only))
        assert own[used[-1]] != turn.excerpt.conversation
    assert sorted(used) == sorted(own)


def test_it_keeps_the_turns_own_system_prompt() -> None:
    told = [
        replace(turn, excerpt=replace(turn.excerpt, system=f"{number}"))
        for number, turn in enumerate(TURNS)
    ]
    for number, foreign in enumerate(foreign_excerpts(told)):
        assert foreign is not None
        assert foreign.system == f"{number}"


def test_the_seed_says_which_history() -> None:
    assert foreign_excerpts(TURNS, seed=3) == foreign_excerpts(TURNS, seed=3)
    assert foreign_excerpts(TURNS, seed=3) != foreign_excerpts(TURNS, seed=4)


@pytest.mark.parametrize("first", [1, 2, 3, 5])
def test_no_turn_gets_a_history_of_its_own_however_long_one_is(first: int) -> None:
    first_line, *rest = TURNS[0].excerpt.lines
    marked = [
        replace(
            TURNS[0],
            excerpt=replace(
                TURNS[0].excerpt,
                conversation=number,
                lines=(replace(first_line, text=f"{number}"), *rest),
            ),
        )
        for number, size in enumerate([first, 1, 2, 1, 1])
        for _ in range(size)
    ]
    for turn, found in zip(marked, foreign_excerpts(marked), strict=True):
        assert found is not None
        assert found.lines[0].text != f"{turn.excerpt.conversation}"


def test_where_one_conversation_has_most_turns_there_is_no_other() -> None:
    number = TURNS[0].excerpt.conversation
    turns = [turn for turn in TURNS if turn.excerpt.conversation == number]
    assert foreign_excerpts(turns) == [None] * len(turns)


def score(conversation: int, nll: float, end: float, size: int) -> ScoredTurn:
    return ScoredTurn(conversation, ScoredReply(0, nll, end, size, size))


def test_the_difference_is_that_of_the_formula_over_the_same_turns() -> None:
    """The third turn was too long with the foreign history, and does not count."""
    own = [score(0, 7.0, 1.0, 9), score(1, 11.0, 1.0, 19), score(1, 99.0, 1.0, 4)]
    foreign = [score(0, 9.0, 1.0, 9), score(1, 14.0, 2.0, 19), None]
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
    own = [score(0, 7.0, 1.0, 9)]
    (found,) = compare_relevance({"tuned": own}, {"tuned": [None]}, conversations=1)
    assert (found.difference, found.reason) == (None, ONE_CONVERSATION)


class Reader(Voices):
    """A server whose tuned model reads what it answers, and whose base does not."""

    def score(self, model: str, messages: Sequence[Message]) -> list[ScoredReply]:
        known = {texts(turn)[-1]: turn.reply for turn in TURNS}
        found = []
        for at, message in enumerate(messages):
            if message["role"] == "assistant":
                fits = known.get(messages[at - 1]["content"]) == message["content"]
                nats = 1.0 + (model == "tuned" and not fits)
                size = len(message["content"])
                found.append(ScoredReply(at, nats * size, 0.0, size, size))
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
